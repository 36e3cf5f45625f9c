"""How long does it take to prove the audit log?

    python -m benchmarks.audit_verify [--entries 1000000] [--rounds 5] [--quick]

What `popoff audit verify` does with a living log and with an export of it, on all cores, against SHA-256 over the
same bytes on one core; the target is at least 0.5 of its speed. The baseline hashes the lines of the export one by one,
because that is what a chain and a tree ask for: a hash an entry, each called for from Python, which costs more than
the hashing. Nothing is read, compared or put into a tree there; a verification hashes each entry, a node of the tree
beside it, and does the rest. One pass over the whole file as a single message stands below: it proves no entry and no
verifier of entries in Python comes near it, but it is what the processor could do.
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
    "entries": "SHA-256 of each line by itself (the baseline)",
    "pass": "SHA-256 of the file in one pass",
    "export": "verify an export",
    "live": "verify the living log",
}


def line_by_line(path: Path) -> Sample:
    """The baseline, with the lines in memory."""
    lines = path.read_bytes().splitlines(keepends=True)

    def call() -> None:
        for line in lines:
            hashlib.sha256(line).digest()

    return harness.measure(call)


def one_pass(path: Path) -> Sample:
    def call() -> None:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)

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
            "entries": lambda: line_by_line(path),
            "pass": lambda: one_pass(path),
            "export": lambda: exported(path, entries),
            "live": lambda: living(app, entries),
        }
        medians = harness.interleave(calls, rounds)
        size = path.stat().st_size
    return _report(medians, entries, size, rounds, results)


def _report(medians: dict[str, Sample], entries: int, size: int, rounds: int, results: Path | None) -> dict[str, float]:
    print(f"An audit log of {entries:,} entries, {size / 1e6:.0f} MB as an export; medians of {rounds}\n")
    speeds = {name: medians["entries"].wall / sample.wall for name, sample in medians.items()}
    rows = [
        (NAMES[name], milliseconds(s.wall), f"{size / s.wall / 1e6:.0f}", f"{s.wall / entries * 1e6:.2f}",
         f"{speeds[name]:.3f}")
        for name, s in medians.items()
    ]  # fmt: skip
    print(harness.table(["what", "ms", "MB a second", "µs an entry", "of the baseline"], rows))
    print(
        f"\nan export is verified at {speeds['export']:.3f} of the baseline's speed, the living log at"
        f" {speeds['live']:.3f} (target: at least {TARGET})\n"
        "The baseline hashes each entry by itself, as a chain must; one pass over the bytes proves no entry."
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
