"""Events and items come in many forms and are read in one."""

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking import frames


def test_times_are_seconds_however_they_came():
    moments = pd.to_datetime(["2022-04-19T13:39:05Z", "2022-04-19T13:39:06Z"])
    told = {
        "datetimes": moments,
        "without a zone": moments.tz_localize(None),
        "text": ["2022-04-19T13:39:05Z", "2022-04-19T13:39:06Z"],
        "milliseconds": [1650375545000, 1650375546000],
        "seconds": [1650375545.0, 1650375546.0],
    }
    for form, times in told.items():
        read = frames.events_of(pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "ts": times}))
        assert read.ts.tolist() == [1650375545.0, 1650375546.0], form
        assert frames.second(next(iter(times))) == 1650375545.0, form


def test_events_are_put_in_order_of_time():
    read = frames.events_of(pd.DataFrame({"user_id": [1, 1, 1], "item_id": [1, 2, 3], "ts": [30, 10, 20]}))
    assert read.item_id.tolist() == [2, 3, 1]


def test_without_times_events_stay_as_they_came_and_what_is_unknown_is_absent():
    read = frames.events_of(pd.DataFrame({"item_id": ["b", "a"], "user_id": ["x", "x"], "colour": 1}, index=[5, 3]))
    assert list(read.columns) == ["user_id", "item_id"]
    assert read.item_id.tolist() == ["b", "a"]


def test_an_act_that_is_unknown_did_not_happen_and_a_length_of_nothing_is_unknown():
    told = {"user_id": [1, 1], "item_id": [1, 2], "like": [1, None], "hate": [False, True], "duration_ms": [0, 5]}
    read = frames.events_of(pd.DataFrame(told))
    assert read.like.tolist() == [True, False]
    assert read.hate.tolist() == [False, True]
    assert np.isnan(read.duration_ms[0]) and read.duration_ms[1] == 5


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"user_id": [1]}, "item_id"),
        ({"user_id": [1, None], "item_id": [1, 2]}, "user_id is missing"),
        ({"user_id": [1, 1], "item_id": [1, 2], "ts": [1.0, None]}, "some have none"),
    ],
)
def test_events_that_cannot_be_read_are_refused_with_the_reason(told, why):
    with pytest.raises(ValueError, match=why):
        frames.events_of(pd.DataFrame(told))


def test_each_item_is_there_once_with_the_last_that_was_said_of_it():
    told = pd.DataFrame({"item_id": [1, 2, 1], "title": ["old", None, "new"], "tags": ["#cow", ["a b"], "cat,dog"]})
    read = frames.items_of(told, also=pd.Series([7, 2, 7]))
    assert read.item_id.tolist() == [2, 1, 7]
    assert read.title.tolist() == ["", "new", ""]
    assert read.tags.tolist() == [("a b",), ("cat", "dog"), ()]
