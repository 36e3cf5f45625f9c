"""Posts at moments of their life, out of KuaiRand (Gao et al., CIKM 2022; CC BY-SA 4.0), which is not shipped.

The extract has only what people said plainly (like or hate) and only liked videos with at least 15 likes: a view here
is such a row, and a like rate is likes over likes and hates. Nothing is known of creators, nor when a video was
published: its age is counted from the first row about it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

NAME = "kuairand"
DATA = Path(__file__).parents[3] / "shared" / "data" / "kuairand_likes"
"""Where the data is looked for when nothing is said: beside the project."""
MOMENTS = (1.0, 6.0, 24.0, 72.0)
"""Hours after its first row at which a video is looked at; all that comes later is what is to be foreseen."""
PARTS = {"training": range(60), "tuning": range(60, 75), "test": range(75, 100)}
"""Percent of the videos, by a hash of their id: a video is in one part with all its moments."""


def load(folder: Path) -> pd.DataFrame:
    """All rows, by time. Raises FileNotFoundError with one sentence when they, or what reads them, are not there."""
    path = folder / "train.parquet"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path.name} in {folder}: name the folder of the KuaiRand extract (--data)."
        )
    if find_spec("pyarrow") is None:
        raise FileNotFoundError("Reading the KuaiRand extract needs pyarrow: install requirements-dev.lock.")
    return pd.read_parquet(path).sort_values(["time_ms", "row_id"], kind="stable", ignore_index=True)


def moments(rows: pd.DataFrame, *parts: str) -> pd.DataFrame:
    """The videos of these parts at each of MOMENTS after which something still came; also their `post` and `moment`."""
    wanted = [percent for part in parts for percent in PARTS[part]]
    rows = rows[np.isin(_percent(rows.video_id), wanted)]
    age = (rows.time_ms - rows.groupby("video_id").time_ms.transform("min")) / 3_600_000
    return pd.concat([_moment(rows, age, hours) for hours in MOMENTS], ignore_index=True)


def _moment(rows: pd.DataFrame, age: pd.Series, hours: float) -> pd.DataFrame:
    before, after = rows[age <= hours], rows[age > hours]
    counts = before.groupby("video_id").agg(
        likes=("label", "sum"),
        shares=("is_forward", "sum"),
        comments=("is_comment", "sum"),
        views=("label", "size"),
        watch_ms=("play_time_ms", "sum"),
        length_ms=("duration_ms", "max"),
    )
    later = after.groupby("video_id").agg(later_likes=("label", "sum"), later_views=("label", "size"))
    posts = counts.join(later, how="inner").sort_index()
    return posts.assign(reputation=np.nan, age_hours=hours, moment=hours, post=posts.index)


def _percent(ids: pd.Series) -> npt.NDArray[np.uint64]:
    """0..99 for each id, the same on every machine (multiplicative hashing, Knuth, TAOCP 3, section 6.4)."""
    mixed = (ids.to_numpy(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return mixed % np.uint64(100)
