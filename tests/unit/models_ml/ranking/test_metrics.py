"""Measures of ranked lists, with answers known by hand."""

import math

import numpy as np
import pytest

from models_ml.ranking import metrics

NOTHING, FIRST, THIRD = [False] * 3, [True, False, False], [False, False, True]


def test_what_is_found_is_what_the_person_of_the_row_wants():
    offered = np.array([["a", "b"], ["a", None]], dtype=object)
    assert metrics.found(offered, [{"b", "z"}, {"z"}]).tolist() == [[False, True], [False, False]]


def test_ndcg_of_one_wish_is_the_discount_of_its_place():
    found = np.array([FIRST, THIRD, NOTHING])
    assert metrics.ndcg(found, np.array([1, 1, 1]), 3) == pytest.approx([1, 1 / 2, 0])
    assert metrics.ndcg(found, np.array([1, 1, 1]), 2) == pytest.approx([1, 0, 0])


def test_ndcg_of_several_wishes_is_over_the_best_list_that_fits():
    found = np.array([[True, False, True]])
    best_of_two = 1 + 1 / math.log2(3)
    assert metrics.ndcg(found, np.array([2]), 3) == pytest.approx(1.5 / best_of_two)
    assert metrics.ndcg(found, np.array([50]), 3) == pytest.approx(1.5 / (best_of_two + 1 / 2))
    assert metrics.ndcg(np.array([NOTHING]), np.array([0]), 3) == [0]


def test_hit_rate_and_recall_look_at_the_first_places_only():
    found = np.array([[True, False, True], THIRD])
    assert metrics.hit_rate(found, 2).tolist() == [1, 0]
    assert metrics.recall(found, np.array([4, 1]), 3).tolist() == [0.5, 1]


def test_coverage_is_the_share_of_the_catalogue_that_somebody_was_offered():
    offered = np.array([["a", "b", "c"], ["a", "x", "d"]], dtype=object)
    assert metrics.coverage(offered, 2, {"a", "b", "c", "d"}) == 0.5


def test_auc_counts_pairs_in_the_right_order_and_equals_by_half():
    liked = np.array([True, False, True, False])
    assert metrics.auc(liked, np.array([3.0, 2.0, 1.0, 0.0])) == 0.75
    assert metrics.auc(liked, np.zeros(4)) == 0.5
    assert math.isnan(metrics.auc(np.array([True]), np.array([1.0])))


def test_gauc_weighs_people_by_their_rows_and_leaves_out_those_who_did_only_one_thing():
    people = np.array([1, 1, 2, 2, 2, 2, 3])
    liked = np.array([True, False, True, True, False, False, True])
    scores = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 9.0])
    mean, low, high = metrics.gauc(people, liked, scores)
    assert mean == pytest.approx(2 / 6)
    assert low <= mean <= high


def test_the_interval_of_equal_values_is_a_point_and_of_others_covers_the_mean():
    assert metrics.mean_of(np.full(20, 0.3)) == pytest.approx((0.3, 0.3, 0.3))
    mean, low, high = metrics.mean_of(np.arange(100) % 2)
    assert mean == 0.5
    assert 0.38 < low < 0.45 and 0.55 < high < 0.62


def test_values_of_one_person_are_drawn_together():
    values = np.repeat([0.0, 1.0], 500)
    _, low, high = metrics.mean_of(values, np.repeat(np.arange(10), 100))
    _, closer, _ = metrics.mean_of(values)
    assert low < 0.3 < closer and high > 0.7


def test_a_ratio_is_of_the_same_people_on_both_sides():
    theirs = np.array([0.0, 1.0, 2.0, 3.0])
    assert metrics.ratio_of(2 * theirs, theirs) == pytest.approx((2, 2, 2))
    assert all(math.isnan(end) for end in metrics.ratio_of(theirs, 0 * theirs))
