"""The benchmark of the feed still runs; what it finds on a busy machine is not judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import feed_growth, harness
from benchmarks.harness import Sample


@pytest.mark.xdist_group("live")
def test_the_growth_of_the_feed_is_measured_and_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    growth = feed_growth.run([120, 60], seen=10, rounds=2, results=results)
    printed = capsys.readouterr().out
    assert f"feed     {growth:.2f} times as long" in printed
    (line,) = results.read_text().splitlines()
    noted = json.loads(line)
    assert noted["growth"] == growth > 0
    assert set(noted["medians"]) == {"feed 60", "feed 120", "old way 60", "old way 120"}
    assert all(0 < wall < 60 for wall, *_ in noted["medians"].values())


def test_calls_are_measured_in_turns_and_back_again() -> None:
    order: list[str] = []

    def call(name: str, wall: float) -> Sample:
        order.append(name)
        return Sample(wall * len(order), 0.0)

    medians = harness.interleave({"a": lambda: call("a", 1.0), "b": lambda: call("b", 10.0)}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert medians == {"a": Sample(4.0, 0.0), "b": Sample(30.0, 0.0)}


def test_a_table_stands_in_columns() -> None:
    assert harness.table(["what", "ms"], [("feed", "1.50"), ("old way", 120)]) == (
        "what       ms\nfeed     1.50\nold way   120"
    )
