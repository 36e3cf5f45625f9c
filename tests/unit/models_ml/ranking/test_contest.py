"""Orders compared on a day that none of them learnt from."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models_ml import registry
from models_ml.ranking import contest, shadow
from models_ml.ranking.contest import Contest
from models_ml.ranking.features import NAMES
from models_ml.ranking.model import FeedModel
from models_ml.ranking.offpolicy import Explored
from models_ml.ranking.ranker import NEEDS, Ranker
from tests.support import tastes

END = 1_700_000_000.0
CUT = END - tastes.DAY


@pytest.fixture(scope="module")
def told() -> tuple[pd.DataFrame, pd.DataFrame]:
    return tastes.drawn(END)


@pytest.fixture(scope="module")
def explored(told: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """What people met on the last day, as if each had been drawn from a pool of four."""
    events, items = told
    chance = np.random.default_rng(5)
    fresh = events[events["ts"] >= CUT]
    pools = [[post, *chance.choice(items["item_id"], 3).tolist()] for post in fresh["item_id"].tolist()]
    return fresh[["user_id", "item_id", "ts"]].assign(pool=pools)


@pytest.fixture(scope="module")
def ranker(told: tuple[pd.DataFrame, pd.DataFrame]) -> Ranker:
    events, items = told
    return FeedModel().fit(events[events["ts"] < CUT], items).ranker


@pytest.fixture(scope="module")
def found(told: tuple[pd.DataFrame, pd.DataFrame], explored: pd.DataFrame, ranker: Ranker) -> Contest:
    events, items = told
    model = FeedModel().fit(events[events["ts"] < CUT], items, ranker=ranker)
    learnt = ranker.score
    orders = {
        "learnt": learnt,
        "turned": lambda features: -learnt(features),
        "rule": Ranker().score,
        "popular": contest.popular,
        "nothing": lambda features: np.zeros(len(features)),
    }
    return contest.relive(model, events[events["ts"] >= CUT], explored, orders)


def test_who_learnt_is_ahead_of_what_is_popular_and_that_is_ahead_of_the_opposite(found: Contest) -> None:
    learnt, popular, turned = (found.ndcg(name).value for name in ("learnt", "popular", "turned"))
    assert learnt > 2 * popular
    assert turned < 0.5 * popular
    assert found.hits("learnt").value > found.hits("popular").value
    assert found.ahead("learnt", "turned").interval[0] > 0
    low, high = found.ndcg("learnt").interval
    assert 0 < low < learnt < high < 1
    assert found.is_telling


def test_choices_are_those_of_the_day_that_somebody_liked(
    found: Contest, told: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    events, _ = told
    pleasing = events[(events["ts"] >= CUT) & (events["like"] | (events["watch_ms"] > 5000))]
    assert len(found.people) == len(pleasing)
    assert found.people.tolist() == pleasing["user_id"].tolist()
    assert all(len(places) == len(found.people) for places in found.places.values())


def test_an_order_that_tells_nothing_apart_puts_all_in_the_middle(found: Contest) -> None:
    assert found.ndcg("nothing").value < 0.1
    known = found.places["nothing"][np.isfinite(found.places["nothing"])]
    assert (known > 10).all()


def test_what_explored_says_the_same_of_the_orders(found: Contest, explored: pd.DataFrame) -> None:
    assert len(found.explored) == len(explored)
    assert set(found.explored.rewards) <= {np.float32(gain) for gain in (-0.1, 0.8, 1.0)}
    learnt, turned = (found.off_policy(name) for name in ("learnt", "turned"))
    assert learnt.is_telling
    assert learnt.plain.interval[0] > turned.plain.interval[1]
    nothing = found.off_policy("nothing").plain.value
    assert nothing == pytest.approx(found.explored.rewards.mean(), abs=1e-6)


def test_no_more_is_looked_at_than_is_meant_to(told: tuple[pd.DataFrame, pd.DataFrame], explored: pd.DataFrame) -> None:
    events, items = told
    model = FeedModel().fit(events[events["ts"] < CUT], items, ranker=Ranker())
    fresh = events[events["ts"] >= CUT].head(60)
    some = contest.relive(model, fresh, explored, {"rule": Ranker().score}, most=10)
    assert (len(some.people), len(some.explored)) == (10, 10)
    assert not some.is_telling


def test_posts_that_nobody_knows_and_pools_without_what_was_shown_are_left_out(
    told: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    events, items = told
    model = FeedModel().fit(events[events["ts"] < CUT], items, ranker=Ranker())
    strange = pd.DataFrame({"user_id": [1], "item_id": [9999], "ts": [CUT + 1], "like": [True]})
    places = pd.DataFrame({"user_id": [1, 1], "item_id": [9999, 3], "ts": [CUT, CUT], "pool": [[9999, 9998], [4, 5]]})
    left = contest.relive(model, strange, places, {"rule": Ranker().score})
    assert (len(left.people), len(left.explored)) == (0, 1)
    assert left.chances["rule"].tolist() == [0.0]
    assert math.isnan(left.ndcg("rule").value)


# --- the decision ---------------------------------------------------------------------------------------------------


def made(**places: list[float]) -> Contest:
    """A contest in which each person chose once, with these places."""
    number = len(next(iter(places.values())))
    nothing = Explored(np.zeros(0), np.zeros(0), np.zeros(0))
    arrays = {name: np.array(each, dtype=np.float64) for name, each in places.items()}
    return Contest(np.arange(number), arrays, nothing, {}, np.zeros((2, len(NAMES)), dtype=np.float32))


def test_a_candidate_takes_over_when_it_is_better_by_the_margin_and_surely() -> None:
    verdict = contest.decide(made(new=[0, 1] * 100, old=[3, 4] * 100), "ranking", "new", "old")
    assert (verdict.promoted, verdict.outcome, verdict.rows) == (True, "better", 200)
    assert verdict.certainty > 0.99
    assert verdict.reason.startswith("Better: NDCG at 10 0.8155 against")


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ([5, 6] * 100, [3, 4] * 100),
        ([3, 4] * 100, [3, 4] * 100),
        ([0, 9] * 30, [1, 1] * 30),
        ([math.inf] * 100, [math.inf] * 100),
    ],
    ids=["worse", "the same", "perhaps better", "neither ever finds it"],
)
def test_what_is_not_surely_better_stays_out(new: list[float], old: list[float]) -> None:
    verdict = contest.decide(made(new=new, old=old), "ranking", "new", "old")
    assert (verdict.promoted, verdict.outcome) == (False, "not_better")


def test_a_sure_gain_below_the_margin_is_not_worth_the_change() -> None:
    verdict = contest.decide(made(new=[0] * 20 + [1] * 1980, old=[1] * 2000), "ranking", "new", "old")
    assert verdict.certainty > contest.SURE
    assert not verdict.promoted


def test_figures_are_those_of_their_definitions() -> None:
    found = made(one=[0, 1, 9, 10, math.inf])
    assert found.ndcg("one").value == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(11)) / 5)
    assert found.hits("one").value == pytest.approx(3 / 5)


# --- the card -------------------------------------------------------------------------------------------------------


def test_a_candidate_is_written_with_what_was_found_and_is_not_in_use(
    ranker: Ranker, found: Contest, tmp_path: Path
) -> None:
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    version = shadow.version_of(ranker, moment)
    assert version.startswith("ranking-2026-03-04-")
    places = {version: found.places["learnt"], "rule": found.places["rule"]}
    contested = Contest(found.people, places, found.explored, {}, found.probes)
    shadow.write(ranker, version, contested, {"events": 1}, tmp_path, moment)
    assert registry.in_use("ranking", (tmp_path,)) == ""
    card = registry.load_version("ranking", version, tmp_path, NEEDS).card
    assert card.metrics["ndcg_10"] == pytest.approx(found.ndcg("learnt").value)
    assert card.data["test_people"] == found.ndcg("learnt").people
    assert len(card.probes["model"]["rows"]) == contest.PROBES


def test_one_that_is_worse_than_the_rule_does_not_pass_its_own_card(
    ranker: Ranker, found: Contest, tmp_path: Path
) -> None:
    places = {"ranking-bad": found.places["turned"], "rule": found.places["rule"]}
    contested = Contest(found.people, places, found.explored, {}, found.probes)
    shadow.write(ranker, "ranking-bad", contested, {}, tmp_path, datetime(2026, 3, 4, tzinfo=UTC))
    with pytest.raises(registry.Refused, match="gain_ndcg_over_rule"):
        registry.promote("ranking", "ranking-bad", tmp_path, NEEDS)


def test_without_trees_there_is_nothing_to_be_named() -> None:
    with pytest.raises(ValueError, match="no trees"):
        shadow.version_of(Ranker(), datetime(2026, 3, 4, tzinfo=UTC))
