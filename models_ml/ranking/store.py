"""A feed on disk: one file for each array, one for ids and what belongs to what, one for the trees.

Arrays are mapped into memory and not read: loading costs little however large they are, several processes share their
pages, and what a process learns stays its own (copy on write). Arrays of posts and of people are written with empty
rows at the end, so that new ones find room there and nothing is copied for them. Nothing that is read is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.ranking.content import Content
from models_ml.ranking.memory import COLUMNS, OF_PEOPLE, OF_POSTS, TABLES, Memory
from models_ml.ranking.people import People
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.tables import Neighbours
from models_ml.ranking.trends import Trends

FORMAT = 2
SUMMARY, TREES = "feed.json", "ranker.ubj"
ROOM, SHARE = 1024, 0.05
"""New posts that there is room for at least, and as a share of those there are; people alike."""
BROKEN = (TypeError, AttributeError, IndexError, OverflowError, RecursionError, SyntaxError, tokenize.TokenError)
"""What reading damaged files raises besides OSError, ValueError and KeyError."""

Arrays = Mapping[str, npt.NDArray]


def save(folder: Path, content: Content, ranker: Ranker, memory: Memory) -> None:
    """Written beside and then put into place: nobody ever reads half a feed. What was there before is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (beside / "new").mkdir()
        _write(beside / "new", content, ranker, memory)
        if folder.exists():
            folder.rename(beside / "old")
        (beside / "new").rename(folder)
    finally:
        shutil.rmtree(beside)


def load(folder: Path, ranker: Ranker | None = None) -> tuple[Content, Ranker, Memory]:
    """`ranker`: taken in place of the one that was saved.

    Raises OSError, ValueError or KeyError when the folder holds no feed, or a damaged one.
    """
    try:
        while True:
            text = (folder / SUMMARY).read_bytes()
            summary = json.loads(text)
            if summary["format"] != FORMAT:
                raise ValueError(f"The feed in {folder.name} is of another format.")
            arrays = {name: _mapped(folder / f"{name}.npy", *form) for name, form in summary["arrays"].items()}
            trees = ranker or _trees(folder, summary["trees"])
            if text == (folder / SUMMARY).read_bytes():
                return Content.of(_part(arrays, "content")), trees, _memory(summary, arrays)
            # Another feed was put into place meanwhile: what was read is of both.
    except BROKEN as error:
        raise ValueError(f"The feed in {folder.name} is damaged: {error}") from error


def _write(folder: Path, content: Content, ranker: Ranker, memory: Memory) -> None:
    forms = {}
    for name, array in _arrays(content, memory).items():
        if name in OF_POSTS:
            array = _roomy(array, memory.posts, OF_POSTS[name])
        elif name in OF_PEOPLE:
            array = _roomy(array, len(memory.people), OF_PEOPLE[name])
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
        forms[name] = array.dtype.str, array.shape
    trees = ranker.dump()
    (folder / TREES).write_bytes(trees)
    summary = {
        "format": FORMAT,
        "edition": secrets.token_hex(8),
        "arrays": forms,
        "trees": hashlib.sha256(trees).hexdigest(),
        "clock": memory.clock,
        "posts": memory.post_ids,
        "people": list(memory.person_of),
        "creators": list(memory.creator_of),
        "tags": list(memory.tag_of),
        "hints": {number: person.hints for number, person in memory.people.met.items() if person.hints},
        "owed": sorted(memory.owed),
    }
    (folder / SUMMARY).write_text(json.dumps(summary, ensure_ascii=False), encoding="utf-8")


def _arrays(content: Content, memory: Memory) -> dict[str, npt.NDArray]:
    parts: dict[str, Arrays] = {name: getattr(memory, name).arrays() for name in (*TABLES, "trends", "people")}
    parts["content"] = content.arrays()
    flat = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
    return {**flat, **{name: getattr(memory, name) for name in COLUMNS}, "likes": memory.likes}


def _roomy(array: npt.NDArray, number: int, nothing: float) -> npt.NDArray:
    """The first `number` rows of an array with empty ones after them; all beyond `number` are empty already."""
    rows = number + max(ROOM, int(SHARE * number))
    if rows <= len(array):
        return array[:rows]
    return np.concatenate([array, np.full((rows - len(array), *array.shape[1:]), nothing, dtype=array.dtype)])


def _mapped(path: Path, kind: str, shape: list[int]) -> npt.NDArray:
    # Not numpy.load: it takes whatever it does not know for a pickle.
    array = np.lib.format.open_memmap(path, mode="c")
    if array.dtype.str != kind or array.shape != tuple(shape):
        raise ValueError(f"{path.name} is not what it should be.")
    return np.asarray(array)


def _trees(folder: Path, digest: str) -> Ranker:
    trees = (folder / TREES).read_bytes()
    if hashlib.sha256(trees).hexdigest() != digest:
        raise ValueError(f"{TREES} is not what it should be.")
    return Ranker.of(trees)


def _part(arrays: Arrays, part: str) -> dict[str, npt.NDArray]:
    return {name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")}


def _memory(summary: Mapping[str, Any], arrays: Arrays) -> Memory:
    for rows, number in ((OF_POSTS, len(summary["posts"])), (OF_PEOPLE, len(summary["people"]))):
        if min(len(arrays[name]) for name in rows) < number:
            raise ValueError("There are fewer rows than posts or people.")
    memory = Memory(arrays["topic"].shape[1])
    for name in TABLES:
        setattr(memory, name, Neighbours.of(_part(arrays, name)))
    memory.trends = Trends.of(_part(arrays, "trends"))
    memory.people = People.of(_part(arrays, "people"))
    for name in (*COLUMNS, "likes"):
        setattr(memory, name, arrays[name])
    memory.clock, memory.owed, memory.post_ids = float(summary["clock"]), set(summary["owed"]), summary["posts"]
    memory.post_of, memory.person_of, memory.creator_of, memory.tag_of = (
        {key: number for number, key in enumerate(summary[name])} for name in ("posts", "people", "creators", "tags")
    )
    memory.credit()
    for number, hints in summary["hints"].items():
        memory.people[int(number)].hints = hints
    return memory
