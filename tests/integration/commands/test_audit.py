from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask

import config
from popoff.cli import main
from popoff.kernel.db import db
from tests.integration.audit.conftest import execute, fill, record
from tests.support.command_line import popoff
from workers.base import transaction


@pytest.fixture
def log(platform_db: Flask) -> Iterator[None]:
    """A log of five entries and a sixth that has no place yet."""
    with platform_db.app_context():
        fill(5)
        with transaction():
            record(6)
        yield


def verify(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", *map(str, arguments)])


def test_the_living_log_is_verified(log: None) -> None:
    said = verify()
    assert (said.exit_code, said.output[:28]) == (0, "5 entries, nothing is wrong.")
    execute("ALTER TABLE audit_entries DISABLE TRIGGER append_only")
    execute("UPDATE audit_entries SET amount = 1 WHERE id = 3")
    execute("ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER append_only")
    db.session.commit()
    said = verify()
    assert (said.exit_code, said.output) == (
        1,
        "DAMAGED: entry 2 was changed, or one was removed or inserted before it\n",
    )


def test_an_export_holds_all_that_has_committed_and_is_verified_alone(log: None, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in popoff("audit", "export").output.splitlines()]
    assert [line["entry"]["data"]["post"] for line in lines[1:-1]] == [0, 1, 2, 3, 4, 6]
    file = tmp_path / "log.jsonl"
    popoff("audit", "export", file)
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == lines
    assert verify("--file", file).output.startswith("6 entries, nothing is wrong.")
    file.write_bytes(file.read_bytes().replace(b'"post":3', b'"post":9'))
    assert verify("--file", file).exit_code == 1


def test_a_checkpoint_that_was_kept_is_held_against_the_log_and_against_exports(log: None, tmp_path: Path) -> None:
    kept, file = tmp_path / "checkpoint", tmp_path / "log.jsonl"
    kept.write_text(popoff("audit", "checkpoint").output, encoding="utf-8")
    popoff("audit", "export", file)
    for arguments in ([], ["--file", file]):
        assert verify("--checkpoint", kept, *arguments).exit_code == 0
    kept.write_text(kept.read_text("utf-8").replace("\n6\n", "\n5\n"), encoding="utf-8")
    for arguments in ([], ["--file", file]):
        said = verify("--checkpoint", kept, *arguments)
        assert (said.exit_code, "signature of the checkpoint is wrong" in said.output) == (1, True)


def test_an_export_of_another_platform_needs_its_key(log: None, tmp_path: Path) -> None:
    file, key = tmp_path / "log.jsonl", popoff("audit", "key").output.strip()
    popoff("audit", "export", file)
    with config.override(audit_key="ef" * 32):
        assert "another log" in verify("--file", file).output
        assert verify("--file", file, "--key", key).exit_code == 0
        assert verify("--file", file, "--key", "nonsense").exit_code == 2
    with config.override(home=tmp_path / "new"):
        assert "The key was taken from the export itself" in verify("--file", file).output
        assert not (tmp_path / "new").exists(), "looking at an export makes no key"
