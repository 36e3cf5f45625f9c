"""Tampering with an export, byte by byte and line by line: every change is found."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from popoff.audit import verify
from popoff.audit.verify import BLOCK, Damaged, Key, Lines, Report, footer_line, verify_export
from tests.support.audit import OTHER_SIGNER, SIGNER, chain, entries, export, head, header, lines

ENTRIES = entries(5)
EXPORT = export(ENTRIES)
LONG = 2 * BLOCK + 300


def checked(data: bytes, key: Key | None = SIGNER.key, checkpoint: str | None = None, processes: int = 1) -> Report:
    return verify_export(io.BytesIO(data), key, checkpoint, processes=processes)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, BLOCK - 1, BLOCK, BLOCK + 1, LONG])
def test_an_untouched_export_is_in_order(count: int) -> None:
    canonical = entries(count)
    hashes = chain(canonical)
    report = checked(export(canonical), checkpoint=SIGNER.sign(head(hashes[: count // 2])))
    assert (report.problems, report.entries, report.root) == ([], count, head(hashes).root)


def test_several_processes_find_the_same_as_one() -> None:
    data = export(entries(10 * BLOCK))
    assert checked(data, processes=2) == checked(data)
    damaged = data.replace(b'"post":40000}', b'"post":40001}')
    assert damaged != data
    assert checked(damaged, processes=2) == checked(damaged)
    assert "entry 40000 was changed" in checked(damaged).problems[0]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Exports as files, checked in blocks of 256 entries."""
    monkeypatch.setattr(verify, "BLOCK", 256)

    def write(data: bytes) -> Path:
        (tmp_path / "export.jsonl").write_bytes(data)
        return tmp_path / "export.jsonl"

    return write


