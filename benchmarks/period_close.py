"""How long does it take to close a period?

    python -m benchmarks.period_close [--creators 10000] [--posts 100000] [--gifts 1000000] [--views 1000000] [--quick]

Closes a period to its end (fixed, frozen, every statement paid: each step of `periods.advance` in a transaction of
its own) in an embedded PostgreSQL as durable as by default. The baseline is one SQL aggregate over the same rows
(gifts, views and scores, grouped by post, fetched by a plain driver), run before and after it; the target is 3 times as
long, with less than 1 GiB of memory at the peak of this process. Each round has a fresh copy of one database, and at
the end the books are checked.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import economy, harness, places
from benchmarks.economy import Size
from benchmarks.harness import Sample, milliseconds
from popoff.embedded import Services
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import checks as ledger_checks
from popoff.rewards import checks, periods
from popoff.rewards.models import Period
from popoff.web.transaction import transaction

TARGET, MEMORY_MIB = 3.0, 1024
POOL = Minor(10**9)

AGGREGATE = """
SELECT posts.id, posts.user_id, given.amount, given.number, seen.number, seen.watch_ms, engagement.score, quality.score
  FROM posts
  LEFT JOIN (SELECT post_id, sum(amount) AS amount, count(*) AS number FROM gifts
              WHERE created_at >= %(start)s AND created_at < %(end)s GROUP BY post_id) AS given
    ON given.post_id = posts.id
  LEFT JOIN (SELECT post_id, sum(watch_ms) AS watch_ms, count(*) AS number FROM views
              WHERE first_at >= %(start)s AND first_at < %(end)s GROUP BY post_id) AS seen
    ON seen.post_id = posts.id
  LEFT JOIN engagement_scores AS engagement ON engagement.post_id = posts.id
  LEFT JOIN quality_scores AS quality ON quality.post_id = posts.id
"""


@dataclass(frozen=True)
class Round:
    """One closing, in its two parts, and the baseline before and after it."""

    baselines: tuple[float, float]
    freezing: float
    paying: float

    @property
    def closing(self) -> float:
        return self.freezing + self.paying

    @property
    def ratio(self) -> float:
        return self.closing / (sum(self.baselines) / 2)


def aggregate(address: str, posts: int) -> Sample:
    """The baseline."""
    start, end = economy.period()
    with psycopg.connect(address) as connection:

        def call() -> None:
            rows = connection.execute(AGGREGATE, {"start": start, "end": end}).fetchall()
            if len(rows) != posts:
                raise RuntimeError(f"{len(rows)} posts instead of {posts}")

        return harness.measure(call)


def close() -> tuple[float, float]:
    """Close the period in the database of this application; seconds until it was frozen, and from then on."""
    start, end = economy.period()

    def begin() -> None:
        with transaction():
            period = periods.close(start, end, by=None, ad_pool=POOL, creator_fund=POOL)
        ids.append(period.id)
        _advance(period.id)

    def finish() -> None:
        while _advance(ids[0]):
            pass

    ids: list[int] = []
    return harness.measure(begin).wall, harness.measure(finish).wall


def _advance(period_id: int) -> bool:
    with transaction():
        return periods.advance(period_id)


def prove() -> None:
    """The period is closed and the books are right. Raises RuntimeError."""
    problems = [*ledger_checks.check(), *checks.check()]
    states = list(db.session.scalars(db.select(Period.state)))
    if problems or states != ["closed"]:
        raise RuntimeError(f"closing went wrong: {states}, {problems}")


def run(size: Size, rounds: int, results: Path | None) -> float:
    """Measure, print, note in `results` (None: nowhere); how many times the baseline a closing takes."""
    with places.services() as services:
        with places.application(services, "filled"), psycopg.connect(places.address(services, "filled")) as connection:
            economy.fill(connection, size)
        before = _peak()
        taken = list(_rounds(services, size, rounds))
    return _report(size, taken, before, results)


def _rounds(services: Services, size: Size, rounds: int) -> Iterator[Round]:
    for number in range(rounds):
        name = f"round_{number}"
        with places.application(services, name, template="filled"):
            address = places.address(services, name)
            first = aggregate(address, size.posts)
            freezing, paying = close()
            second = aggregate(address, size.posts)
            yield Round((first.wall, second.wall), freezing, paying)
            if number == rounds - 1:
                prove()
        places.drop(services, name)


def _peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _report(size: Size, taken: list[Round], before: float, results: Path | None) -> float:
    peak = _peak()
    baseline = median(value for one in taken for value in one.baselines)
    freezing, paying = median(one.freezing for one in taken), median(one.paying for one in taken)
    ratio = median(one.ratio for one in taken)
    print(
        f"Closing a period of {size.creators:,} creators, {size.posts:,} posts, {size.gifts:,} gifts and"
        f" {size.views:,} views, medians of {len(taken)} in milliseconds\n"
    )
    rows = [
        ("one aggregate (the baseline)", milliseconds(baseline), "1.00"),
        ("closing", milliseconds(freezing + paying), f"{ratio:.2f}"),
        ("  until it is frozen", milliseconds(freezing), f"{freezing / baseline:.2f}"),
        ("  paying its statements", milliseconds(paying), f"{paying / baseline:.2f}"),
    ]
    print(harness.table(["what", "passed", "times"], rows))
    print(f"\nclosing takes {ratio:.2f} times as long as the baseline (target: at most {TARGET:g})")
    print(f"this process had at most {peak:.0f} MiB, {before:.0f} before closing (target: below {MEMORY_MIB})")
    if results is not None:
        figures = {"baseline": baseline, "freezing": freezing, "paying": paying, "ratio": ratio, "peak_mib": peak}
        rounded = {name: round(value, 4) for name, value in figures.items()}
        harness.record("period_close", {**vars(size), "rounds": len(taken), **rounded}, results)
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description="How long does it take to close a period?")
    parser.add_argument("--creators", type=int, default=10_000)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--gifts", type=int, default=1_000_000)
    parser.add_argument("--views", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="periods that are closed, each in a fresh copy")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="file to append the figures to")
    chosen = parser.parse_args()
    part = 10 if chosen.quick else 1
    numbers = (chosen.creators, chosen.posts, chosen.gifts, chosen.views)
    run(Size(*(number // part for number in numbers)), chosen.rounds, chosen.results)


if __name__ == "__main__":
    main()
