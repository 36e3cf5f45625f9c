#!/usr/bin/env python3
"""Proves an export of a PopOff audit log with nothing but Python (3.10 or later) and the log's public key.

    python verify.py EXPORT [--key KEY] [--checkpoint FILE]

EXPORT is what `popoff audit export` wrote; KEY is the public key of the log; FILE is a checkpoint of the log that was
kept where its operator cannot reach it. Without KEY the key in the export is believed:
that shows damage, but not a log that somebody wrote and signed anew. A checkpoint of one's own shows that, too.
Exit code: 0 nothing is wrong, 1 something is, 2 it could not be tried.

The format, line by line (each ends with a line feed, and no byte may differ):

    {"format":"popoff-audit-1","key":"<name>+<id>+<base64>"}
    {"entry":<canonical JSON>,"hash":"<64 hexadecimal digits>","seq":0}
    ...
    {"checkpoint":"<the signed tree head over all entries above, as a JSON string>"}

hash = SHA-256(0x00 ‖ hash of the entry before, 32 zero bytes for the first ‖ the canonical JSON as it stands). These
hashes are the leaves of the Merkle tree of RFC 9162, whose root is in the checkpoint. Checkpoints and keys are in the
formats of C2SP (tlog-checkpoint, signed-note) with an Ed25519 signature.

This file imports nothing of PopOff, so that it can be read and run by people who do not trust PopOff.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import itertools
import json
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

FORMAT = "popoff-audit-1"
GENESIS = bytes(32)
BLOCK = 4096
"""Entries that are hashed at a time; a power of two, so that each full block is a complete subtree."""
TILE = 256

_sha256 = hashlib.sha256
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Damaged(Exception):
    """Something is not what it should be; the message says where."""


# The Merkle tree of RFC 9162


def leaf_hash(data: bytes) -> bytes:
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The complete subtrees over `leaves`: `levels(...)[k][i]` covers the 2^k leaves from i * 2^k on."""
    grown = [list(leaves)]
    while len(grown[-1]) > 1:
        pairs = iter(grown[-1])
        grown.append([_sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)])
    return grown


def fold(roots: Sequence[bytes]) -> bytes:
    """The root of a tree from its complete subtrees, the largest first."""
    if not roots:
        return _sha256(b"").digest()
    *others, root = roots
    for other in reversed(others):
        root = node_hash(other, root)
    return root


def root_of(grown: Sequence[Sequence[bytes]], size: int, rest: bytes | None = None) -> bytes:
    """The root over the first `size` leaves of `levels(...)`, and over a smaller tree with the root `rest`."""
    roots, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            roots.append(grown[level][start >> level])
            start += 1 << level
    return fold(roots if rest is None else [*roots, rest])


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf with hash `leaf` is at `index` in the tree of `size` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or len(leaf) != 32:
        return False
    sides, result = _sides(index, size - 1), leaf
    for sibling, to_the_left in zip(proof, sides, strict=False):
        result = node_hash(sibling, result) if to_the_left else node_hash(result, sibling)
    return len(proof) == len(sides) and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `old` leaves is a beginning of the one of `new` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else proof
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    sides = _sides(node, last)
    if len(path) != len(sides) + 1:
        return False
    first = second = path[0]
    for sibling, to_the_left in zip(path[1:], sides, strict=True):
        first = node_hash(sibling, first) if to_the_left else first
        second = node_hash(sibling, second) if to_the_left else node_hash(second, sibling)
    return first == old_root and second == new_root


def _sides(node: int, last: int) -> list[bool]:
    """Whether each hash of a proof stands to the left, from a node among those up to `last` to the root over them."""
    sides = []
    while last:
        sides.append(node & 1 == 1 or node == last)
        while sides[-1] and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return sides


