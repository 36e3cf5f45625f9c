"""A platform learns its own engagement model, uses it when it is surely better, and writes down what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import xgboost as xgb

import config
from models_ml import boosting, registry
from models_ml import retrain as judging
from models_ml.engagement import learning
from models_ml.engagement import population as drawing
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.scoring import queries
from popoff.social.models import View
from tests.support.people import People
from tests.support.posts import make_post
from workers import rescore, retrain

SHIPPED = registry.load("engagement").version


@pytest.fixture(autouse=True)
def store(app: object, tmp_path: Path) -> Iterator[Path]:
    """A data folder of one's own."""
    with config.override(home=tmp_path) as settings:
        yield settings.models_folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "RESAMPLES", 100)
    fit = boosting.fit
    monkeypatch.setattr(boosting, "fit", lambda rows, parameters, rounds, *more: fit(rows, parameters, 20, *more))


def older_code(store: Path) -> str:
    """A model of the platform's own that was in use before the code knew one of its features."""
    whole = registry.load("engagement")
    features = list(whole.card.features)[:-1]
    rows = np.random.default_rng(5).random((50, len(features)), dtype=np.float32)
    booster = xgb.train({"nthread": 1}, xgb.DMatrix(rows, label=rows[:, 0], feature_names=features), 1)
    card = replace(whole.card, version="engagement-0", features=features, files={}, probes={})
    registry.save(card, {"platform": booster}, rows[:2], store)
    registry.promote("engagement", card.version, store)
    return card.version


def live(monkeypatch: pytest.MonkeyPatch, past: int, fresh: int, *, liked: float = 0.3) -> None:
    """A platform whose posts are liked at this rate: so many moments are told of, and so many of the last days."""
    monkeypatch.setitem(drawing.USUAL, "likes", liked)
    frames = [drawing.population(past, 41), drawing.population(fresh, 42)]
    monkeypatch.setattr(retrain, "_frame", lambda since, until: frames[since != retrain.EPOCH])


def entries() -> list[EntryRow]:
    found = sa.select(EntryRow).where(EntryRow.action.startswith("scoring.")).order_by(EntryRow.id)
    return list(db.session.scalars(found))


def test_a_better_model_is_put_in_use_and_the_audit_log_says_so(
    people: People, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(monkeypatch, 900, 300)
    retrain.run()
    [entry] = entries()
    mine = registry.in_use("engagement", (store,))
    assert (entry.action, entry.subject, entry.actor) == ("scoring.model_promoted", mine, None)
    assert entry.data["instead_of"] == SHIPPED != mine
    assert float(entry.data["candidate"]) < float(entry.data["current"])
    assert (entry.data["outcome"], entry.data["rows"]) == ("better", 300)
    post_id = make_post(people.ada.username, indexed=False)
    rescore.rescore_moved()
    assert queries.engagement(post_id).model == mine, "and posts are scored by it"


def test_what_is_not_better_stays_in_the_shadow(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, 900, 60)
    retrain.run()
    [entry] = entries()
    assert (entry.action, entry.data["outcome"]) == ("scoring.model_refused", "too_few")
    assert registry.in_use("engagement", (store,)) == ""
    assert (store / "engagement" / entry.subject / "card.json").is_file()


def test_a_candidate_below_its_cards_floors_is_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, 900, 300)
    monkeypatch.setattr(learning, "rates", lambda model, posts, source="platform": posts.views.to_numpy() * 0 + 0.999)
    retrain.run()
    [entry] = entries()
    assert (entry.action, entry.data["outcome"]) == ("scoring.model_refused", "refused")
    assert registry.in_use("engagement", (store,)) == ""


def test_too_few_posts_teach_nothing(store: Path) -> None:
    retrain.run()
    assert entries() == []
    assert not store.exists()


def test_an_entry_that_cannot_be_written_keeps_the_model_out_of_use(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(monkeypatch, 900, 300)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("the database is away")

    monkeypatch.setattr(retrain.audit, "record", away)
    with pytest.raises(ConnectionError):
        retrain.run()
    assert registry.in_use("engagement", (store,)) == ""


def test_moments_are_learnt_from_up_to_the_fresh_days(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[datetime, datetime]] = []

    def frame(since: datetime, until: datetime) -> pd.DataFrame:
        asked.append((since, until))
        return drawing.population(600, 43)

    monkeypatch.setattr(retrain, "_frame", frame)
    retrain.run()
    (first, cut), (again, end) = asked
    assert (first, again) == (retrain.EPOCH, cut)
    assert end - cut == retrain.FRESH


def test_a_platform_with_more_fresh_posts_than_are_looked_at_learns_from_those_before(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "POSTS", 2)
    monkeypatch.setattr(retrain, "BATCH", 1)
    now = clock.now()
    old, *_ = [make_post(people.ada.username, indexed=False) for _ in range(4)]
    eve = db.session.scalars(
        sa.text("SELECT id FROM users WHERE username = :name"), {"name": people.eve.username}
    ).one()
    db.session.get_one(Post, old).playable_at = now - timedelta(days=30)
    viewed = now - timedelta(days=20)
    db.session.add(View(post_id=old, user_id=eve, watch_ms=5000, first_at=viewed, last_at=viewed))
    db.session.flush()
    assert set(retrain._frame(retrain.EPOCH, now - retrain.FRESH)["post"]) == {old}


def test_an_entry_that_was_not_committed_is_made_up_for_by_the_next_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(monkeypatch, 900, 300)
    promote = registry.promote

    def cut_short(*given: Any) -> None:
        promote(*given)
        raise ConnectionError("the database went away")

    with monkeypatch.context() as dying:
        dying.setattr(retrain.registry, "promote", cut_short)
        with pytest.raises(ConnectionError):
            retrain.run()
    mine = registry.in_use("engagement", (store,))
    assert (mine.startswith("engagement-"), entries()) == (True, [])
    for _ in range(2):
        retrain.run()
        [entry] = entries()
        assert (entry.action, entry.subject) == ("scoring.model_promoted", mine)
        assert entry.data["outcome"] == "found_in_use"


# --- models that cannot be used -------------------------------------------------------------------------------------


def test_a_damaged_model_is_refused_and_the_shipped_one_scores(
    people: People, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(monkeypatch, 900, 300)
    retrain.run()
    path = store / "engagement" / registry.in_use("engagement", (store,)) / "platform.ubj"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    post_id = make_post(people.ada.username, indexed=False)
    rescore.run(post_id)
    assert queries.engagement(post_id).model == SHIPPED


def test_a_model_that_older_code_made_is_refused_and_can_be_replaced(
    people: People, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = older_code(store)
    post_id = make_post(people.ada.username, indexed=False)
    rescore.run(post_id)
    rescore.rescore_moved()
    assert queries.engagement(post_id).model == SHIPPED
    live(monkeypatch, 900, 300)
    retrain.run()
    [entry] = entries()
    assert (entry.action, entry.data["instead_of"]) == ("scoring.model_promoted", SHIPPED)
    assert registry.in_use("engagement", (store,)) == entry.subject != former


def test_without_any_model_the_rules_score_and_leave_alone_what_a_model_scored(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_post(people.ada.username, indexed=False)
    rescore.run(before)
    after = make_post(people.ada.username, indexed=False)
    with monkeypatch.context() as without:
        without.setattr(registry, "SHIPPED", tmp_path / "nothing")
        rescore.rescore_moved()
        rescore.run(before)
    assert queries.engagement(before).model == SHIPPED
    assert queries.engagement(after).model == "rules-1"
    rescore.rescore_moved()
    assert queries.engagement(after).model == SHIPPED
