"""Where posts come from that might be shown: small sources, each of which offers at most so many, best first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models_ml.ranking.people import LIKED, Person
from models_ml.ranking.tables import Ints

HISTORY = 20
"""How many of the liked posts, the latest, speak for a person."""
FADING = 0.8
"""What each of them counts for against the one after it."""

SPANS = {"now": 0.7, "lately": 0.9, "long": 0.98}
"""What each event counts for against the one after it, in what a person leans to just now, of late, in the long run."""
LONG_AGO = 30 * 86400.0
"""When a newcomer is taken to have liked posts of the topics that they chose, in seconds before now."""


@dataclass(frozen=True, eq=False)
class Visit:
    """A person at a moment: the latest liked posts (latest first) with ages in seconds, and the latest disliked."""

    person: Person
    now: float
    liked: Ints
    times: npt.NDArray[np.float64]
    gains: npt.NDArray[np.float32]
    disliked: Ints

    @classmethod
    def of(cls, person: Person, now: float) -> Visit:
        liked, times, gains = person.recent(HISTORY)
        if hints := person.hints[len(liked) :]:
            liked = np.append(liked, np.array(hints, dtype=np.int32))
            times = np.append(times, np.full(len(hints), now - LONG_AGO))
            gains = np.append(gains, np.full(len(hints), LIKED, dtype=np.float32))
        return cls(person, now, liked, times, gains, person.recent(HISTORY, liked=False)[0])

    @cached_property
    def importance(self) -> npt.NDArray[np.float32]:
        """What each of the liked posts counts for, shape (liked,)."""
        return (FADING ** np.arange(len(self.liked)) * self.gains).astype(np.float32)

    @cached_property
    def leanings(self) -> tuple[Ints, npt.NDArray[np.float32]]:
        """The posts of all events that are remembered, shape (met,), and what each of them says for others like it, by
        SPANS, shape (spans, met): how much better than indifferent it was, fading."""
        met, gains = self.person.latest()
        return met, (self.fading(len(met)) * (gains - LIKED)).astype(np.float32)

    @staticmethod
    def fading(number: int) -> npt.NDArray[np.float32]:
        """What so many events count for, latest first, by SPANS, shape (spans, number)."""
        return np.stack([fade ** np.arange(number) for fade in SPANS.values()]).astype(np.float32)
