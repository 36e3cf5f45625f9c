"""Choices to learn the ranker from, out of the history alone: memory is put back to an earlier day and asked again.

With a clock the last part of the history is lived through once more, event by event: before each like the candidates
are described as they stood then. Without one the last like of each person is hidden from memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather
from models_ml.ranking.features import describe
from models_ml.ranking.history import History
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import LIKED, Person
from models_ml.ranking.ranker import Choice

MOST = 40_000
"""Choices at most; more hardly help and take longer."""
OTHERS = 100
"""Posts kept of each choice beside the liked one."""
RELIVED = 0.4
"""The share of a history with a clock that is lived through again."""


def rehearse(memory: Memory, history: History, seed: int = 0) -> Iterator[Choice]:
    """`memory`: knows posts and people and no event yet; it is used up."""
    chance = np.random.default_rng(seed)
    if history.timed:
        yield from _relive(memory, history, chance)
    else:
        yield from _hide_last(memory, history, chance)


def _hide_last(memory: Memory, history: History, chance: np.random.Generator) -> Iterator[Choice]:
    liked = np.flatnonzero(history.gains >= LIKED)
    last = liked[np.diff(history.people[liked], append=-1) != 0]
    hidden = np.zeros(len(history), dtype=bool)
    hidden[last] = True
    memory.learn(history.part(~hidden))
    for event in chance.permutation(last)[:MOST]:
        person = memory.people[history.people[event]]
        if choice := choose(memory, person, memory.clock, int(history.posts[event]), chance):
            yield choice


def _relive(memory: Memory, history: History, chance: np.random.Generator) -> Iterator[Choice]:
    order = np.argsort(history.times, kind="stable")
    cut = int(len(order) * (1 - RELIVED))
    before = np.zeros(len(order), dtype=bool)
    before[order[:cut]] = True
    memory.learn(history.part(before))
    share = min(1.0, MOST / max(1, len(order) - cut))
    for event in order[cut:]:
        number, post = int(history.people[event]), int(history.posts[event])
        time, gain = float(history.times[event]), float(history.gains[event])
        asked = gain >= LIKED and chance.random() < share
        if asked and (choice := choose(memory, memory.people[number], time, post, chance)):
            yield choice
        memory.meet(number, post, time, gain)


def choose(memory: Memory, person: Person, now: float, post: int, chance: np.random.Generator) -> Choice | None:
    """The candidates as a person's feed had them, the one liked next first; None where it was not among them."""
    visit = Visit.of(person, now)
    posts, marks = gather(memory, visit, person.seen())
    found = np.flatnonzero(posts == post)
    if not len(found):
        return None
    others = np.delete(np.arange(len(posts)), found)
    kept = np.append(found, chance.permutation(others)[:OTHERS])
    labels = np.zeros(len(kept), dtype=np.float32)
    labels[0] = 1.0
    return Choice(describe(memory, visit, posts[kept], marks[kept]), labels)
