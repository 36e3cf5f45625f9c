"""The key the platform makes for itself."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import config
from popoff.kernel.secrets import kept_secret

READ = "import sys; from pathlib import Path; from popoff.kernel.secrets import kept_secret; "
READ += "sys.stdin.read(); print(kept_secret(Path(sys.argv[1])))"


def test_the_key_stays_the_same_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "secret.key"
    secret = kept_secret(file)
    assert len(bytes.fromhex(secret)) == 32
    assert kept_secret(file) == secret
    assert file.stat().st_mode & 0o077 == 0
    assert list(file.parent.iterdir()) == [file]


def test_two_platforms_have_two_keys(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "a") != kept_secret(tmp_path / "b")


def test_threads_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(kept_secret, [tmp_path / "secret.key"] * 32))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", READ, str(tmp_path / "secret.key")]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=config.PROJECT)

    started = [start() for _ in range(3)]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    said = set()
    for process in started:
        with process:
            assert process.stdout is not None
            said.add(process.stdout.read())
    assert len(said) == 1


@pytest.mark.parametrize("rest", ["", "\n", "0f3a"])
def test_a_key_that_was_cut_short_is_refused(tmp_path: Path, rest: str) -> None:
    file = tmp_path / "secret.key"
    file.write_text(rest)
    with pytest.raises(config.SettingError, match="is damaged: remove it"):
        kept_secret(file)
