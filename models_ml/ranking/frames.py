"""The two frames that all of ranking reads: what people did (`events`) and what can be shown (`items`).

    events   user_id, item_id   and as far as known   ts, watch_ms, duration_ms, like, comment, share, hate, position
    items    item_id            and as far as known   title, tags, duration_ms, author_id, created

`position` is the place, from 0, of the page on which the feed showed the post: events with one are all that was shown
then, liked or not. A column that is not known is simply absent. Whoever calls may bring times as datetimes, seconds or
milliseconds since 1970, ids of any one type, further columns, and rows in any order; `events_of` and `items_of` make
one form of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

USER, ITEM, TIME = "user_id", "item_id", "ts"
WATCHED, DURATION = "watch_ms", "duration_ms"
LIKE, COMMENT, SHARE, HATE = "like", "comment", "share", "hate"
POSITION = "position"
TITLE, TAGS, AUTHOR, CREATED = "title", "tags", "author_id", "created"

ACTS = (LIKE, COMMENT, SHARE, HATE)
EVENTS = (USER, ITEM, TIME, WATCHED, DURATION, *ACTS, POSITION)
ITEMS = (ITEM, TITLE, TAGS, DURATION, AUTHOR, CREATED)

MILLISECONDS = 1e11
"""Times from here on are milliseconds: in seconds this is the year 5138, in milliseconds March 1973."""

Numbers = npt.NDArray[np.float64]


def events_of(events: pd.DataFrame) -> pd.DataFrame:
    """Events in one form: known columns, rows numbered anew, in order of time where it is known, else as they came.

    `ts`: float seconds; `watch_ms`, `duration_ms`: float milliseconds, `position`: float, nan where unknown; acts:
    bool, False where unknown. Raises ValueError when a column or an id is missing, or a time is.
    """
    _must_have(events, (USER, ITEM), "events")
    made = events[[name for name in EVENTS if name in events]].reset_index(drop=True)
    if TIME in made:
        made[TIME] = seconds(made[TIME])
        if made[TIME].isna().any():
            raise ValueError("Events: some have a time and some have none.")
        made = made.sort_values(TIME, kind="stable", ignore_index=True)
    for name in (WATCHED, DURATION, POSITION):
        if name in made:
            made[name] = pd.to_numeric(made[name]).astype(np.float64)
    if DURATION in made:
        made[DURATION] = made[DURATION].where(made[DURATION] > 0)
    if POSITION in made:
        made[POSITION] = made[POSITION].where(made[POSITION] >= 0)
    for name in ACTS:
        if name in made:
            made[name] = pd.to_numeric(made[name]).fillna(0) > 0
    return made


def items_of(items: pd.DataFrame, also: pd.Series | None = None) -> pd.DataFrame:
    """Items in one form: known columns, each item once (the last row of it counts), rows numbered anew.

    `title`: str, empty where unknown; `tags`: tuple of str; `duration_ms`: float, nan where unknown; `created`: float
    seconds, nan where unknown; `author_id` as it came. `also`: ids that must be there too (those of events, say); they
    are added at the end with nothing known about them. Raises ValueError when ids are missing.
    """
    _must_have(items, (ITEM,), "items")
    made = items[[name for name in ITEMS if name in items]]
    made = made.drop_duplicates(ITEM, keep="last").reset_index(drop=True)
    if also is not None:
        unlisted = pd.unique(also[~also.isin(made[ITEM])])
        if len(unlisted):
            made = pd.concat([made, pd.DataFrame({ITEM: unlisted})], ignore_index=True)
    if TITLE in made:
        made[TITLE] = pd.Series(["" if _unknown(title) else str(title) for title in made[TITLE]], dtype=object)
    if TAGS in made:
        made[TAGS] = pd.Series([_tags(tags) for tags in made[TAGS]], dtype=object)
    if DURATION in made:
        lengths = pd.to_numeric(made[DURATION]).astype(np.float64)
        made[DURATION] = lengths.where(lengths > 0)
    if CREATED in made:
        made[CREATED] = seconds(made[CREATED])
    return made


def seconds(times: pd.Series) -> Numbers:
    """Times as seconds since 1970, shape (n,), nan where unknown; datetimes without a zone are UTC.

    Raises ValueError when they are no times.
    """
    if pd.api.types.is_numeric_dtype(times):
        numbers = times.to_numpy(np.float64, na_value=np.nan)
        # One unit for the whole column: a stray zero must not be read in another unit than its neighbours.
        largest = np.nanmax(np.abs(numbers), initial=0.0) if len(numbers) else 0.0
        return np.asarray(numbers / 1000 if largest >= MILLISECONDS else numbers, dtype=np.float64)
    moments = pd.to_datetime(times, utc=True)
    return np.asarray((moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=np.float64)


def second(time: Any) -> float:
    """One time as `seconds` reads a column of it: a datetime, a text, or a number."""
    if isinstance(time, datetime | str | np.datetime64):
        return float(seconds(pd.Series([pd.Timestamp(time)]))[0])
    return float(time) / 1000 if abs(float(time)) >= MILLISECONDS else float(time)


def _must_have(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    for name in columns:
        if name not in frame:
            raise ValueError(f"{what.capitalize()} need a column {name!r}; there are {', '.join(map(str, frame))}.")
        if frame[name].isna().any():
            raise ValueError(f"{what.capitalize()}: {name} is missing in some rows.")


def _unknown(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and bool(np.isnan(value)))


def _tags(tags: object) -> tuple[str, ...]:
    """Tags from a list of them, or from a text with commas, spaces or # between them."""
    if _unknown(tags):
        return ()
    if isinstance(tags, str):
        return tuple(tags.replace(",", " ").replace("#", " ").split())
    return tuple(str(tag) for tag in tags)  # type: ignore[attr-defined]
