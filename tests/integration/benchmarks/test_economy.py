"""The benchmarks of the creator economy still run; what they find on a busy machine is not judged here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import audit_verify, gifts, period_close
from benchmarks.economy import Size

pytestmark = pytest.mark.xdist_group("live")


def _noted(results: Path) -> dict[str, Any]:
    (line,) = results.read_text().splitlines()
    noted: dict[str, Any] = json.loads(line)
    return noted


def test_gifts_are_measured_beside_bare_transactions_and_under_a_longer_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.jsonl"
    share, growth = gifts.run([10, 300], count=2, rounds=1, results=results)
    printed = capsys.readouterr().out
    assert f"{share:.2f} of the baseline's gifts a second (target: at least 0.5)" in printed
    assert f"{growth:.2f} times as long with 300 entries (target: at most 1.2)" in printed
    noted = _noted(results)
    assert noted["share"] == share > 0
    assert noted["growth"] == growth > 0
    assert all(0 < wall < 60 for wall, _ in noted["seconds_each"].values())
    assert set(noted["seconds_each"]) == {"bare", "small", "large"}


def test_verifying_a_log_and_its_export_is_measured_beside_hashing_the_same_entries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.jsonl"
    speeds = audit_verify.run(entries=600, rounds=1, results=results)
    printed = capsys.readouterr().out
    assert f"an export is verified at {speeds['export']:.3f} of the baseline's speed" in printed
    noted = _noted(results)
    assert noted["speeds"] == speeds
    assert speeds["entries"] == 1
    assert min(speeds["export"], speeds["live"]) > 0
    assert noted["entries"] == 600
    assert noted["bytes"] > 600 * 300


def test_a_whole_period_is_closed_with_right_books_beside_one_aggregate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.jsonl"
    size = Size(creators=310, posts=620, gifts=500, views=900)  # two batches of statements
    ratio = period_close.run(size, rounds=2, results=results)
    printed = capsys.readouterr().out
    assert f"closing takes {ratio:.2f} times as long as the baseline (target: at most 3)" in printed
    noted = _noted(results)
    assert noted["ratio"] == pytest.approx(ratio, abs=0.001)
    assert (noted["creators"], noted["posts"], noted["gifts"], noted["views"]) == (310, 620, 500, 900)
    assert 0 < noted["baseline"] < 60
    assert noted["peak_mib"] > 0
