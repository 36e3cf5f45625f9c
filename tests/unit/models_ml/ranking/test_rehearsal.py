"""What the ranker is given to learn from: moments of the past as they stood then."""

from collections.abc import Sequence

import numpy as np
import pytest

from models_ml.ranking import rehearsal
from models_ml.ranking.candidates import Visit
from models_ml.ranking.history import History
from models_ml.ranking.memory import Memory
from models_ml.ranking.ranker import Choice

START, APART = 1_700_000_000.0, 6 * 3600.0
PEOPLE, POSTS, EACH = 30, 40, 12


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Choices are described by the numbers of their posts alone; here is who was asked, and when."""
    asked: list[tuple[int, float]] = []

    def describe(memory: Memory, visit: Visit, posts: np.ndarray, marks: np.ndarray) -> np.ndarray:
        asked.append((visit.person.number, visit.now))
        return posts[:, None].astype(np.float32)

    monkeypatch.setattr(rehearsal, "describe", describe)
    return asked


def history(timed: bool, places: bool = False) -> History:
    """Everybody meets a few posts, six hours apart, and likes two of three."""
    chance = np.random.default_rng(0)
    posts = np.concatenate([chance.permutation(POSTS)[:EACH] for _ in range(PEOPLE)]).astype(np.int32)
    times = START + APART * np.tile(np.arange(EACH), PEOPLE) + np.repeat(np.arange(PEOPLE), EACH)
    gains = np.tile([1.0, 0.0, 1.0], PEOPLE * EACH // 3).astype(np.float32)
    place = np.tile(np.arange(EACH) % 3 if places else np.full(EACH, np.nan), PEOPLE).astype(np.float32)
    people = np.repeat(np.arange(PEOPLE, dtype=np.int32), EACH)
    return History(people, posts, times if timed else np.full(len(posts), START), gains, place, timed)


def rehearsed(past: History) -> list[Choice]:
    memory = Memory(1)
    unknown = np.full(POSTS, np.nan)
    memory.add_posts(range(POSTS), np.zeros((POSTS, 1), np.float32), [None] * POSTS, [None] * POSTS, unknown, unknown)
    for person in range(PEOPLE):
        memory.number_of(person)
    return list(rehearsal.rehearse(memory, past))


def liked_after(past: History, person: int, moment: float) -> set[int]:
    rows = (past.people == person) & (past.times > moment) & (past.gains > 0)
    return set(past.posts[rows].tolist())


def split(choice: Choice) -> tuple[set[int], set[int]]:
    """The posts that were liked, and the others on offer."""
    posts: Sequence[int] = choice.features[:, 0].astype(int).tolist()
    liked = {post for post, label in zip(posts, choice.labels, strict=True) if label}
    return liked, set(posts) - liked


def test_what_is_liked_later_is_no_worse_choice(told: list[tuple[int, float]]) -> None:
    past = history(timed=True)
    choices = rehearsed(past)
    assert len(choices) == len(told) > 50
    for choice, (person, moment) in zip(choices, told, strict=True):
        liked, others = split(choice)
        assert liked and others
        assert not others & liked_after(past, person, moment)


def test_without_a_clock_the_last_like_of_each_is_asked_for(told: list[tuple[int, float]]) -> None:
    past = history(timed=False)
    last = {person: past.posts[(past.people == person) & (past.gains > 0)][-1] for person in range(PEOPLE)}
    choices = rehearsed(past)
    assert {person for person, _ in told} == set(range(PEOPLE))
    assert all(split(choice)[0] == {last[person]} for choice, (person, _) in zip(choices, told, strict=True))


@pytest.mark.parametrize("timed", [True, False], ids=["with a clock", "without one"])
def test_what_was_shown_and_passed_by_is_a_choice_of_its_own(told: list[tuple[int, float]], timed: bool) -> None:
    past = history(timed, places=True)
    passed = [
        (person, int(choice.features[0, 0]))
        for choice, (person, _) in zip(rehearsed(past), told, strict=True)
        if not choice.labels.any()
    ]
    disliked = {(int(p), int(i)) for p, i, gain in zip(past.people, past.posts, past.gains, strict=True) if not gain}
    assert len(passed) >= PEOPLE * (1 if not timed else 0.4 * EACH / 3 / 2)
    assert set(passed) <= disliked
