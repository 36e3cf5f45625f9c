"""Real interactions from a folder, in the form of `frames`, each set with the split by which it is validated.

    microlens50k     MicroLens-50k_pairs.tsv, MicroLens-50k_titles.csv
    kuairand_likes   train.parquet, catalog.parquet
    tiktok_mmssl     trnMat.pkl, valMat.pkl, tstMat.pkl, or train.json, val.json, test.json

Of MicroLens everybody's last interaction is dropped as it is read: nothing here can learn from it or look at it. Of
KuaiRand's copy the last tenth of rows is validated on. TikTok comes split by those who published it.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models_ml.ranking.frames import HATE, ITEM, LIKE, TIME, USER, events_of, items_of

VALIDATED = 0.1
"""The share of KuaiRand's rows, its latest, that models are validated on."""


@dataclass(frozen=True)
class Split:
    """What a model may learn from, what it may offer, and what people did next.

    `events`, `items`: see `frames`; `wanted`: user_id and item_id of what should be found, each pair once, nothing that
    is among the person's events; `now`: the moment of asking in seconds, None where times are unknown; `sequel`: what
    happened from then on, in order of time, where that is known.
    """

    name: str
    events: pd.DataFrame
    items: pd.DataFrame
    wanted: pd.DataFrame
    now: float | None = None
    sequel: pd.DataFrame | None = None


def microlens(folder: Path) -> list[Split]:
    """Leave-last-out: of each person's interactions all but the last two are learnt from, the one before the last is
    wanted, the last is dropped."""
    people, posts = [], []
    for line in (folder / "MicroLens-50k_pairs.tsv").read_text(encoding="utf-8").splitlines():
        person, _, sequence = line.partition("\t")
        known = [int(post) for post in sequence.split()][:-1]
        people += [int(person)] * len(known)
        posts += known
    known_events = pd.DataFrame({USER: people, ITEM: posts})
    titles = pd.read_csv(folder / "MicroLens-50k_titles.csv").rename(columns={"item": ITEM})
    last = ~known_events.duplicated(USER, keep="last") & known_events.duplicated(USER, keep="first")
    events = known_events[~last]
    return [Split("microlens50k", events_of(events), items_of(titles), unmet(known_events[last], events))]


def kuairand(folder: Path) -> list[Split]:
    """Split by time for everybody at once; the likes that come later are wanted, of all videos in the catalogue."""
    rows = pd.read_parquet(folder / "train.parquet").sort_values("time_ms", kind="stable")
    names = {"video_id": ITEM, "time_ms": TIME, "play_time_ms": "watch_ms", "is_comment": "comment"}
    events = events_of(
        rows.rename(columns={**names, "is_forward": "share"}).assign(like=rows.label == 1, hate=rows.label == 0)
    )
    items = items_of(pd.read_parquet(folder / "catalog.parquet").rename(columns={"video_id": ITEM}))
    first = int(len(events) * (1 - VALIDATED))
    before, after = events.iloc[:first].reset_index(drop=True), events.iloc[first:].reset_index(drop=True)
    wanted = after[after[LIKE] & after[ITEM].isin(items[ITEM])]
    return [Split("kuairand_likes", before, items, unmet(wanted, before), float(after[TIME].iloc[0]), after)]


def tiktok(folder: Path) -> list[Split]:
    """As published: learn from the training part, and find the validation part and, as its papers do, the test part.
    Who chooses anything by figures looks at the validation part only."""
    parts = [_pairs(folder, *names) for names in (("trn", "train"), ("val", "val"), ("tst", "test"))]
    shown = np.unique(np.concatenate([part[ITEM].to_numpy() for part in parts]))
    events, items = events_of(parts[0]), items_of(pd.DataFrame({ITEM: np.arange(shown.max() + 1)}))
    return [
        Split("tiktok_mmssl", events, items, unmet(parts[1], events)),
        Split("tiktok_mmssl, test part", events, items, unmet(parts[2], events)),
    ]


def unmet(wanted: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """The pairs of person and item that are not among the events, each once, in the order of the frame."""
    pairs = wanted[[USER, ITEM]].drop_duplicates(ignore_index=True)
    met = pd.MultiIndex.from_frame(events[[USER, ITEM]])
    return pairs[~pd.MultiIndex.from_frame(pairs).isin(met)].reset_index(drop=True)


def liked_so_far(split: Split) -> pd.DataFrame:
    """The items of a split that somebody liked before `now`: where a growing catalogue begins."""
    liked = split.events.loc[split.events[LIKE] & ~split.events[HATE], ITEM]
    return items_of(split.items[split.items[ITEM].isin(liked)], also=liked)


@dataclass(frozen=True)
class Source:
    """How a data set is recognised, by one of these files, and read."""

    files: tuple[str, ...]
    load: Callable[[Path], list[Split]]


SETS: Mapping[str, Source] = {
    "microlens50k": Source(("MicroLens-50k_pairs.tsv",), microlens),
    "kuairand_likes": Source(("catalog.parquet",), kuairand),
    "tiktok_mmssl": Source(("trnMat.pkl", "train.json"), tiktok),
}


def find(data: Path) -> dict[str, Path]:
    """The folders of the data sets that are there: `data` itself or folders in it, whatever these are called."""
    folders = [data, *sorted(path for path in data.iterdir() if path.is_dir())]
    return {
        name: folder
        for name, source in SETS.items()
        for folder in reversed(folders)
        if any((folder / file).is_file() for file in source.files)
    }


class _Matrix(pickle.Unpickler):
    """Reads a pickled sparse matrix and nothing else: a pickle from elsewhere must not choose what is run."""

    ALLOWED = {
        ("scipy.sparse", "coo_matrix"),
        ("scipy.sparse", "csr_matrix"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.multiarray", "_reconstruct"),
    }

    def find_class(self, module: str, name: str) -> Any:
        public = module.replace("numpy._core", "numpy").replace("numpy.core", "numpy")
        public = "scipy.sparse" if public.startswith("scipy.sparse.") else public
        if (public, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a matrix of interactions.")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _pairs(folder: Path, matrix: str, listing: str) -> pd.DataFrame:
    """Pairs of person and item from a pickled matrix, or from a JSON object of lists of items."""
    path = folder / f"{matrix}Mat.pkl"
    if path.is_file():
        with path.open("rb") as file:
            found = _Matrix(file).load().tocoo()
        return pd.DataFrame({USER: found.row.astype(np.int64), ITEM: found.col.astype(np.int64)})
    lists = json.loads((folder / f"{listing}.json").read_text(encoding="utf-8"))
    pairs = [(int(person), int(post)) for person, posts in lists.items() for post in posts]
    return pd.DataFrame(pairs, columns=[USER, ITEM])
