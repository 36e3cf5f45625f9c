"""What the benchmarks share: interleaved measuring, medians, a table, and a line of results a run."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config
from popoff.kernel import clock

RESULTS = Path(__file__).parent / "results.jsonl"


@dataclass(frozen=True)
class Sample:
    """One call: seconds that passed, and seconds of CPU by this process and by those it waited for."""

    wall: float
    cpu: float
    served: float = 0.0


def measure(call: Callable[[], object], served: Iterable[int] = ()) -> Sample:
    """Time one call; `served` are ids of other processes that work for it (database backends)."""
    pids = list(served)
    before, cpu, wall = _cpu_of(pids), time.process_time(), time.perf_counter()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall, cpu, _cpu_of(pids) - before)


def _cpu_of(pids: Sequence[int]) -> float:
    """Seconds of CPU that Linux has given to these processes."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def interleave(calls: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, Sample]:
    """Medians of each call over `rounds`, taken in turns (and back again), so that a busy moment hits all alike."""
    taken: dict[str, list[Sample]] = {name: [] for name in calls}
    for number in range(rounds):
        for name in list(calls) if number % 2 == 0 else list(calls)[::-1]:
            taken[name].append(calls[name]())
    return {name: _median(samples) for name, samples in taken.items()}


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(*(statistics.median(getattr(s, field) for s in samples) for field in ("wall", "cpu", "served")))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Text in columns: the first to the left, numbers to the right."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, len(row)))] for row in cells)
    return "\n".join("  ".join(line) for line in lines)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def record(benchmark: str, figures: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Append what a run found, with the moment and the commit it ran on."""
    line = {"benchmark": benchmark, "at": clock.rfc3339(clock.now()), "commit": _commit(), **figures}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _commit() -> str:
    """The commit in the work tree, with a + when files differ from it; empty outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--exclude", "*", "--dirty=+"],
            cwd=config.PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return described.stdout.strip()
