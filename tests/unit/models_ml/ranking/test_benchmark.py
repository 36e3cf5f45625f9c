"""The benchmark of pages still runs; what it finds on a busy machine is not judged here."""

import json
from pathlib import Path

import pytest

from benchmarks import recommend


def test_the_cost_of_a_page_is_measured_and_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page_ms = recommend.run(people=20, posts=150, rounds=1, results=tmp_path / "results.jsonl")
    assert f"a page costs {page_ms:.2f} ms" in capsys.readouterr().out
    noted = json.loads((tmp_path / "results.jsonl").read_text())
    assert noted["ratio"] > 0
    assert all(0 < seconds < 60 for seconds in noted["cpu_s"].values())
