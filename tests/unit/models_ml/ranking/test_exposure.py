"""What places do to likes is told from what posts do."""

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking.exposure import LEAST, Exposure
from models_ml.ranking.model import FeedModel
from models_ml.ranking.tables import Floats, Ints

ATTENTION = np.array([1.0, 0.6, 0.4, 0.3, 0.2])
START = 1_700_000_000.0


def shown(quality: Floats, chance: np.random.Generator, pages: int, sorting: float) -> tuple[Floats, Ints, np.ndarray]:
    """Pages of five posts, better ones nearer the top the more `sorting` there is: places, posts, what was liked."""
    posts = np.concatenate(
        [
            page[np.argsort(-sorting * quality[page] - chance.random(5))]
            for page in (chance.permutation(len(quality))[:5] for _ in range(pages))
        ]
    )
    places = np.tile(np.arange(5), pages)
    liked = chance.random(len(posts)) < quality[posts] * ATTENTION[places]
    return places.astype(np.float32), posts.astype(np.int32), liked


def test_attention_is_found_although_good_posts_are_put_first() -> None:
    chance = np.random.default_rng(0)
    quality = chance.uniform(0.05, 0.8, 40)
    places, posts, liked = shown(quality, chance, 8000, sorting=1.0)
    found = Exposure.learn(places, posts, liked)
    assert found.attention[:5] == pytest.approx(ATTENTION, rel=0.12)
    bare = np.bincount(places.astype(int), liked) / np.bincount(places.astype(int))
    assert (bare / bare[0])[4] < 0.8 * ATTENTION[4]


def test_by_weight_a_post_is_liked_as_often_at_each_place() -> None:
    chance = np.random.default_rng(1)
    places, posts, liked = shown(np.full(30, 0.4), chance, 8000, sorting=0.0)
    weights = Exposure.learn(places, posts, liked).weights(places, liked)
    share = [weights[liked & (places == place)].sum() / weights[places == place].sum() for place in range(5)]
    assert share == pytest.approx([0.4] * 5, abs=0.04)
    assert weights[liked].mean() == pytest.approx(1)


@pytest.mark.parametrize("places", [np.full(6, np.nan), np.array([np.nan, 0, 0, 0, 0, 50])])
def test_without_places_or_likes_nothing_is_concluded(places) -> None:
    posts, liked = np.arange(6, dtype=np.int32), np.zeros(6, dtype=bool)
    found = Exposure.learn(places.astype(np.float32), posts, liked)
    assert (found.attention == 1).all()
    assert (found.weights(places.astype(np.float32), liked) == 1).all()


def test_no_like_outweighs_more_than_ten_at_the_top() -> None:
    places = np.repeat([0.0, 9.0], 1000).astype(np.float32)
    posts = np.tile(np.arange(10, dtype=np.int32), 200)
    liked = (places == 0) & (np.arange(2000) % 2 == 0)
    liked[1500] = True
    assert Exposure.learn(places, posts, liked).attention.min() == LEAST


@pytest.fixture(scope="module")
def town() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Long posts stand above short ones mostly, and nothing but the place decides what is liked."""
    chance = np.random.default_rng(5)
    items = pd.DataFrame({"item_id": range(120), "duration_ms": [60_000] * 60 + [10_000] * 60})
    people = np.repeat(np.arange(200), 24)
    posts = np.concatenate([chance.permutation(120)[:24] for _ in range(200)])
    place = chance.integers(0, 5, len(posts)) + 3 * (posts >= 60)
    liked = chance.random(len(posts)) < 0.6 * 0.72**place
    times = START + 3600 * np.tile(np.arange(24), 200) + people
    columns = {"user_id": people, "item_id": posts, "ts": times, "like": liked, "position": place}
    return pd.DataFrame(columns), items


def lead(feed: FeedModel) -> float:
    """By how much long posts are scored above short ones, for people who saw a few of both."""
    scores = np.array([feed.score(person, list(range(120))) for person in range(0, 200, 5)])
    return float(np.nanmean(scores[:, :60]) - np.nanmean(scores[:, 60:]))


@pytest.mark.parametrize("unknown", [[], ["ts"]], ids=["with a clock", "without one"])
def test_what_stood_on_top_is_not_taken_for_better(town: tuple[pd.DataFrame, pd.DataFrame], unknown: list[str]) -> None:
    events, items = town[0].drop(columns=unknown), town[1]
    deceived = lead(FeedModel().fit(events.drop(columns="position"), items))
    assert deceived > 0.4
    assert abs(lead(FeedModel().fit(events, items))) < 0.5 * deceived
