"""How long does it take to prove the audit log?

    python -m benchmarks.audit_verify [--entries 1000000] [--rounds 5] [--quick]

What `popoff audit verify` does with a living log and with an export of it, on all cores, against one pass of SHA-256
over the bytes of that export; the target is at least 0.5 of its speed. Beside it stands what hashing costs in Python
when each entry is hashed for itself, as a chain has it: nothing is read, compared or put into a tree there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
from flask import Flask

from benchmarks import audit_log, economy, harness, places
from benchmarks.harness import Sample, milliseconds
from popoff.audit import inspection, keys, queries
from popoff.audit.export import export
from popoff.audit.verify import Report, verify_export
from popoff.kernel.db import db
from popoff.web.transaction import transaction

TARGET = 0.5
PIECE = 1 << 20
NAMES = {
    "pass": "SHA-256 in one pass (the baseline)",
    "entries": "SHA-256 of each line by itself",
    "export": "verify an export",
    "live": "verify the living log",
}


def one_pass(path: Path) -> Sample:
    """The baseline, from the file."""

    def call() -> None:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)

    return harness.measure(call)


def line_by_line(path: Path) -> Sample:
    lines = path.read_bytes().splitlines(keepends=True)

    def call() -> None:
        for line in lines:
            hashlib.sha256(line).digest()

    return harness.measure(call)


def exported(path: Path, entries: int) -> Sample:
    key = keys.signer().key

    def call() -> None:
        with path.open("rb") as file:
            _check(verify_export(file, key, processes=os.cpu_count() or 1), entries)

    return harness.measure(call)


def living(app: Flask, entries: int) -> Sample:
    def call() -> None:
        with transaction():
            _check(inspection.inspect(processes=os.cpu_count() or 1), entries)

    with app.app_context():
        return harness.measure(call)


def _check(report: Report, entries: int) -> None:
    if report.problems or report.entries != entries:
        raise RuntimeError(f"{report.entries} of {entries} entries, {report.problems}")


def run(entries: int, rounds: int, results: Path | None) -> dict[str, float]:
    """Measure, print, note in `results` (None: nowhere); the speed of each as a part of the baseline's."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="popoff-bench-")))
        services = stack.enter_context(places.services())
        app = stack.enter_context(places.application(services, "log"))
        with psycopg.connect(places.address(services, "log")) as connection:
            audit_log.fill(connection, entries)
            economy.settle(connection)
        path = folder / "export.jsonl"
        with path.open("wb") as file:
            head = queries.latest_checkpoint()
            assert head is not None
            file.writelines(export(head))
        db.session.rollback()
        calls: dict[str, Callable[[], Sample]] = {
            "pass": lambda: one_pass(path),
            "entries": lambda: line_by_line(path),
            "export": lambda: exported(path, entries),
            "live": lambda: living(app, entries),
        }
        medians = harness.interleave(calls, rounds)
        size = path.stat().st_size
    return _report(medians, entries, size, rounds, results)


def _report(medians: dict[str, Sample], entries: int, size: int, rounds: int, results: Path | None) -> dict[str, float]:
    print(f"An audit log of {entries:,} entries, {size / 1e6:.0f} MB as an export; medians of {rounds}\n")
    speeds = {name: medians["pass"].wall / sample.wall for name, sample in medians.items()}
    rows = [
        (NAMES[name], milliseconds(s.wall), f"{size / s.wall / 1e6:.0f}", f"{s.wall / entries * 1e6:.2f}",
         f"{speeds[name]:.3f}")
        for name, s in medians.items()
    ]  # fmt: skip
    print(harness.table(["what", "ms", "MB a second", "µs an entry", "of the baseline"], rows))
    print(
        f"\nan export is verified at {speeds['export']:.3f} of the baseline's speed, the living log at"
        f" {speeds['live']:.3f} (target: at least {TARGET})"
    )
    if results is not None:
        seconds = {name: round(sample.wall, 4) for name, sample in medians.items()}
        figures = {"entries": entries, "bytes": size, "rounds": rounds, "seconds": seconds, "speeds": speeds}
        harness.record("audit_verify", figures, results)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description="How long does it take to prove the audit log?")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="at most 100,000 entries")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="file to append the figures to")
    chosen = parser.parse_args()
    run(min(chosen.entries, 100_000) if chosen.quick else chosen.entries, chosen.rounds, chosen.results)


if __name__ == "__main__":
    main()