# Ed25519 (RFC 8032): verification only, where no secret can leak through time

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
"""A point of the curve in extended coordinates: x = X/Z, y = Y/Z, x * y = T/Z."""


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is one of `message` by the holder of `public_key` (32 bytes)."""
    key, scalar = _point(public_key), int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or scalar >= _ORDER:
        return False
    digest = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little")
    x, y, z, t = key
    claimed = _plus(_times(scalar, _BASE), _times(digest % _ORDER, (_P - x, y, z, _P - t)))
    return _compressed(claimed) == signature[:32]


def _point(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if len(data) != 32 or y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _P - x
    return x, y, 1, x * y % _P


def _compressed(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _plus(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    result = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        result = _plus(result, result)
        result = _plus(result, point) if bit == "1" else result
    return result


_BASE: _Point = _point(b"\x58" + b"\x66" * 31)  # type: ignore[assignment]


# Keys and checkpoints (C2SP signed-note and tlog-checkpoint)


@dataclass(frozen=True)
class Key:
    """The public key of a log, under the log's name."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return _sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + self.public).decode()}"


def parse_key(text: str) -> Key:
    """A key from its text: `name+id+base64`. Raises Damaged."""
    name, _, rest = text.partition("+")
    key = Key(name, _decoded(rest.partition("+")[2])[1:])
    if str(key) != text or not name or len(key.public) != 32:
        raise Damaged("this is not the public key of a log")
    return key


class TreeHead(NamedTuple):
    """What a checkpoint says: the tree over the first `size` entries has this root."""

    size: int
    root: bytes


def head_text(key: Key, head: TreeHead) -> str:
    """What is signed of a tree head."""
    return f"{key.name}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def signed_note(key: Key, text: str, signature: bytes) -> str:
    return f"{text}\n— {key.name} {base64.b64encode(key.id + signature).decode()}\n"


def open_checkpoint(
    note: str, key: Key, is_signature: Callable[[bytes, bytes, bytes], bool] = verify_signature
) -> TreeHead:
    """The tree head in a checkpoint that `key` signed; others may have signed it, too. Raises Damaged."""
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    if not blank or not signatures.endswith("\n"):
        raise Damaged("this is not a checkpoint")
    mark = f"— {key.name} "
    signed = [_decoded(line[len(mark) :]) for line in signatures.split("\n") if line.startswith(mark)]
    signed = [packed[4:] for packed in signed if packed[:4] == key.id]
    if not signed:
        raise Damaged("the checkpoint is not signed with this key")
    if not is_signature(key.public, text.encode(), signed[0]):
        raise Damaged("the signature of the checkpoint is wrong")
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != key.name or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
        raise Damaged("the checkpoint is of another log")
    root = _decoded(lines[2])
    if len(root) != 32:
        raise Damaged("the checkpoint has no root hash")
    return TreeHead(int(lines[1]), root)


