"""A platform learns its own ranker from what people did, uses it when it is surely better, and writes down what was
decided."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import config
from models_ml import registry
from models_ml.ranking import ranker as learning
from models_ml.ranking.ranker import Ranker
from popoff.audit.models import EntryRow
from popoff.feed import evaluation, experiments, rankers
from popoff.feed.models import Impression
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.social.models import Like, View
from tests.integration.feed.conftest import Register
from tests.support import crowd, tastes
from tests.support.command_line import popoff
from tests.support.rankers import put_ranker
from workers import ranking

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
END = NOON.timestamp()
OTHER = "ranking-2026-01-02-other"


@pytest.fixture(autouse=True)
def store(app: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of one's own, noon, few trees, less that is enough, and no ranker that comes with the code."""
    monkeypatch.setattr(learning, "ROUNDS", 40)
    monkeypatch.setattr(evaluation, "LEAST_PAST", 1000)
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
    with config.override(home=tmp_path) as settings, clock.at(NOON):
        yield settings.models_folder


@pytest.fixture
def lived(register: Register) -> None:
    """People who are fond of one kind of posts each, and what they did up to noon."""
    live(register)


def live(register: Register, **options: int) -> None:
    """Into the database with them. On the last day most of what they met had been drawn from a pool of four."""
    events, items = tastes.drawn(END, **options)
    authors = [register(kind) for kind in tastes.KINDS]
    people = crowd.people(int(events["user_id"].max()) + 1)
    posts: dict[int, int] = {}
    for author, (_, made) in zip(authors, items.groupby("author_id"), strict=True):
        moments = [at(created) for created in made["created"]]
        posts |= dict(zip(made["item_id"], crowd.posts(author, made["title"].tolist(), moments), strict=True))
    views, likes, impressions = [], [], []
    chance = np.random.default_rng(3)
    for row in events.itertuples():
        who, post, when = people[row.user_id], posts[row.item_id], at(row.ts)
        views.append({"user_id": who, "post_id": post, "watch_ms": row.watch_ms, "first_at": when, "last_at": when})
        if row.like:
            likes.append({"user_id": who, "post_id": post, "created_at": when + timedelta(seconds=5)})
        if row.ts < END - tastes.DAY or chance.random() < 0.4:
            continue
        pool = [post, *(posts[other] for other in chance.integers(len(posts), size=3))]
        impressions.append(
            {"page_id": uuid.uuid4(), "session_id": uuid.uuid4(), "position": 0, "user_id": who, "post_id": post,
             "source": "explore", "ranker": "", "pool": pool, "served_at": when, "seen_at": when}
        )  # fmt: skip
    for table, rows in ((View, views), (Like, likes), (Impression, impressions)):
        db.session.execute(sa.insert(table), rows)


def at(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def entries() -> list[EntryRow]:
    found = sa.select(EntryRow).where(EntryRow.action.startswith("feed.")).order_by(EntryRow.id)
    return list(db.session.scalars(found))


def test_a_better_ranker_takes_over_and_the_audit_log_and_the_table_say_so(lived: None, store: Path) -> None:
    put_ranker(store, OTHER, goes_by="age_hours", used=True)
    ranking.run()
    found, entry = entries()
    assert (found.subject, found.data["outcome"]) == (OTHER, "found_in_use")
    mine = rankers.in_use()
    assert mine.startswith("ranking-2026-05-04-")
    assert (entry.action, entry.subject, entry.actor) == ("feed.model_promoted", mine, None)
    assert (entry.data["instead_of"], entry.data["outcome"]) == (OTHER, "better")
    assert float(entry.data["candidate"]) > 1.5 * float(entry.data["current"])
    assert rankers.previous() == OTHER
    assert experiments.start("back", OTHER, 0.1, by=None).challenger == OTHER, "the one before is kept"

    lines = popoff("feed", "evaluate").stdout.splitlines()
    told = {line.split(" (")[0]: line for line in lines[2:]}
    assert list(told) == [mine, OTHER, "rule", "popular"]
    assert "places that explored" in lines[0]
    ndcg = {name: float(line.split(")")[1].split()[0]) for name, line in told.items()}
    worth = {name: float(line.split("]")[2].split()[0]) for name, line in told.items()}
    assert ndcg[mine] == max(ndcg.values()) > 1.5 * ndcg["popular"]
    assert ndcg[mine] == pytest.approx(float(entry.data["candidate"]), abs=1e-3)
    assert worth[mine] == max(worth.values())


def test_one_that_is_no_better_stays_in_the_shadow_and_is_told_of(
    lived: None, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking.run()
    [first] = entries()
    assert (first.action, first.data["instead_of"]) == ("feed.model_promoted", "rule")
    good = rankers.in_use()
    monkeypatch.setattr(learning, "ROUNDS", 25)
    ranking.run()
    _, entry = entries()
    assert (entry.action, entry.data["outcome"]) == ("feed.model_refused", "not_better")
    assert rankers.in_use() == good != entry.subject
    assert (store / "ranking" / entry.subject / "card.json").is_file()


def test_one_that_is_worse_than_the_plain_rule_is_refused(
    lived: None, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Ranker.learn

    def turned(choices: list[learning.Choice]) -> Ranker:
        return learn([learning.Choice(choice.features, 1 - choice.labels) for choice in choices])

    monkeypatch.setattr(Ranker, "learn", turned)
    ranking.run()
    [entry] = entries()
    assert (entry.action, entry.data["outcome"]) == ("feed.model_refused", "refused")
    assert rankers.in_use() == ""


def test_with_too_little_nothing_is_learnt_and_it_says_why(
    register: Register, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(evaluation.TooLittle, match="There are 0 events before the last day"):
        ranking.learn(clock.now())
    live(register, people=40, each=10)
    with pytest.raises(evaluation.TooLittle, match="There were 40 people on the last day"):
        ranking.learn(clock.now())
    with clock.at(NOON + timedelta(days=2)), pytest.raises(evaluation.TooLittle, match="There are 0 events on"):
        ranking.learn(clock.now())
    ranking.run()
    assert entries() == []
    assert not store.exists()


def test_the_table_says_when_there_is_too_little() -> None:
    assert "There is too little to go by." in popoff("feed", "evaluate", fails=True).stderr


def test_nothing_changes_while_an_experiment_runs(lived: None, store: Path) -> None:
    put_ranker(store, OTHER)
    experiments.start("spring", OTHER, 0.5, by=None)
    ranking.run()
    assert [entry.action for entry in entries()] == [experiments.STARTED]
    assert rankers.versions() == [OTHER]


def test_what_is_gone_by_now_is_neither_learnt_nor_asked_for(lived: None) -> None:
    gone = db.session.scalars(sa.select(View.post_id).order_by(View.first_at.desc()).limit(1)).one()
    db.session.execute(sa.text("UPDATE posts SET visibility = 'hidden' WHERE id = :id"), {"id": gone})
    told = evaluation.days(clock.now(), ranking.transaction)
    assert gone not in {*told.past["item_id"], *told.fresh["item_id"], *told.items["item_id"]}
    assert told.past["ts"].max() < END - tastes.DAY <= told.fresh["ts"].min()