@pytest.mark.parametrize("count", [5, 256 * 4, 256 * 4 + 1, 256 * 6 - 1, 256 * 7, 2000])
def test_several_processes_that_read_the_file_themselves_find_the_same_as_one(
    file: Callable[[bytes], Path], count: int
) -> None:
    whole = export(entries(count))
    damaged = whole.replace(b'"post":%d,' % (count - 2), b'"post":0,').replace(
        b'"post":%d}' % (count - 2), b'"post":0}'
    )
    for data in (whole, damaged, whole[:-9], whole.replace(b'"seq":%d}\n' % (count // 2), b'"seq":7}\n')):
        with file(data).open("rb") as opened:
            report = verify_export(opened, SIGNER.key, processes=2)
        assert report == checked(data)
        assert (report.problems == []) == (data == whole)


def test_a_file_that_is_cut_off_while_it_is_read_is_damaged(file: Callable[[bytes], Path]) -> None:
    path = file(export(entries(300)))
    with pytest.raises(Damaged, match="while it was read"):
        verify.check_lines(Lines(0, bytes(32), (str(path), 0, 400)))


def test_an_export_from_a_pipe_is_checked_by_several_processes(file: Callable[[bytes], Path]) -> None:
    data = export(entries(2000))
    with subprocess.Popen(["cat", str(file(data))], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        assert verify_export(cast(BinaryIO, cat.stdout), SIGNER.key, processes=2) == checked(data)


def test_each_line_is_json_for_everybody() -> None:
    first, *middle, last = [json.loads(line) for line in EXPORT.splitlines()]
    assert first == {"format": "popoff-audit-1", "key": str(SIGNER.key)}
    assert [line["seq"] for line in middle] == [0, 1, 2, 3, 4]
    assert last["checkpoint"].splitlines()[1] == "5"


@pytest.mark.parametrize("change", [lambda byte: byte ^ 1, lambda byte: byte ^ 0x20, lambda byte: (byte + 1) % 256])
def test_any_changed_byte_is_found(change: Callable[[int], int]) -> None:
    for at, byte in enumerate(EXPORT):
        assert checked(EXPORT[:at] + bytes([change(byte)]) + EXPORT[at + 1 :], None).problems, at


def test_any_removed_byte_is_found() -> None:
    for at in range(len(EXPORT)):
        assert checked(EXPORT[:at] + EXPORT[at + 1 :], None).problems, at


@pytest.mark.parametrize("inserted", [b"0", b" ", b"\n", b"\\", b"\xff"])
def test_any_inserted_byte_is_found(inserted: bytes) -> None:
    for at in range(len(EXPORT) + 1):
        assert checked(EXPORT[:at] + inserted + EXPORT[at:], None).problems, at


def test_any_two_swapped_bytes_are_found() -> None:
    for at in range(len(EXPORT) - 1):
        if EXPORT[at] != EXPORT[at + 1]:
            swapped = bytes([EXPORT[at + 1], EXPORT[at]])
            assert checked(EXPORT[:at] + swapped + EXPORT[at + 2 :], None).problems, at


def test_an_export_that_was_cut_off_anywhere_is_found() -> None:
    for length in range(len(EXPORT)):
        assert checked(EXPORT[:length], None).problems, length


def rows() -> list[bytes]:
    return EXPORT.splitlines(keepends=True)


@pytest.mark.parametrize("at", range(len(rows())))
def test_any_removed_or_repeated_line_is_found(at: int) -> None:
    kept = rows()
    assert checked(b"".join([*kept[:at], *kept[at + 1 :]]), None).problems
    assert checked(b"".join([*kept[: at + 1], *kept[at:]]), None).problems


@pytest.mark.parametrize("first", range(len(rows()) - 1))
def test_any_two_swapped_lines_are_found(first: int) -> None:
    for second in range(first + 1, len(rows())):
        swapped = rows()
        swapped[first], swapped[second] = swapped[second], swapped[first]
        assert checked(b"".join(swapped), None).problems


def forged(canonical: Sequence[bytes], footer: bytes) -> bytes:
    """An export with all hashes computed anew."""
    return b"".join([header(), *lines(canonical, chain(canonical)), footer])


OTHERS = [
    pytest.param([*ENTRIES[:3], ENTRIES[3].replace(b"gift:3", b"gift:9"), ENTRIES[4]], id="an entry rewritten"),
    pytest.param([*ENTRIES[:3], ENTRIES[4], ENTRIES[3]], id="two entries swapped"),
    pytest.param([*ENTRIES[:4]], id="the last one dropped"),
    pytest.param([*ENTRIES[1:]], id="the first one dropped"),
    pytest.param([*ENTRIES, entries(6)[5]], id="one added"),
    pytest.param([], id="all dropped"),
]


@pytest.mark.parametrize("canonical", OTHERS)
def test_a_chain_computed_anew_does_not_fit_the_signed_checkpoint(canonical: list[bytes]) -> None:
    assert checked(forged(canonical, rows()[-1]), None).problems


@pytest.mark.parametrize("canonical", OTHERS)
def test_a_checkpoint_signed_with_another_key_is_not_believed(canonical: list[bytes]) -> None:
    note = OTHER_SIGNER.sign(head(chain(canonical)))
    assert checked(forged(canonical, footer_line(note)), None).problems
    whole = export(canonical, OTHER_SIGNER)
    assert not checked(whole, None).problems, "consistent in itself: this is why one gives the key"
    assert checked(whole, SIGNER.key).problems


@pytest.mark.parametrize("canonical", OTHERS)
def test_a_log_rewritten_by_the_holder_of_the_key_is_found_by_a_checkpoint_kept_outside(canonical: list[bytes]) -> None:
    kept = SIGNER.sign(head(chain(ENTRIES)))
    rewritten = export(canonical)
    assert not checked(rewritten).problems
    if canonical[:5] == ENTRIES:
        assert not checked(rewritten, checkpoint=kept).problems, "it only goes on"
    else:
        assert checked(rewritten, checkpoint=kept).problems


def test_a_checkpoint_from_outside_must_be_signed_itself() -> None:
    assert checked(EXPORT, checkpoint=OTHER_SIGNER.sign(head(chain(ENTRIES)))).problems == [
        "the checkpoint is not signed with this key"
    ]


def test_entries_missing_at_the_end_are_counted() -> None:
    kept = SIGNER.sign(head(chain(ENTRIES)))
    assert checked(export(ENTRIES[:3]), checkpoint=kept).problems == ["2 entries are missing at the end"]


def test_damage_in_several_blocks_is_found_in_all_of_them() -> None:
    data = export(entries(LONG))
    damaged = data.replace(b'"post":17}', b'"post":18}').replace(b'"post":5000}', b'"post":5001}')
    found = [int(number) for problem in checked(damaged).problems for number in re.findall(r"\d+", problem)]
    assert found == [17, 5000]


def test_a_deeply_nested_end_is_no_end() -> None:
    assert checked(EXPORT[: -len(rows()[-1])] + b"[" * 100_000 + b"\n").problems


@pytest.fixture
def outsider(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The verifier as a file of its own, in a Python that sees nothing of this project."""
    shutil.copy(verify.__file__, tmp_path / "verify.py")

    def run(data: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "export.jsonl").write_bytes(data)
        command = [sys.executable, "-I", "-S", "verify.py", "export.jsonl", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_an_outsider_needs_only_python(
    outsider: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text(SIGNER.sign(head(chain(ENTRIES[:2]))), encoding="utf-8")
    whole = outsider(EXPORT, "--key", str(SIGNER.key), "--checkpoint", "kept")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout == f"5 entries, nothing is wrong. Root {head(chain(ENTRIES)).root.hex()}\n"
    assert "The key was taken from the export itself" in outsider(EXPORT).stdout
    damaged = outsider(EXPORT.replace(b'"amount":100', b'"amount":900'))
    assert (damaged.returncode, damaged.stdout[:9]) == (1, "DAMAGED: ")


@pytest.mark.parametrize("arguments", [["--key", "nonsense"], ["--checkpoint", "missing"]])
def test_an_outsider_who_gives_the_wrong_thing_is_told(
    outsider: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str]
) -> None:
    ended = outsider(EXPORT, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
