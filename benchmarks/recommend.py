"""What does a page of the feed cost?

    python -m benchmarks.recommend [--people 10000] [--posts 100000] [--rounds 9] [--quick]

`FeedModel.recommend` of 20 posts for one warm person after the other, from a feed that was saved and mapped again as
web processes do it, against one item-kNN lookup for the same people (`models_ml.ranking.baselines`: the same posts
ranked by those that share their audience, and nothing else). CPU of one process; the target is at most 3 ms a page.
Also what it costs to load the feed, and to learn from one event. The platform is drawn: each person is fond of three
topics of fifty, posts are liked by a power law, and the ranker has learnt from a small one of the same kind.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import harness
from benchmarks.harness import Sample, milliseconds
from models_ml.ranking.baselines import Baseline, baseline
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import Ranker

TARGET_MS = 3.0
PLACES, EVENTS, TOPICS, WORDS = 20, 60, 50, 40
"""Posts of a page, events of a person, topics, and words of each topic."""
AT_ONCE = 100
SCHOOL = 300, 3000
"""People and posts that a ranker learns from, at most."""
START, DAY = 1_750_000_000.0, 86400.0
DAYS = 20


@dataclass(frozen=True)
class Drawn:
    events: pd.DataFrame
    items: pd.DataFrame

    @property
    def now(self) -> float:
        return START + DAYS * DAY


def draw(people: int, posts: int, seed: int = 0) -> Drawn:
    """A platform with as many events of each person, in order of time."""
    chance = np.random.default_rng(seed)
    topic = chance.permutation(np.arange(posts) % TOPICS)
    fame = chance.pareto(1.2, posts) + 1
    fond = chance.integers(0, TOPICS, (people, 3))
    person = np.repeat(np.arange(people), EVENTS)
    wanted = fond[person, chance.integers(0, 3, len(person))]
    post = np.zeros(len(person), dtype=np.int64)
    for number in range(TOPICS):
        own, asked = np.flatnonzero(topic == number), wanted == number
        post[asked] = chance.choice(own, int(asked.sum()), p=fame[own] / fame[own].sum())
    events = pd.DataFrame(
        {
            "user_id": person,
            "item_id": post,
            "ts": START + chance.random(len(person)) * DAYS * DAY,
            "watch_ms": chance.random(len(person)) * 20_000,
            "duration_ms": 20_000.0,
            "like": chance.random(len(person)) < 0.2,
        }
    )
    words = chance.integers(0, WORDS, (posts, 5)) + topic[:, None] * WORDS
    items = pd.DataFrame(
        {
            "item_id": np.arange(posts),
            "title": [" ".join(f"w{word}" for word in row) for row in words.tolist()],
            "tags": [[f"t{number}"] for number in topic.tolist()],
            "author_id": chance.integers(0, max(1, posts // 11), posts),
            "created": START + (chance.random(posts) - 0.1) * DAYS * DAY,
            "duration_ms": 20_000.0,
        }
    )
    return Drawn(events.sort_values("ts", ignore_index=True), items)


def trained(people: int, posts: int) -> Ranker:
    """A ranker of full size, of a platform that is no larger than it needs."""
    small = draw(min(people, SCHOOL[0]), min(posts, SCHOOL[1]), seed=1)
    return FeedModel().fit(small.events, small.items).ranker


def run(people: int, posts: int, rounds: int, results: Path | None) -> float:
    """Measure, print, note in `results` (None: nowhere); milliseconds of CPU a page."""
    drawn = draw(people, posts)
    rival = baseline("item-kNN").fit(drawn.events, drawn.items)
    with tempfile.TemporaryDirectory(prefix="popoff-bench-") as folder:
        FeedModel().fit(drawn.events, drawn.items, trained(people, posts)).save(folder + "/feed")
        load = statistics.median(harness.measure(lambda: FeedModel.load(folder + "/feed")).wall for _ in range(5))
        feed = FeedModel.load(folder + "/feed")
        asked = np.random.default_rng(2).permutation(people)[:AT_ONCE].tolist()
        calls: dict[str, Callable[[], Sample]] = {
            "item-kNN": lambda: _pages(rival, asked, drawn.now),
            "feed": lambda: _pages(feed, asked, drawn.now),
        }
        for call in calls.values():
            call()  # pages of the file are touched, and libraries warm
        medians = harness.interleave(calls, rounds)
        learn = harness.measure(lambda: [feed.observe(event) for event in _later(drawn, asked)])
    return _report(medians, load, learn.cpu / len(asked), {"people": people, "posts": posts, "rounds": rounds}, results)


def _pages(model: FeedModel | Baseline, people: list[int], now: float) -> Sample:
    sample = harness.measure(lambda: [model.recommend([person], PLACES, True, now) for person in people])
    return Sample(sample.wall / len(people), sample.cpu / len(people))


def _later(drawn: Drawn, people: list[int]) -> list[dict[str, Any]]:
    liked = drawn.events["item_id"].to_numpy()[: len(people)].tolist()
    return [
        {"user_id": person, "item_id": post, "ts": drawn.now, "like": True}
        for person, post in zip(people, liked, strict=True)
    ]


def _report(medians: dict[str, Sample], load: float, learn: float, size: dict[str, int], results: Path | None) -> float:
    page, lookup = medians["feed"].cpu, medians["item-kNN"].cpu
    print(
        f"{size['people']:,} people, {size['posts']:,} posts, pages of {PLACES}; medians of {size['rounds']} rounds\n"
    )
    names = {"item-kNN": "one item-kNN lookup (the baseline)", "feed": "a page of the feed"}
    rows = [
        (names[name], milliseconds(sample.cpu), milliseconds(sample.wall), f"{sample.cpu / lookup:.2f}")
        for name, sample in medians.items()
    ]
    print(harness.table(["what", "CPU ms", "ms", "of the baseline"], rows))
    print(f"\nloading the feed {milliseconds(load)} ms, learning from an event {milliseconds(learn)} ms of CPU")
    verdict = "reached" if page * 1000 <= TARGET_MS else "MISSED"
    print(f"a page costs {milliseconds(page)} ms of CPU (target: at most {TARGET_MS:g}): {verdict}")
    if results is not None:
        seconds = {"page": page, "lookup": lookup, "load": load, "learn": learn}
        harness.record("recommend", {**size, "cpu_s": seconds, "ratio": page / lookup}, results)
    return page * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="What does a page of the feed cost?")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="at most 2,000 people and 20,000 posts")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="file to append the figures to")
    chosen = parser.parse_args()
    people, posts = chosen.people, chosen.posts
    if chosen.quick:
        people, posts = min(people, 2_000), min(posts, 20_000)
    run(people, posts, chosen.rounds, chosen.results)


if __name__ == "__main__":
    main()
