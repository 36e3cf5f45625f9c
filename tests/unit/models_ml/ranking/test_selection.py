"""Pages out of scored candidates."""

import numpy as np

from models_ml.ranking.selection import Offer, Rules, select
from models_ml.ranking.tables import NOBODY


def offer(creators, topics=None, owed=()) -> Offer:
    number = len(creators)
    return Offer(
        posts=np.arange(100, 100 + number, dtype=np.int32),
        scores=np.arange(number, 0, -1).astype(np.float32),
        creators=np.array(creators, dtype=np.int32),
        topics=np.array(topics if topics is not None else [NOBODY] * number, dtype=np.int32),
        owed=np.isin(np.arange(number), owed),
    )


def page(candidates: Offer, places: int, rules: Rules) -> list[int]:
    return (select(candidates, places, rules, np.random.default_rng(0)) - 100).tolist()


def test_the_best_come_first_where_no_rule_forbids() -> None:
    assert page(offer([1, 2, 3, 4]), 3, Rules()) == [0, 1, 2]


def test_a_creator_waits_after_two_posts() -> None:
    assert page(offer([1, 1, 1, 2, 3]), 4, Rules(per_creator=2)) == [0, 1, 3, 4]


def test_a_topic_waits_too() -> None:
    assert page(offer([1, 2, 3, 4], [7, 7, 7, 8]), 3, Rules(per_topic=2)) == [0, 1, 3]


def test_a_full_page_beats_a_tidy_one() -> None:
    assert page(offer([1, 1, 1]), 3, Rules(per_creator=1)) == [0, 1, 2]


def test_the_rules_look_back_no_further_than_their_stretch() -> None:
    assert page(offer([1, 1, 2, 1]), 4, Rules(stretch=2, per_creator=1)) == [0, 2, 1, 3]


def test_owed_posts_get_their_share_of_places_and_no_more() -> None:
    candidates = offer(range(2000), owed=range(1000, 2000))
    found = page(candidates, 500, Rules(explore=0.2))
    assert 0.15 < np.mean(np.array(found) >= 1000) < 0.25


def test_without_a_budget_owed_posts_have_only_their_scores() -> None:
    assert page(offer(range(50), owed=range(25, 50)), 25, Rules(explore=0)) == list(range(25))
