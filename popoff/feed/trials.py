"""An experiment with two rankers: who gets which, and what the numbers say. Pure.

A person is the unit of everything: they always get the same ranker, and what they do counts as one witness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models_ml.ranking.ratios import Difference, Ratio, difference, ratio

LEAST_PEOPLE = 30
"""With fewer people on a side nothing is decided: intervals are made for more."""


@dataclass(frozen=True)
class Measure:
    """A sum over a sum of COLUMNS, and what that is in words."""

    name: str
    over: str
    under: str
    meaning: str


MEASURES = (
    Measure("watch_s_per_session", "watch_s", "sessions", "seconds watched a session"),
    Measure("watch_s_per_impression", "watch_s", "seen", "seconds watched an impression"),
    Measure("share_watched", "parts_watched", "timed", "share of an impression's length that is watched"),
    Measure("like_rate", "likes", "seen", "share of impressions that are liked"),
    Measure("comment_rate", "comments", "seen", "share of impressions that are commented on"),
    Measure("share_rate", "shares", "seen", "share of impressions that are shared"),
    Measure("hide_rate", "hides", "seen", "share of impressions that are dismissed or reported"),
)
"""Impressions here are those that were seen, each post once a person."""
DECIDES, GUARDS = "watch_s_per_session", "hide_rate"
"""What decides, chosen before anybody looked; and what must not surely get worse."""
COLUMNS = (
    "user_id", "sessions", "served", "by_challenger", "seen", "timed", "watch_s", "parts_watched", "likes", "comments",
    "shares", "hides",
)  # fmt: skip
COUNTS = ("sessions", "served", "by_challenger", "seen")

Columns = Mapping[str, npt.NDArray[np.float64]]
Estimate = Ratio | Difference


class Outcome(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOT_YET_KNOWN = "not_yet_known"


@dataclass(frozen=True)
class Arm:
    """One side: how many people, COUNTS of theirs in all, and its measures by name."""

    people: int
    counts: Mapping[str, int]
    measures: Mapping[str, Ratio]


@dataclass(frozen=True)
class Results:
    """Both sides, challenger less current by measure, and what that means."""

    current: Arm
    challenger: Arm
    differences: Mapping[str, Difference]
    outcome: Outcome
    sentence: str


def place(name: str, user_id: int) -> float:
    """Where a person stands in an experiment, 0 <= place < 1: evenly spread, the same each time, and unlike where they
    stand in any other. From SHA-256, so that it is the same on every host."""
    digest = hashlib.sha256(f"{name}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def is_challenged(name: str, share: float, user_id: int) -> bool:
    """Whether a person is among the `share` who get the challenger."""
    return place(name, user_id) < share


def compare(name: str, share: float, people: Columns) -> Results:
    """`people`: COLUMNS (n,), a row for each person who was shown anything.

    Everybody counts on the side that they were drawn for, whatever put their posts in order in the end.
    """
    drawn = np.array([is_challenged(name, share, int(user_id)) for user_id in people["user_id"]], dtype=np.bool_)
    current, challenger = (_arm({column: people[column][side] for column in COLUMNS}) for side in (~drawn, drawn))
    differences = {
        measure.name: difference(challenger.measures[measure.name], current.measures[measure.name])
        for measure in MEASURES
    }
    outcome, sentence = _verdict(current, challenger, differences)
    return Results(current, challenger, differences, outcome, sentence)


def _arm(people: Columns) -> Arm:
    return Arm(
        people=len(people["user_id"]),
        counts={column: int(people[column].sum()) for column in COUNTS},
        measures={measure.name: ratio(people[measure.over], people[measure.under]) for measure in MEASURES},
    )


def _verdict(current: Arm, challenger: Arm, differences: Mapping[str, Difference]) -> tuple[Outcome, str]:
    fewest = min(current.people, challenger.people)
    if fewest < LEAST_PEOPLE:
        return Outcome.NOT_YET_KNOWN, f"Not yet known: one side has {fewest} people, {LEAST_PEOPLE} are needed on each."
    decides, guards = differences[DECIDES], differences[GUARDS]
    if guards.surely_more:
        told = _told(guards, 100, "of 100 impressions are dismissed or reported")
        return Outcome.WORSE, f"Worse: with the challenger {told}."
    told = _told(decides, 1, "seconds are watched a session")
    if decides.surely_more:
        return Outcome.BETTER, f"Better: with the challenger {told}."
    if decides.surely_less:
        return Outcome.WORSE, f"Worse: with the challenger {told}."
    return Outcome.NOT_YET_KNOWN, f"Not yet known: with the challenger {told}."


def _told(apart: Difference, scale: float, what: str) -> str:
    low, high = (scale * end for end in apart.interval)
    way = "more" if apart.value >= 0 else "fewer"
    return f"{abs(scale * apart.value):.2f} {way} {what} (95 % sure: {low:+.2f} to {high:+.2f})"