def _decoded(text: str) -> bytes:
    """Base64 in its one canonical spelling, else nothing."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""


# The chain


class Lines(NamedTuple):
    """Lines to be checked from entry `first` on, the hash stated before them, and the sizes whose roots are wanted.

    Instead of the lines: the file that another process finds them in, from which byte on, and how many.
    """

    first: int
    before: bytes
    lines: Sequence[bytes] | tuple[str, int, int]
    sizes: Sequence[int] = ()


class Checked(NamedTuple):
    """What came of it: the roots of the tree within the block, at its end and up to the wanted sizes."""

    entries: int
    problems: Sequence[str] = ()
    roots: Mapping[int, bytes] = {}
    tiles: Sequence[bytes] = ()


_LINE = b'{"entry":%b,"hash":"%b","seq":%d}\n'
_TAIL = re.compile(rb'"hash":"([0-9a-f]{64})","seq":([0-9]{1,18})\}\n\Z')


def check_lines(block: Lines) -> Checked:
    """Hash the entries again, write their lines anew with these hashes, and compare them byte for byte."""
    lines = _read(*block.lines) if isinstance(block.lines, tuple) else block.lines
    previous, sha256, hexlify, leaves = block.before, _sha256, binascii.hexlify, list[bytes]()
    longer = 10 ** len(str(block.first))
    end = len(b'{"entry":') - len(_LINE % (b"", b"0" * 64, block.first))
    for seq, line in enumerate(lines, block.first):
        if seq == longer:
            longer, end = longer * 10, end - 1
        entry = line[9:end]
        previous = sha256(b"\x00" + previous + entry).digest()
        if line != _LINE % (entry, hexlify(previous), seq):
            stated = _TAIL.search(line)
            return Checked(len(lines), [explain(seq, int(stated[2]) if stated else seq)])
        leaves.append(previous)
    return planted(block.first, leaves, block.sizes)


def _read(path: str, start: int, count: int) -> list[bytes]:
    with open(path, "rb", buffering=1 << 20) as file:
        file.seek(start)
        lines = list(itertools.islice(file, count))
    if len(lines) < count:
        raise Damaged("the export was cut off while it was read")
    return lines


def planted(first: int, leaves: Sequence[bytes], sizes: Sequence[int]) -> Checked:
    """The part of the tree over a block of checked leaves."""
    grown = levels(leaves)
    roots = {end: root_of(grown, end - first) for end in (*sizes, first + len(leaves))}
    return Checked(len(leaves), roots=roots, tiles=grown[8] if len(grown) > 8 else ())


def explain(seq: int, stated: int) -> str:
    if stated != seq:
        return f"where entry {seq} should be stands entry {stated}"
    return f"entry {seq} was changed, or one was removed or inserted before it"


@dataclass
class Report:
    """What a verification found: nothing is wrong when `problems` is empty."""

    entries: int = 0
    root: bytes = _sha256(b"").digest()
    problems: list[str] = field(default_factory=list)


def check_chain(blocks: Iterable[Checked], heads: Sequence[TreeHead] = ()) -> Report:
    """Put checked blocks together, damaged ones as well, and see that the tree has the roots which `heads` say."""
    report, full_blocks, rests = Report(), list[bytes](), dict[int, bytes]()
    for checked in blocks:
        report.entries += checked.entries
        report.problems += checked.problems
        rests.update(checked.roots)
        full_blocks.append(rests.get(report.entries, b""))
    grown = levels(full_blocks)

    def root_at(size: int) -> bytes:
        return root_of(grown, size // BLOCK, rests[size] if size % BLOCK else None)

    whole = not report.problems
    for head in heads:
        if head.size > report.entries:
            report.problems.append(f"{head.size - report.entries} entries are missing at the end")
        elif whole and root_at(head.size) != head.root:
            report.problems.append(f"the first {head.size} entries are not those that the checkpoint was signed over")
    if whole:
        report.root = root_at(report.entries)
    return report


def in_order(check: Callable[[_In], _Out], blocks: Iterable[_In], processes: int, alone: int = 2) -> Iterator[_Out]:
    """`map(check, blocks)`; with several processes after so many blocks `alone`, each a few blocks ahead."""
    remaining = iter(blocks)
    yield from map(check, itertools.islice(remaining, alone if processes > 1 else None))
    following = next(remaining, None)
    if following is None:
        return
    with ProcessPoolExecutor(processes) as pool:
        ahead = deque([pool.submit(check, following)])
        for block in remaining:
            ahead.append(pool.submit(check, block))
            if len(ahead) > 2 * processes:
                yield ahead.popleft().result()
        yield from (future.result() for future in ahead)


def verify_export(
    export: BinaryIO, key: Key | None = None, checkpoint: str | None = None, *, processes: int = 1
) -> Report:
    """Check a whole export, by `key` if there is one, and against a `checkpoint` that was kept elsewhere."""
    report = Report()
    try:
        stated = _header(export.readline())
        if key is not None and str(key) != str(stated):
            raise Damaged("the export is of another log, or its key was changed")
        heads = [open_checkpoint(checkpoint, stated)] if checkpoint is not None else []
        footer: list[bytes] = []
        blocks = _blocks(export, footer, [head.size for head in heads])
        report = check_chain(in_order(check_lines, blocks, processes), heads)
        if report.problems:
            return report
        head = _footer(footer, stated)
        if head.size != report.entries:
            raise Damaged(f"the export has {report.entries} entries and its checkpoint is over {head.size}")
        if report.root != head.root:
            raise Damaged("the entries are not those that the export's checkpoint was signed over")
    except Damaged as damage:
        report.problems.append(str(damage))
    return report


def _header(line: bytes) -> Key:
    found = re.fullmatch(rb'\{"format":"%b","key":"([!-~]+)"\}\n' % FORMAT.encode(), line)
    if not found:
        raise Damaged("this does not begin like an export of an audit log")
    return parse_key(found[1].decode())


def _blocks(export: BinaryIO, footer: list[bytes], sizes: Sequence[int]) -> Iterator[Lines]:
    """The entries in blocks. The last line is not one of them: it goes to `footer`."""
    first, before, path = 0, GENESIS, _path(export)
    start = export.tell() if path else 0
    lines = list(itertools.islice(export, BLOCK))
    while lines:
        end = export.tell() if path else 0
        following = list(itertools.islice(export, BLOCK))
        if not following:
            footer.append(lines.pop())
        if lines:
            wanted = [size for size in sizes if first < size <= first + len(lines)]
            yield Lines(first, before, (path, start, len(lines)) if path else lines, wanted)
            stated = _TAIL.search(lines[-1])
            first, before = first + len(lines), bytes.fromhex(stated[1].decode()) if stated else b""
        lines, start = following, end


def _path(export: BinaryIO) -> str:
    """Where other processes find this file; empty when they do not, as with a pipe."""
    try:
        path = os.path.realpath(export.name)
        return path if os.path.isfile(path) and os.path.samestat(os.stat(path), os.fstat(export.fileno())) else ""
    except (OSError, AttributeError, TypeError):
        return ""


def footer_line(note: str) -> bytes:
    return b'{"checkpoint":%b}\n' % json.dumps(note, ensure_ascii=False).encode()


def _footer(lines: Sequence[bytes], key: Key) -> TreeHead:
    """The checkpoint at the end of an export, in which no byte may differ. Raises Damaged."""
    try:
        note = json.loads(lines[0])["checkpoint"]
        head = open_checkpoint(note, key)
        signature = _decoded(note.splitlines()[-1].rpartition(" ")[2])[4:]
        intact = footer_line(signed_note(key, head_text(key, head), signature)) == lines[0]
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise Damaged("the export does not end with its checkpoint: it was cut off, or its end was changed")
    return head


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this file; returns the exit code."""
    parser = argparse.ArgumentParser(description="Proves an export of a PopOff audit log.")
    parser.add_argument("export", help="what `popoff audit export` wrote; - for standard input")
    parser.add_argument("--key", help="public key of the log")
    parser.add_argument("--checkpoint", help="a checkpoint of the log that was kept outside")
    options = parser.parse_args(arguments)
    try:
        key = parse_key(options.key) if options.key else None
        note = Path(options.checkpoint).read_text("utf-8") if options.checkpoint else None
        with sys.stdin.buffer if options.export == "-" else open(options.export, "rb") as export:
            report = verify_export(export, key, note, processes=os.cpu_count() or 1)
    except (OSError, Damaged, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in summary(report, trusted=bool(key or note)))
    return 1 if report.problems else 0


def summary(report: Report, *, trusted: bool) -> list[str]:
    """The report in sentences."""
    if report.problems:
        return [f"DAMAGED: {problem}" for problem in report.problems]
    hint = "The key was taken from the export itself: give --key or --checkpoint to know who signed it."
    return [f"{report.entries} entries, nothing is wrong. Root {report.root.hex()}", *([] if trusted else [hint])]


if __name__ == "__main__":
    sys.exit(main())
