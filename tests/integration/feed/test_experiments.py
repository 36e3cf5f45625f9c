"""Two rankers on trial: started and stopped on the command line, read there and by admins through the API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import config
from models_ml import registry
from popoff.audit.models import EntryRow
from popoff.feed import experiments, trials
from popoff.feed.models import Dismissal, Impression
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid
from popoff.social.models import Comment, Like, View
from tests.integration.feed.conftest import Register
from tests.support import crowd
from tests.support.command_line import popoff
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.rankers import put_ranker
from tests.support.refusals import assert_refusal

CHALLENGER = "ranking-2026-01-02-challenger"


@pytest.fixture(autouse=True)
def store(app: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of one's own, with a version that can be tried."""
    with config.override(home=tmp_path) as settings:
        monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
        put_ranker(settings.models_folder, CHALLENGER)
        yield settings.models_folder


def entries() -> list[EntryRow]:
    found = sa.select(EntryRow).where(EntryRow.action.startswith("feed.")).order_by(EntryRow.id)
    return list(db.session.scalars(found))


def start(name: str = "spring", share: float = 0.5) -> None:
    popoff("feed", "experiment", "start", name, "--challenger", CHALLENGER, "--share", share)


def shown(user_id: int, post_id: int, *, seen: bool = True, ranker: str = "", minutes: int = 1) -> None:
    """An impression, one page and session each."""
    served = clock.now() + timedelta(minutes=minutes)
    db.session.add(
        Impression(
            page_id=uuid.uuid4(),
            session_id=uuid.uuid4(),
            position=0,
            user_id=user_id,
            post_id=post_id,
            source="interest",
            ranker=ranker,
            served_at=served,
            seen_at=served if seen else None,
        )
    )
    db.session.flush()


def watched(user_id: int, post_id: int, seconds: float, minutes: int = 2) -> None:
    at = clock.now() + timedelta(minutes=minutes)
    db.session.add(View(user_id=user_id, post_id=post_id, watch_ms=int(1000 * seconds), first_at=at, last_at=at))
    db.session.flush()


def test_starting_and_stopping_are_in_the_audit_log_and_decide_who_gets_what() -> None:
    assert experiments.running() is None
    start(share=0.25)
    running = experiments.running()
    assert running == ("spring", CHALLENGER, 0.25)
    challenged = [user_id for user_id in range(200) if running.ranker_for(user_id) == CHALLENGER]
    assert challenged == [user_id for user_id in range(200) if trials.is_challenged("spring", 0.25, user_id)]
    assert {running.ranker_for(user_id) for user_id in range(200)} == {CHALLENGER, ""}
    popoff("feed", "experiment", "stop", "spring")
    assert experiments.running() is None
    started, stopped = entries()
    assert (started.action, started.subject, started.actor) == ("feed.experiment_started", "spring", None)
    assert started.data == {"challenger": CHALLENGER, "in_use": "", "share": "0.25"}
    assert (stopped.action, stopped.subject) == ("feed.experiment_stopped", "spring")


def test_one_experiment_runs_at_a_time_and_no_name_serves_twice() -> None:
    start()
    with pytest.raises(Conflict, match="Another experiment is running"):
        experiments.start("summer", CHALLENGER, 0.5, by=None)
    experiments.stop("spring", by=None)
    with pytest.raises(Conflict, match="stopped before"):
        experiments.stop("spring", by=None)
    with pytest.raises(Conflict, match="do not mix"):
        experiments.start("spring", CHALLENGER, 0.5, by=None)
    start("summer")


def test_what_is_in_use_is_no_challenger_and_versions_are_listed(store: Path) -> None:
    assert popoff("feed", "rankers").stdout == f"None is in use: the feed goes by its rules.\n{CHALLENGER}\n"
    used = put_ranker(store, "ranking-2026-01-03-used", used=True)
    with pytest.raises(Invalid, match="in use"):
        experiments.start("spring", used, 0.5, by=None)
    assert popoff("feed", "rankers").stdout == f"{used}  in use\n{CHALLENGER}\n"
    start()
    assert entries()[-1].data["in_use"] == used


