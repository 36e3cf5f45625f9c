"""What is learnt from and measured on: no future in what is known, no video on both sides, sound figures."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score

from models_ml.engagement import baselines, columns, kuairand, measures
from models_ml.engagement.population import population
from popoff.scoring import rules

PARTS = tuple(kuairand.PARTS)


@pytest.fixture
def rows() -> pd.DataFrame:
    draw = np.random.default_rng(2)
    size = 3000
    frame = pd.DataFrame(
        {
            "video_id": draw.integers(1, 300, size),
            "time_ms": draw.integers(0, 14 * 24 * 3_600_000, size),
            "label": draw.integers(0, 2, size),
            "play_time_ms": draw.integers(0, 60_000, size),
            "duration_ms": 15_000,
            "is_forward": 0,
            "is_comment": draw.integers(0, 2, size),
        }
    )
    return frame.sort_values("time_ms", ignore_index=True)


def test_what_comes_after_a_moment_changes_nothing_that_is_known_at_it(rows: pd.DataFrame) -> None:
    known = [*columns.COUNTS, "length_ms"]
    age = (rows.time_ms - rows.groupby("video_id").time_ms.transform("min")) / 3_600_000
    other = rows.assign(**{name: rows[name].where(age <= 6, 1 - rows[name]) for name in ("label", "is_comment")})
    before, after = (kuairand.moments(each, *PARTS).query("moment == 6") for each in (rows, other))
    pd.testing.assert_frame_equal(before[known], after[known])
    assert (before.later_likes != after.later_likes).any()


def test_all_rows_of_a_video_are_known_or_later(rows: pd.DataFrame) -> None:
    found = kuairand.moments(rows, *PARTS).query("moment == 24").set_index("post")
    counts = rows.groupby("video_id").size()
    assert ((found.views + found.later_views) == counts[found.index]).all()


def test_no_video_is_in_two_parts_and_each_is_in_one(rows: pd.DataFrame) -> None:
    videos = [set(kuairand.moments(rows, part).post) for part in PARTS]
    assert not set.intersection(*videos)
    assert sum(len(part) for part in videos) == kuairand.moments(rows, *PARTS).post.nunique()


def test_ndcg_is_that_of_scikit_learn_with_equal_scores_too() -> None:
    draw = np.random.default_rng(5)
    for _ in range(20):
        gains, scores = draw.random(30), draw.integers(0, 6, 30).astype(float)
        assert measures.ndcg(gains, scores) == pytest.approx(ndcg_score([gains], [scores]))


def test_log_loss_is_least_for_the_rate_that_came() -> None:
    posts = pd.DataFrame({"later_likes": [3], "later_views": [4]})
    right, low, high = (measures.log_losses(posts, np.array([rate]))[0] for rate in (0.75, 0.6, 0.9))
    assert right < min(low, high)
    assert right == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_the_former_formula_is_the_platforms() -> None:
    posts = population(50, 3).round().astype({"watch_ms": int, "length_ms": int, "reputation": int})
    names = asdict(rules.EngagementInputs())
    theirs = [
        rules.engagement(rules.EngagementInputs(**{n: int(post[n]) for n in names})) for _, post in posts.iterrows()
    ]
    assert baselines.rules(posts) == pytest.approx(theirs)


def test_calibration_finds_the_rate_of_a_constant() -> None:
    posts = pd.DataFrame({"later_likes": [1, 3], "later_views": [4, 4]})
    assert baselines.Calibrated(baselines.constant(posts), posts)(np.array([62.5])) == pytest.approx(0.5, abs=1e-3)
