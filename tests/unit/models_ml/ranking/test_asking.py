"""A feed asked by somebody who remembers people and knows what may be shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking.model import FeedModel

DAY = 86400.0
START = 1_700_000_000.0


@pytest.fixture(scope="module")
def feed() -> FeedModel:
    """Two crowds who like different things one after the other, and no two posts by one creator."""
    events = [
        {"user_id": f"{crowd}{person}", "item_id": f"{crowd}-{(person + step) % 12}", "ts": START + 60 * step + person}
        for crowd in ("cook", "climb")
        for person in range(12)
        for step in range(6)
    ]
    items = [
        {"item_id": f"{crowd}-{n}", "title": crowd, "author_id": n} for crowd in ("cook", "climb") for n in range(12)
    ]
    return FeedModel().fit(pd.DataFrame(events), pd.DataFrame(items))


def asked(feed: FeedModel, *liked: str, banned=(), user="stranger"):
    times = [START + DAY + place for place in range(len(liked))]
    return feed.ask(feed.recall(user, liked, times, [1.0] * len(liked)), START + 2 * DAY, banned)


def test_somebody_whom_the_feed_never_met_gets_what_goes_with_what_they_liked(feed: FeedModel) -> None:
    best = asked(feed, "cook-3", "cook-4").scores(["cook-5", "climb-5"])
    assert best[0] > best[1]


def test_candidates_are_distinct_and_never_what_was_banned(feed: FeedModel) -> None:
    best = asked(feed, "cook-3", banned=["cook-4", "cook-5", "unheard-of"]).best(10)
    assert len(best) == len(set(best)) == 10
    assert not {"cook-4", "cook-5"} & set(best)


def test_scores_stand_in_the_order_that_was_asked_for_and_strangers_have_none(feed: FeedModel) -> None:
    ask = asked(feed, "cook-3")
    one, two = ask.scores(["cook-4"])[0], ask.scores(["climb-4"])[0]
    both = ask.scores(["climb-4", "never-made", "cook-4", "climb-4"])
    assert np.array_equal(both, [two, np.nan, one, two], equal_nan=True)
    assert len(ask.scores([])) == 0


def test_why_names_the_liked_post_that_others_liked_around_it(feed: FeedModel) -> None:
    ask = asked(feed, "cook-3", "climb-8")
    assert ask.because(["cook-4", "climb-9", "never-made"]) == ["cook-3", "climb-8", None]
    assert asked(feed).because(["cook-4"]) == [None]


def test_what_was_met_and_is_gone_since_is_left_out(feed: FeedModel) -> None:
    ask, same = asked(feed, "cook-3", "deleted"), asked(feed, "cook-3")
    assert ask.scores(["cook-4"]) == same.scores(["cook-4"])


def test_asking_teaches_the_feed_nothing(feed: FeedModel) -> None:
    before = feed.recommend(["cook1"], 5).tolist()
    asked(feed, "climb-3", "climb-4", user="cook1").best(10)
    assert feed.recommend(["cook1"], 5).tolist() == before
