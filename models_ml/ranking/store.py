"""A feed on disk: arrays in one file, ids in another, the trees in a third. Nothing in them is ever executed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xgboost as xgb

from models_ml.ranking.content import Content
from models_ml.ranking.memory import COLUMNS, TABLES, Memory
from models_ml.ranking.people import Person
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.tables import NOBODY, Neighbours
from models_ml.ranking.trends import Trends

FORMAT = 1
ARRAYS, IDS, TREES = "arrays.npz", "ids.json", "ranker.ubj"


def save(folder: Path, content: Content, ranker: Ranker, memory: Memory) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"content": content.arrays(), "trends": memory.trends.arrays()}
    parts.update({name: getattr(memory, name).arrays() for name in TABLES})
    arrays = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
    arrays.update({name: getattr(memory, name) for name in COLUMNS})
    people = memory.people
    arrays["people.lengths"] = np.array([len(person.posts) for person in people], dtype=np.int64)
    for name, kind in (("posts", np.int32), ("times", np.float64), ("gains", np.float32)):
        values = [np.array(getattr(person, name), dtype=kind) for person in people]
        arrays[f"people.{name}"] = np.concatenate([np.zeros(0, dtype=kind), *values])
    np.savez_compressed(folder / ARRAYS, allow_pickle=False, **arrays)
    ids = {
        "format": FORMAT,
        "clock": memory.clock,
        "posts": memory.post_ids,
        "people": list(memory.person_of),
        "creators": list(memory.creator_of),
        "tags": list(memory.tag_of),
        "hints": {number: person.hints for number, person in enumerate(people) if person.hints},
        "owed": sorted(memory.owed),
    }
    (folder / IDS).write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (folder / TREES).unlink(missing_ok=True)
    if ranker.booster is not None:
        ranker.booster.save_model(folder / TREES)


def load(folder: Path) -> tuple[Content, Ranker, Memory]:
    """Raises OSError, ValueError or KeyError when the folder holds no feed."""
    ids = json.loads((folder / IDS).read_text(encoding="utf-8"))
    if ids["format"] != FORMAT:
        raise ValueError(f"The feed in {folder.name} is of another format.")
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        arrays = dict(file)
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        part, _, rest = name.rpartition(".")
        parts.setdefault(part, {})[rest] = array
    memory = Memory(arrays["topic"].shape[1])
    for name in TABLES:
        setattr(memory, name, Neighbours.of(parts[name]))
    memory.trends = Trends.of(parts["trends"])
    for name in COLUMNS:
        setattr(memory, name, arrays[name])
    memory.slots = np.full(len(memory.creator), NOBODY, dtype=np.int32)
    memory.clock, memory.owed, memory.post_ids = ids["clock"], set(ids["owed"]), ids["posts"]
    memory.post_of, memory.person_of, memory.creator_of, memory.tag_of = (
        {key: number for number, key in enumerate(ids[name])} for name in ("posts", "people", "creators", "tags")
    )
    _recall(memory, parts["people"])
    for number, hints in ids["hints"].items():
        memory.people[int(number)].hints = hints
    return Content.of(parts["content"]), _ranker(folder), memory


def _recall(memory: Memory, people: dict[str, np.ndarray]) -> None:
    ends = np.cumsum(people["lengths"])
    for number, (start, end) in enumerate(zip(ends - people["lengths"], ends, strict=True)):
        person = Person(number)
        events = (people[name][start:end].tolist() for name in ("posts", "times", "gains"))
        for post, time, gain in zip(*events, strict=True):
            person.meet(post, time, gain, int(memory.creator[post]))
        memory.people.append(person)
    made = memory.creator[memory.creator != NOBODY]
    memory.output = np.bincount(made, minlength=len(memory.creator_of)).astype(np.float32)
    memory.posts_by = [[] for _ in memory.creator_of]
    for post, creator in enumerate(memory.creator[: memory.posts].tolist()):
        if creator != NOBODY:
            memory.posts_by[creator].append(post)


def _ranker(folder: Path) -> Ranker:
    if not (folder / TREES).is_file():
        return Ranker()
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(folder / TREES)
    return Ranker(booster)
