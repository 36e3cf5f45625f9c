"""The columns of a frame of posts: what they mean, their units, and which are needed for what.

Every row is one post at one moment. Counts are of what people other than the creator did, each person once.

| column       | unit   | meaning                                                                                    |
| ------------ | ------ | ------------------------------------------------------------------------------------------ |
| likes        | people | who like it                                                                                |
| shares       | people | who passed it on                                                                           |
| comments     | people | who commented                                                                              |
| views        | people | who watched for at least a second                                                          |
| watch_ms     | ms     | watched in all, by everybody                                                               |
| length_ms    | ms     | of the video; 0 or missing: not known                                                      |
| reputation   | people | distinct people who engaged with its creator, the creator left out; missing: not known      |
| age_hours    | hours  | since it was published; missing: not known                                                 |

To learn and to judge, two more are needed; what they count begins after everything above was counted:

| later_views  | people | who watched it afterwards, at least one                                                     |
| later_likes  | people | who like it, of these                                                                      |
| post         | any    | optional: rows of one post belong together when figures are resampled                       |
"""

from __future__ import annotations

import numpy as np
import pandas as pd

COUNTS = ("likes", "shares", "comments", "views", "watch_ms")
"""Always needed; a missing value counts as none."""
FACTS = ("length_ms", "reputation", "age_hours")
"""A missing column, or value, is not known."""
LATER = ("later_views", "later_likes")


class Unusable(ValueError):
    """A frame that cannot be scored, and why, in one sentence."""


def checked(frame: pd.DataFrame, *, later: bool = False) -> pd.DataFrame:
    """The known columns as float64 with the frame's index, missing facts as NaN; with `later` those to learn from.

    Raises Unusable for a column that is not there, for negative or endless numbers, and for later rows without views.
    """
    needed = (*COUNTS, *(LATER if later else ()))
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise Unusable(f"The frame has no column {missing[0]!r}.")
    values = pd.DataFrame(index=frame.index)
    for name in (*needed, *FACTS):
        column = pd.to_numeric(frame[name]) if name in frame.columns else pd.Series(np.nan, index=frame.index)
        values[name] = column.astype("float64")
    if np.isinf(values.to_numpy()).any() or (values.to_numpy() < 0).any():
        raise Unusable("There is a negative or endless number in the frame.")
    values[list(COUNTS)] = values[list(COUNTS)].fillna(0.0)
    values["length_ms"] = values["length_ms"].where(values["length_ms"] > 0)
    if later and not ((values.later_views >= 1) & (values.later_likes <= values.later_views)).all():
        raise Unusable("A row to learn from needs later views, and no more later likes than these.")
    return values