@pytest.mark.parametrize(
    ("name", "challenger", "share", "code"),
    [
        ("Two words", CHALLENGER, 0.5, "invalid_name"),
        ("spring", "ranking-of-nobody", 0.5, "unknown_ranker"),
        ("spring", "../../etc", 0.5, "unknown_ranker"),
        ("spring", CHALLENGER, 1.0, "invalid_share"),
        ("spring", CHALLENGER, float("nan"), "invalid_share"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, challenger: str, share: float, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        experiments.start(name, challenger, share, by=None)
    assert refusal.value.error_code == code
    assert experiments.running() is None


def test_the_command_line_says_in_a_sentence_what_is_wrong() -> None:
    popoff("feed", "experiment", "results", fails=True)
    popoff("feed", "experiment", "stop", "spring", fails=True)
    popoff("feed", "experiment", "start", "spring", "--challenger", "nothing", "--share", 0.5, fails=True)


def test_what_people_did_with_what_they_were_shown_is_counted(register: Register) -> None:
    register("ada")
    one, two = make_post("ada", duration_ms=10_000), make_post("ada", duration_ms=20_000)
    eve, bob = register("eve"), register("bob")
    start()
    now = clock.now()
    shown(eve, one, ranker=CHALLENGER)
    watched(eve, one, 5)
    shown(eve, two, seen=False, ranker=CHALLENGER)
    db.session.add(Like(user_id=eve, post_id=one, created_at=now + timedelta(minutes=3)))
    db.session.add(Like(user_id=eve, post_id=two, created_at=now - timedelta(days=3)))
    shown(bob, one)
    shown(bob, one, minutes=5)
    watched(bob, one, 30)
    shown(bob, two, minutes=40)
    db.session.add(Comment(user_id=bob, post_id=one, text="Hi", created_at=now + timedelta(minutes=3)))
    db.session.add(Dismissal(user_id=bob, post_id=two, created_at=now + timedelta(minutes=41)))
    shown(bob, two, minutes=-60 * 24)
    db.session.flush()
    rows = experiments._sums(CHALLENGER, now, now + timedelta(hours=1))
    found = {row[0]: dict(zip(trials.COLUMNS, map(float, row), strict=True)) for row in rows}
    nothing = dict.fromkeys(trials.COLUMNS, 0.0)
    assert found[eve] == nothing | {
        "user_id": eve, "sessions": 1, "served": 2, "by_challenger": 2, "seen": 1, "timed": 1, "watch_s": 5,
        "parts_watched": 0.5, "likes": 1,
    }  # fmt: skip
    assert found[bob] == nothing | {
        "user_id": bob, "sessions": 2, "served": 3, "seen": 2, "timed": 2, "watch_s": 30, "parts_watched": 1,
        "comments": 1, "hides": 1,
    }  # fmt: skip


def test_admins_read_results_and_nobody_else_does(people: People) -> None:
    post = make_post(people.ada.username, duration_ms=60_000)
    experiments.start("spring", CHALLENGER, 0.5, by=None)
    with clock.shifted(timedelta(hours=-1)):
        db.session.get_one(experiments.Experiment, "spring").started_at = clock.now()
    for user_id in crowd.people(160):
        challenged = trials.is_challenged("spring", 0.5, user_id)
        shown(user_id, post, ranker=CHALLENGER if challenged else "", minutes=-30)
        watched(user_id, post, (40 if challenged else 20) + user_id % 5, minutes=-29)
    db.session.commit()
    assert_refusal(people.ada.get("/api/feed/experiments/"), 403, "forbidden")
    assert_refusal(people.ada.get("/api/feed/experiments/spring/"), 403, "forbidden")
    people.boss  # noqa: B018
    popoff("user", "role", "boss", "admin")
    [listed] = people.boss.get("/api/feed/experiments/").json["experiments"]
    assert (listed["name"], listed["challenger"], listed["ended_at"]) == ("spring", CHALLENGER, None)
    found = people.boss.get("/api/feed/experiments/spring").json
    assert found["outcome"] == "better"
    assert found["current"]["people"] + found["challenger_side"]["people"] == 160
    assert found["challenger_side"]["by_challenger"] == found["challenger_side"]["served"]
    watching = {each["name"]: each for each in found["measures"]}["watch_s_per_session"]
    assert 18 < watching["difference"]["low"] < watching["difference"]["value"] < watching["difference"]["high"] < 22
    assert_refusal(people.boss.get("/api/feed/experiments/autumn/"), 404, "experiment_not_found")
    told = popoff("feed", "experiment", "results").stdout
    assert "spring: ranking-2026-01-02-challenger for 50% of all people" in told
    assert found["sentence"] in told
    assert popoff("feed", "experiment", "results", "spring").stdout == told
