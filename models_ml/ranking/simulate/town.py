"""Who lives in a town, what is posted there and when, and what pleases whom. All of it is settled before anything is
shown, so that whoever serves the town meets the same people, posts and hours.

Posts and tastes are points on a sphere. A topic is a place on it; a creator has topics and a style; a post lies near
its topic, moved by its creator's style and by chance. Titles and tags tell the topic and never the style: what words
cannot say, people's choices can. A person has one to four tastes, each near a topic, that wander a little every day;
now and then one is given up for another. Some people give up all of their tastes for one new one on one day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking.frames import AUTHOR, CREATED, DURATION, ITEM, TAGS, TITLE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY = 86400.0
START = 1_767_225_600.0
"""The first of January 2026, in seconds."""
DIMENSIONS, TOPICS, TASTES = 12, 20, 4
STYLE = 0.8
"""How far style and chance carry a post, and temper a taste, from the place of its topic."""
WANDER, TIRED = 0.04, 0.01
"""How far a taste wanders in a day, and how likely it is given up for another."""
CLOSE, SOFT = 0.5, 0.1
"""The cosine at which a post fits a taste by half, and how sharply that goes up."""
LIKED_BY_ALL, LEAST = 0.15, 0.4
"""What quality alone pleases, and what a post without any quality pleases those whom it fits."""
POPULAR = 0.6
"""Topics are wanted and served by a power law with this exponent."""
WORDS, COMMON = 30, 80
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvz" for vowel in "aeiou"]
"""Many, so that words of different topics have no more pieces in common than words have."""


@dataclass(frozen=True)
class Plan:
    """How large a town is. `sessions`: days, on each of which the mean person opens the feed once; `newcomers`: the
    part of people that comes after the beginning; `uploads`: posts a day for each person; `new_creators`: the part of
    these that is somebody's first; `changed`: the part of people that
    gives up all tastes for a new one, `changes`: how often."""

    people: int = 150
    posts: int = 3000
    sessions: int = 25
    newcomers: float = 0.2
    uploads: float = 0.025
    new_creators: float = 0.4
    changed: float = 0.1
    changes: int = 1

    @property
    def change_days(self) -> list[int]:
        """The days on which some people change, the last of them when most of the time has passed."""
        return [int(0.7 * self.sessions * (turn + 1) / self.changes) for turn in range(self.changes)]


class Town:
    """Posts by number in order of birth: `points` (n, d), `topic`, `creator`, `quality` 0..1, `duration` ms, `born`
    seconds, `debut` (of a creator who came after the beginning); people by number: `tastes` (days, people, TASTES, d),
    `strength` (days, people, TASTES) 0..1, `wanted` their topics (days, people, TASTES) with -1 where there is none,
    `rate` sessions a day, `joined` seconds, `tells` (chooses topics on coming), `changed`."""

    def __init__(self, seed: int, plan: Plan | None = None) -> None:
        self.seed, self.plan = seed, plan or Plan()
        self.chance = np.random.default_rng(seed)
        self.centres = _unit(self.chance.standard_normal((TOPICS, DIMENSIONS)))
        ranks = np.arange(1, TOPICS + 1) ** -POPULAR
        self.share = self.chance.permutation(ranks / ranks.sum())
        self._fill()
        self._populate()
        self.items = self._described()

    @property
    def end(self) -> float:
        return START + self.plan.sessions * DAY

    def day(self, time: float) -> int:
        return int(np.clip((time - START) // DAY, 0, self.plan.sessions - 1))

    def pleasure(self, person: int, posts: npt.NDArray, day: int) -> Floats:
        """How much each of these posts pleases a person on a day, 0..1: by the taste that it fits best, times quality,
        and a little by quality alone."""
        cosines = self.points[posts] @ self.tastes[day, person].T
        fit = (self.strength[day, person] / (1 + np.exp((CLOSE - cosines) / SOFT))).max(axis=1)
        quality = self.quality[posts]
        pleasure: Floats = LIKED_BY_ALL * quality + (1 - LIKED_BY_ALL) * fit * (LEAST + (1 - LEAST) * quality)
        return pleasure

    def topics_of(self, person: int, day: int) -> list[int]:
        wanted = self.wanted[day, person]
        return [int(topic) for topic in wanted if topic >= 0]

    def _fill(self) -> None:
        plan, chance = self.plan, self.chance
        later = chance.poisson(plan.uploads * plan.people * plan.sessions)
        number = plan.posts + later
        old = max(2, plan.posts // 10)
        debuts = np.zeros(number, dtype=bool)
        debuts[plan.posts :] = chance.random(later) < plan.new_creators
        busy = chance.pareto(1.5, old) + 0.2
        self.creator = chance.choice(old, number, p=busy / busy.sum())
        self.creator[debuts] = old + np.arange(debuts.sum())
        creators = old + int(debuts.sum())
        self.debut = self.creator >= old
        styles = _unit(chance.standard_normal((creators, DIMENSIONS)))
        home = chance.choice(TOPICS, (creators, 2), p=self.share)
        away = chance.choice(TOPICS, number, p=self.share)
        turn = chance.random(number)
        self.topic = np.where(turn < 0.7, home[self.creator, 0], np.where(turn < 0.9, home[self.creator, 1], away))
        own = _unit(chance.standard_normal((number, DIMENSIONS)))
        self.points = _unit(self.centres[self.topic] + STYLE * _unit(styles[self.creator] + own))
        skill = chance.beta(2, 2, creators)
        self.quality = np.clip(0.6 * skill[self.creator] + 0.4 * chance.beta(2, 2, number), 0, 1)
        self.duration = np.clip(1000 * np.exp(chance.normal(np.log(15), 0.5, number)), 4000, 90_000).round()
        self.born = START - np.sort(chance.uniform(8, 60, number))[::-1] * DAY
        self.born[plan.posts :] = np.sort(chance.uniform(START, self.end, later))

    def _populate(self) -> None:
        plan, chance = self.plan, self.chance
        activity = np.clip(chance.pareto(1.5, plan.people) + 0.25, 0.25, 8)
        self.rate = activity / activity.mean()
        new = chance.random(plan.people) < plan.newcomers
        self.joined = np.where(new, chance.uniform(START, self.end, plan.people), START)
        self.tells = new & (chance.random(plan.people) < 0.5)
        self.changed = (chance.random(plan.people) < plan.changed) & (self.joined < START + plan.change_days[0] * DAY)
        shape = (plan.sessions, plan.people, TASTES)
        self.tastes, self.strength = np.zeros((*shape, DIMENSIONS)), np.zeros(shape)
        self.wanted = np.full(shape, -1)
        points, strength, wanted = self._draw_tastes(np.full((plan.people, TASTES), -1))
        for day in range(plan.sessions):
            if day in plan.change_days:
                fresh = self._draw_tastes(wanted)
                for kept, drawn in zip((points, strength, wanted), fresh, strict=True):
                    kept[self.changed] = drawn[self.changed]
                strength[self.changed, 1:], wanted[self.changed, 1:] = 0.0, -1
            tired = chance.random(wanted.shape) < TIRED
            tired &= wanted >= 0
            wanted[tired] = chance.choice(TOPICS, int(tired.sum()), p=self.share)
            points[tired] = self._near(wanted[tired])
            points = _unit(points + WANDER * chance.standard_normal(points.shape))
            self.tastes[day], self.strength[day], self.wanted[day] = points, strength, wanted

    def _draw_tastes(self, former: Ints) -> tuple[Floats, Floats, Ints]:
        """One to four tastes for everybody, of distinct topics that are not among their former ones."""
        people = len(former)
        gumbel = np.log(self.share) + self.chance.gumbel(size=(people, TOPICS))
        for place in range(TASTES):
            had = former[:, place] >= 0
            gumbel[had, former[had, place]] = -np.inf
        wanted = np.argsort(-gumbel, axis=1)[:, :TASTES]
        number = self.chance.integers(1, TASTES + 1, people)
        present = np.arange(TASTES) < number[:, None]
        strength = np.where(present, 1 - 0.4 * self.chance.random((people, TASTES)) * (np.arange(TASTES) > 0), 0.0)
        return self._near(wanted), strength, np.where(present, wanted, -1)

    def _near(self, topics: Ints) -> Floats:
        noise = _unit(self.chance.standard_normal((*topics.shape, DIMENSIONS)))
        return _unit(self.centres[topics] + STYLE * noise)

    def _described(self) -> pd.DataFrame:
        """What is told of all posts, in the form of `frames`."""
        words = _words(self.chance, TOPICS * WORDS + COMMON)
        topical, common = words[: TOPICS * WORDS].reshape(TOPICS, WORDS), words[TOPICS * WORDS :]
        self.names = topical[:, 0]
        number = len(self.topic)
        about = topical[self.topic[:, None], self.chance.integers(WORDS, size=(number, 6))]
        idle = common[self.chance.integers(COMMON, size=(number, 6))]
        mixed = np.where(self.chance.random((number, 6)) < 0.5, about, idle)
        length = self.chance.integers(2, 7, number)
        tagged = self.chance.random(number) < 0.7
        tags = [(self.names[topic],) if told else () for topic, told in zip(self.topic, tagged, strict=True)]
        return pd.DataFrame(
            {
                ITEM: np.arange(number),
                TITLE: [" ".join(row[:end]) for row, end in zip(mixed, length, strict=True)],
                TAGS: pd.Series(tags, dtype=object),
                DURATION: self.duration,
                AUTHOR: self.creator,
                CREATED: self.born,
            }
        )


def _unit(points: npt.NDArray) -> Floats:
    made: Floats = points / np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-12)
    return made


def _words(chance: np.random.Generator, number: int) -> npt.NDArray[np.str_]:
    """Distinct words of three syllables that say nothing in any language."""
    every = len(SYLLABLES) ** 3
    return np.array(["".join(_syllables(word)) for word in chance.choice(every, number, replace=False).tolist()])


def _syllables(word: int) -> list[str]:
    many = len(SYLLABLES)
    return [SYLLABLES[part] for part in (word // many**2, word // many % many, word % many)]
