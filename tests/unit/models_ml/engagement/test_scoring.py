"""Scores: more never lowers them, bought views never raise them, little evidence makes nobody the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_ml import registry
from models_ml.engagement import Unusable, score
from models_ml.engagement.evaluate import UNSEEN
from models_ml.engagement.population import population

USUAL = {
    "likes": 80, "shares": 10, "comments": 10, "views": 1000, "watch_ms": 9_000_000, "length_ms": 15_000,
    "reputation": 100, "age_hours": 48,
}  # fmt: skip


def posts(*changes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([USUAL | change for change in changes])


@st.composite
def a_post(draw: st.DrawFn) -> dict[str, Any]:
    views = draw(st.one_of(st.integers(0, 12), st.integers(0, 200_000)))
    length = draw(st.one_of(st.none(), st.integers(500, 600_000)))
    return {
        "views": views,
        **{name: draw(st.integers(0, views)) for name in ("likes", "shares", "comments")},
        "watch_ms": draw(st.integers(0, 1 + views * (length or 15_000))),
        "length_ms": length,
        "reputation": draw(st.one_of(st.none(), st.integers(0, 100_000))),
        "age_hours": draw(st.one_of(st.none(), st.floats(0, 5000))),
    }


SOME_POSTS = st.lists(a_post(), min_size=20, max_size=20)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(SOME_POSTS, st.integers(1, 10**6))
def test_more_of_what_is_good_at_the_same_views_never_lowers_a_score(some: list[dict[str, Any]], more: int) -> None:
    before = posts(*some)
    good = ["likes", "shares", "comments", "watch_ms", "reputation"]
    before["reputation"] = before.reputation.fillna(0)
    after = pd.concat([before.assign(**{name: before[name] + more}) for name in good])
    assert (score(after).score.to_numpy() >= np.tile(score(before).score, len(good)) - 1e-9).all()


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(SOME_POSTS, st.integers(1, 10**6))
def test_views_without_likes_or_watch_time_never_raise_a_score(some: list[dict[str, Any]], bought: int) -> None:
    before = posts(*some)
    after = before.assign(views=before.views + bought)
    assert (score(after).score <= score(before).score + 1e-9).all()


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(SOME_POSTS)
def test_every_post_has_a_finite_score_with_two_or_three_reasons(some: list[dict[str, Any]]) -> None:
    scored = score(posts(*some))
    assert scored.score.between(0, 100).all()
    assert scored.evidence.isin(["thin", "some", "much"]).all()
    for reasons in scored.reasons:
        assert len({reason["input"] for reason in reasons}) == len(reasons)
        assert len(reasons) in (2, 3)


def test_three_likes_in_three_views_are_not_the_best_on_the_platform() -> None:
    few = {"likes": 3, "shares": 0, "comments": 0, "views": 3, "watch_ms": 27_000}
    many = {"likes": 250, "shares": 10, "comments": 10, "views": 1000}
    first, second = score(posts(few, many)).score
    assert first < second
    assert score(population(800, UNSEEN)).score.gt(first).mean() > 0.03


def test_a_usual_post_is_in_the_middle_and_an_unseen_one_is_not_far_from_it() -> None:
    unseen = {"likes": 0, "shares": 0, "comments": 0, "views": 0, "watch_ms": 0}
    assert score(posts({}, unseen)).score.between(35, 65).all()


def test_scores_tell_posts_apart_better_than_their_raw_rates() -> None:
    drawn = population(1000, UNSEEN + 5)
    raw = drawn.likes / drawn.views.clip(lower=1)
    by_score, by_raw = (each.corr(drawn.true_rate, method="spearman") for each in (score(drawn).score, raw))
    assert by_score > 0.7 > by_raw


def test_evidence_grows_with_views() -> None:
    frame = posts(*({"views": views, "likes": 0, "watch_ms": 0} for views in (3, 60, 5000)))
    assert list(score(frame).evidence) == ["thin", "some", "much"]


def test_the_cause_is_the_first_reason_and_its_points_have_its_sign() -> None:
    loved, ignored = score(posts({"likes": 300}, {"likes": 5})).reasons
    assert (loved[0]["input"], ignored[0]["input"]) == ("likes", "likes")
    assert loved[0]["points"] > 20
    assert ignored[0]["points"] < -20
    assert loved[0]["text"].startswith("300 likes in 1000 views (usual: ")
    skipped = score(posts({"watch_ms": 300_000})).reasons[0]
    assert skipped[0]["input"] == "watch time"
    assert skipped[0]["points"] < -5


def test_reputation_counts_and_not_knowing_it_is_as_a_usual_one() -> None:
    scale = registry.load("engagement").card.parameters["scales"]["platform"]
    nobody, usual, unknown, star = score(
        posts(*({"reputation": people, "views": 50, "likes": 4} for people in (0, scale["reputation"], None, 50_000)))
    ).score
    assert nobody < usual < star
    assert unknown == pytest.approx(usual)


def test_what_is_not_known_may_be_left_out_and_the_index_is_kept() -> None:
    frame = posts({}, {"likes": 9}).drop(columns=["length_ms", "reputation", "age_hours"]).set_axis([7, 3])
    scored = score(frame)
    assert list(scored.index) == [7, 3]
    assert np.isfinite(scored.score).all()
    assert list(scored.columns) == ["score", "reasons", "evidence"]
    assert score(frame.head(0)).empty


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns="likes"), "no column 'likes'"),
        (lambda frame: frame.assign(views=-1), "negative"),
        (lambda frame: frame.assign(watch_ms=np.inf), "endless"),
    ],
)
def test_a_frame_that_makes_no_sense_is_refused_with_a_reason(change: Any, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        score(change(posts({})))
