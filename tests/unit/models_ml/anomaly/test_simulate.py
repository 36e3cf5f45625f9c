"""The simulated economy: the same for a seed, possible, and with the fraud it was asked for."""

from __future__ import annotations

import pandas as pd
import pytest

from models_ml.anomaly.simulate import DAILY_LIMIT, KINDS, WELCOME, Economy, simulate


def test_a_seed_makes_the_same_economy_and_another_another() -> None:
    one, again, other = (simulate(seed, people=120, days=30) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one.gifts, again.gifts)
    pd.testing.assert_frame_equal(one.grants, again.grants)
    assert not one.gifts.equals(other.gifts)


def test_only_the_kinds_asked_for_are_injected() -> None:
    gifts = simulate(3, people=300, days=60, kinds=["ring"], prevalence=0.02).gifts
    assert set(gifts["kind"]) == {"honest", "ring"}
    assert (gifts["kind"] == "ring").mean() == pytest.approx(0.02, abs=0.015)


def test_every_kind_can_be_injected(economy: Economy) -> None:
    assert set(economy.gifts["kind"]) == {"honest", *KINDS}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of fraud called magic"):
        simulate(3, kinds=["magic"])


def test_nobody_gives_to_themselves_before_they_joined_or_over_the_limit(economy: Economy) -> None:
    gifts = economy.gifts
    joined = economy.people.set_index("person")["joined"]
    assert (gifts["giver"] != gifts["creator"]).all()
    assert (gifts["time"] >= gifts["giver"].map(joined)).all()
    assert gifts["amount"].min() >= 1
    days = gifts.groupby(["giver", gifts["time"].dt.floor("D")])["amount"].sum()
    assert days.max() <= DAILY_LIMIT
    assert gifts["time"].is_monotonic_increasing


def test_wallets_pay_for_what_is_given(economy: Economy) -> None:
    granted = economy.grants.groupby("wallet")["amount"].sum()
    given = economy.gifts.groupby("giver")["amount"].sum()
    assert (given <= granted.reindex(given.index, fill_value=0) + WELCOME).all()
