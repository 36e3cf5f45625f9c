"""What is measured of gifts: by hand for small histories, and never from the future."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from models_ml.anomaly.features import FEATURES, NAMES, features
from models_ml.anomaly.simulate import Economy
from models_ml.anomaly.words import WORDS

NOON = pd.Timestamp("2026-03-02T12:00:00Z")
NOTHING = pd.DataFrame({"wallet": pd.Series(dtype=str), "time": pd.Series(dtype="datetime64[s, UTC]"), "amount": []})


def history(*gifts: tuple[float, str, str, int], grants: pd.DataFrame = NOTHING) -> pd.DataFrame:
    """Features of gifts (hours from noon, giver, creator, amount); everybody joined ten days before noon."""
    frame = pd.DataFrame(gifts, columns=["time", "giver", "creator", "amount"])
    frame["time"] = NOON + pd.to_timedelta(frame["time"], unit="h")
    people = pd.DataFrame({"person": sorted({*frame["giver"], *frame["creator"]})})
    return features(frame, people.assign(joined=NOON - pd.Timedelta(days=10)), grants, daily_limit=1000)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_what_comes_later_changes_nothing(economy: Economy, measured: pd.DataFrame, part: float) -> None:
    now = economy.gifts["time"].quantile(part)
    known = economy.gifts[economy.gifts["time"] <= now]
    people = economy.people[economy.people["joined"] <= now]
    found = features(known, people, economy.grants[economy.grants["time"] <= now])
    np.testing.assert_allclose(found, measured.loc[known.index], rtol=1e-4, atol=1e-4)


def test_names_and_rows_in_another_order_change_nothing(economy: Economy, measured: pd.DataFrame) -> None:
    gifts = economy.gifts.head(1500).drop_duplicates(["time"]).sample(frac=1, random_state=3)
    expected = features(gifts.sort_index(), economy.people, economy.grants)
    renamed = gifts.assign(giver="x" + gifts["giver"].str[::-1], creator="x" + gifts["creator"].str[::-1])
    people = economy.people.assign(person="x" + economy.people["person"].str[::-1])
    grants = economy.grants.assign(wallet="x" + economy.grants["wallet"].str[::-1])
    found = features(renamed, people, grants)
    assert list(found.index) == list(gifts.index)
    np.testing.assert_allclose(found.sort_index(), expected, rtol=1e-4, atol=1e-4)


def test_another_date_changes_nothing(economy: Economy) -> None:
    one = (economy.gifts.head(1500), economy.people, economy.grants)
    later = [frame.copy() for frame in one]
    for frame, column in zip(later, ("time", "joined", "time"), strict=True):
        frame[column] += pd.Timedelta(days=364)
    np.testing.assert_allclose(features(*later), features(*one), rtol=1e-4, atol=1e-4)


def test_pace_and_distinct_creators() -> None:
    frame = history((0, "a", "x", 10), (0.1, "a", "y", 10), (0.2, "a", "x", 10), (2, "a", "x", 10))
    assert frame["hour_count"].tolist() == [1, 2, 3, 1]
    assert frame["hour_creators"].tolist() == [1, 2, 2, 1]
    assert frame["hour_to_creator"].tolist() == [1, 1, 2, 1]
    assert frame["hour_usual"].tolist() == pytest.approx([1, 1, 1, 7 / 4])


def test_amounts_against_the_own_past() -> None:
    frame = history(*((hour, "a", "x", 100) for hour in range(0, 40, 2)), (41.5, "a", "x", 1600))
    assert frame["amount_surprise"].iloc[-1] > 3
    assert frame["amount_to_max"].iloc[-1] == pytest.approx(4)
    assert np.isnan(frame["amount_to_max"].iloc[0])


def test_what_comes_back() -> None:
    frame = history((0, "a", "b", 400), (1, "b", "a", 300))
    assert frame["back"].tolist() == pytest.approx([0, np.log10(401)])
    assert frame["balance"].tolist() == pytest.approx([0, 0.75])
    assert frame["ring"].tolist() == [0, 2]


@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_a_ring_is_found_when_it_closes(size: int) -> None:
    people = [f"p{number}" for number in range(size)]
    gifts = [(hour, giver, creator, 500) for hour, (giver, creator) in enumerate(pairwise([*people, people[0]]))]
    assert history(*gifts)["ring"].tolist() == [0] * (size - 1) + [size]


def test_no_ring_of_seven_of_trifles_or_of_long_ago() -> None:
    people = [f"p{number}" for number in range(7)]
    assert history(*[(h, a, b, 500) for h, (a, b) in enumerate(pairwise([*people, "p0"]))])["ring"].max() == 0
    assert history((0, "a", "b", 500), (1, "b", "c", 10), (2, "c", "a", 500))["ring"].max() == 0
    assert history((0, "a", "b", 500), (400, "b", "a", 500))["ring"].max() == 0


def test_the_daily_limit_begins_at_midnight() -> None:
    frame = history((0, "a", "x", 900), (11, "a", "x", 50), (13, "a", "x", 870))
    assert frame["limit_share"].tolist() == pytest.approx([0.9, 0.95, 0.87])
    assert frame["near_limit_days"].tolist() == [1, 1, 2]


def test_money_that_came_in_goes_out() -> None:
    grants = pd.DataFrame({"wallet": ["a"], "time": [NOON], "amount": [1000]})
    frame = history((-1, "a", "x", 10), (0.5, "a", "x", 800), (40, "a", "x", 10), grants=grants)
    assert frame["drained"].tolist() == pytest.approx([0, 0.81, 0])
    assert frame["since_inflow"].tolist()[1:] == pytest.approx([np.log2(31), np.log2(2401)])
    assert np.isnan(frame["since_inflow"].iloc[0])


def test_an_unknown_account_has_no_age_and_nothing_measures_to_nothing() -> None:
    gifts = pd.DataFrame({"time": [NOON], "giver": ["a"], "creator": ["b"], "amount": [10]})
    people = pd.DataFrame({"person": ["b"], "joined": [NOON]})
    frame = features(gifts, people, NOTHING)
    assert np.isnan(frame["giver_age"].iloc[0])
    assert frame["creator_age"].iloc[0] == 0
    assert features(gifts.head(0), people.head(0), NOTHING).shape == (0, len(NAMES))


def test_every_feature_is_documented_measured_and_has_words(measured: pd.DataFrame) -> None:
    assert list(measured.columns) == NAMES == list(FEATURES)
    assert set(WORDS) == set(NAMES)
    assert not np.isinf(measured.to_numpy()).any()
    row = {name: float(value) for name, value in measured.fillna(0).iloc[-1].items()}
    assert all(WORDS[name](row) for name in NAMES)


def test_the_words_of_the_pace() -> None:
    assert WORDS["hour_count"]({"hour_count": 9.0, "hour_usual": 1.0}) == "gave 9 times in an hour; usual is 1"
