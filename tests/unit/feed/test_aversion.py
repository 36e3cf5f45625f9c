"""Who turns something down sees less of its kind in the very next page, whatever else is going on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.ranking.selection import select
from popoff.feed import aversion, rules
from popoff.feed.aversion import Rejection
from popoff.feed.categories import OTHER
from popoff.feed.rules import Candidates, Interest, Ranked, Source

TOPICS = ("Music", "Food", "Sports", "Animals", OTHER)
PLACES = st.integers(1, 20)


@dataclass
class World:
    """Candidates in a random state, somebody's interests, and a post of the topic that they turn down."""

    candidates: Candidates
    interests: list[Interest]
    post: np.ndarray
    topic: str

    @classmethod
    def of(cls, seed: int) -> World:
        dice = np.random.default_rng(seed)
        centres = unit(dice.normal(size=(len(TOPICS), 16)))
        number = int(dice.integers(1, 200))
        topics = dice.choice(len(TOPICS), size=number, p=dice.dirichlet(np.ones(len(TOPICS))))

        def near(topic: int | np.ndarray) -> np.ndarray:
            vectors = unit(centres[topic] + dice.normal(size=(*np.shape(topic), 16)) * dice.uniform(0.1, 0.4))
            return vectors.astype(np.float32)

        candidates = Candidates(
            post_ids=np.arange(number),
            author_ids=dice.integers(0, dice.integers(1, 60), size=number),
            vectors=near(topics) * (dice.random(number) < 0.9)[:, None],
            categories=[TOPICS[topic] for topic in topics],
            age_s=dice.exponential(5 * 86400, size=number),
            views=dice.integers(0, 200, size=number),
            likes=dice.integers(0, 50, size=number),
            comments=dice.integers(0, 9, size=number),
            shares=dice.integers(0, 9, size=number),
            followed=dice.random(number) < 0.1,
            sources=dice.choice([int(Source.RANDOM), int(Source.OWED), int(Source.POPULAR)], size=number),
        )
        interests: list[Interest] = []
        for topic in dice.integers(0, len(TOPICS), size=dice.integers(0, 12)).tolist():
            interests = rules.observe(interests, near(topic), float(dice.uniform(-0.3, 1)), TOPICS[topic])
        topic = int(dice.integers(0, len(TOPICS) - 1))
        return cls(candidates, interests, near(topic), TOPICS[topic])

    def turn_down(self) -> tuple[list[Interest], list[Rejection]]:
        after = rules.observe(self.interests, self.post, rules.REPORTED, self.topic)
        return after, [Rejection(self.post, self.topic, since=0)]

    def others(self) -> set[int]:
        """Authors of something else."""
        authors = self.candidates.author_ids.tolist()
        return {
            author for author, label in zip(authors, self.candidates.categories, strict=True) if label != self.topic
        }

    def page(self, interests: list[Interest], rejections: list[Rejection], places: int, seed: int) -> list[str]:
        """The categories of a page."""
        ranked = aversion.lowered(rules.rank(self.candidates, interests), self.candidates, rejections)
        spared = aversion.spared(self.candidates, rejections) if rejections else None
        offer = rules.offer(self.candidates, ranked, spared)
        chosen = select(offer, places, rules.selection(rules.PER_AUTHOR, False), np.random.default_rng(seed))
        return [self.candidates.categories[row] for row in chosen.rows.tolist()]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32), places=PLACES)
def test_the_next_page_has_no_more_of_the_topic_and_many_pages_have_less(seed: int, places: int) -> None:
    world = World.of(seed)
    before = [world.page(world.interests, [], places, chance).count(world.topic) for chance in range(12)]
    after = [world.page(*world.turn_down(), places, chance).count(world.topic) for chance in range(12)]
    assert all(late <= early for early, late in zip(before, after, strict=True))
    if len(world.others()) >= places:
        assert sum(after) < sum(before) or sum(before) == 0


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), since=st.lists(st.integers(0, 99), max_size=4))
def test_every_rejection_takes_something_and_no_score_leaves_its_scale(seed: int, since: list[int]) -> None:
    world = World.of(seed)
    ranked = rules.rank(world.candidates, world.interests)
    scores = [ranked.rank_score]
    lost = [np.zeros(len(world.candidates))]
    for count in range(1, len(since) + 1):
        rejections = [Rejection(world.post, world.topic, number) for number in since[:count]]
        scores.append(aversion.lowered(ranked, world.candidates, rejections).rank_score)
        lost.append(aversion.spared(world.candidates, rejections))
    of_topic = np.array(world.candidates.categories) == world.topic
    before, change = np.array(scores)[:-1], np.diff(scores, axis=0)
    assert np.min(scores, initial=0) >= 0 and np.max(scores, initial=0) <= 1
    assert (change <= 0).all()
    assert ((change < 0) | (before == 0))[:, of_topic].all()
    assert (np.diff(lost, axis=0) >= 0).all()
    assert not np.array(lost)[:, ~of_topic].any()


def ranked(score: float, number: int) -> Ranked:
    fill = np.full(number, score)
    return Ranked(fill, fill, fill, fill, np.zeros(number, dtype=np.int64))


@pytest.fixture
def pair() -> Candidates:
    """Two posts of one topic without common words."""
    world = World.of(1).candidates
    values = {name: getattr(world, name)[:2] for name in world.__dataclass_fields__ if name != "categories"}
    return Candidates(**{**values, "vectors": np.eye(16, dtype=np.float32)[:2]}, categories=["Music", "Music"])


def test_what_is_alike_loses_all_and_the_same_topic_half(pair: Candidates) -> None:
    rejections = [Rejection(pair.vectors[0], "Music", since=0)]
    assert aversion.lowered(ranked(0.8, 2), pair, rejections).rank_score == pytest.approx([0.0, 0.4])
    assert aversion.spared(pair, rejections).tolist() == [1.0, 1.0]


def test_it_wears_off_with_what_is_met_since(pair: Candidates) -> None:
    late = [Rejection(pair.vectors[0], "Music", since=aversion.HALF_LIFE)]
    assert aversion.lowered(ranked(0.8, 2), pair, late).rank_score == pytest.approx([0.4, 0.6])
    assert aversion.spared(pair, late).tolist() == [0.5, 0.5]


def test_what_is_in_no_category_has_only_its_words(pair: Candidates) -> None:
    rejections = [Rejection(pair.vectors[0], OTHER, since=0)]
    assert aversion.lowered(ranked(0.8, 2), pair, rejections).rank_score == pytest.approx([0.0, 0.8])
    assert not aversion.spared(pair, rejections).any()
