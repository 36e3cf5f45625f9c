"""The demo: whole after one start, and after starts that were cut short."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from popoff import demo, runner
from popoff.audit.models import EntryRow
from popoff.demo import clips, money, people
from popoff.integrity import queries as integrity
from popoff.integrity.rules import CaseState, FlagState
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid
from popoff.ledger import checks as ledger_checks
from popoff.media.models import Post
from popoff.rewards import balances, checks, queries
from popoff.rewards.models import Gift
from popoff.web.transaction import transaction

pytestmark = pytest.mark.xdist_group("workers")

CLIPS = tuple(clips.CLIPS[number] for number in (2, 3, 6, 8))
"""One of each creator."""
COUNTED = (
    "users", "posts", "likes", "comments", "reports", "follows", "views", "jobs",
    "gifts", "gift_holds", "reward_statements", "payouts", "fraud_reports", "integrity_flags", "audit_entries",
)  # fmt: skip


@pytest.fixture
def client(platform_db: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A platform without a demo, which is to be a small one."""
    monkeypatch.setattr(clips, "CLIPS", CLIPS)
    monkeypatch.setattr(clips, "SECONDS", 1)
    with platform_db.app_context():
        yield platform_db.test_client()


class Teller:
    """What the person at the terminal reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


def idle_worker() -> subprocess.Popen[bytes]:
    """A worker that does nothing and ends."""
    return subprocess.Popen([sys.executable, "-c", ""])


def counts() -> dict[str, int]:
    with transaction():
        tables = db.metadata.tables
        return {name: db.session.scalar(sa.select(sa.func.count()).select_from(tables[name])) or 0 for name in COUNTED}


def stages() -> list[str]:
    with transaction():
        return list(db.session.scalars(sa.select(Post.stage).order_by(Post.id)))


def sign_in(client: FlaskClient, name: str) -> dict[str, Any]:
    answer = client.post("/api/auth/login/", data={"username": name, "password": demo.PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_demo_is_a_living_platform_and_loading_it_again_changes_nothing(client: FlaskClient) -> None:
    say = Teller()
    assert runner.prepare(say, with_demo=True)
    assert stages() == ["ready"] * len(CLIPS)
    tokens = {name: sign_in(client, name)["token"] for name in people.ROLES}
    found = counts()
    assert all(found[name] > 0 for name in COUNTED)
    mine = client.get("/api/media/get_feed/", headers={"Authorization": f"Token {tokens['dina']}"})
    assert mine.status_code == 200
    assert say.lines[0] == "Bringing the database up to date"
    assert say.lines[1] == f"Loading the demo, once: 10 people, {len(CLIPS)} clips"
    assert say.lines[-1] == f"  {len(CLIPS)} of {len(CLIPS)} clips can be played"
    assert len(say.lines) == len(set(say.lines))

    again = Teller()
    assert runner.prepare(again, with_demo=True)
    assert again.lines == ["Bringing the database up to date"]
    assert counts() == {**found, "jobs": counts()["jobs"]}


def quick_worker() -> subprocess.Popen[bytes]:
    """Films are ready at once."""
    with transaction():
        db.session.execute(sa.update(Post).values(stage="ready", playable_at=clock.now(), duration_ms=1000))
    return idle_worker()


def test_there_is_a_week_of_money_and_somebody_to_pay(client: FlaskClient) -> None:
    demo.load(Teller(), drain_jobs=quick_worker)
    with transaction():
        assert ledger_checks.check() == [] and checks.check() == []
        (period,) = queries.periods()
        assert (period.state, period.ends_at - period.starts_at) == ("closed", timedelta(days=7))
        assert queries.paid_by(period.id)[0] == len(people.CREATORS)
        ada, dina = people.everybody()["ada"].id, people.everybody()["dina"].id
        mine = queries.breakdown(ada)
        assert mine.settled > 0 and mine.estimated > 0
        (payout,) = balances.open_payouts()
        assert (payout.user_id, payout.state, payout.approved_by) == (ada, "pending", None)
        assert balances.purse(dina).in_escrow == 1_200  # held, for somebody has to look at it
        suspicious, _ = integrity.flagged(state=FlagState.OPEN)
        assert [flagged.flags[0].rule for flagged in suspicious] == ["reciprocity"] * 2
        ((case,), _) = integrity.cases(CaseState.OPEN, None)
        assert len(case.reports) == 1


def test_the_log_of_the_demo_was_written_in_the_order_of_time(client: FlaskClient) -> None:
    demo.load(Teller(), drain_jobs=quick_worker)
    with transaction():
        times = list(db.session.scalars(sa.select(EntryRow.time).order_by(EntryRow.id)))
        assert times == sorted(times)
        assert all(
            gift.created_at > people.everybody()["eve"].created_at for gift in db.session.scalars(sa.select(Gift))
        )


def test_a_demo_that_was_cut_short_before_the_films_were_made_goes_on_where_it_was(client: FlaskClient) -> None:
    def killed() -> subprocess.Popen[bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.load(Teller(), drain_jobs=killed)
    assert not demo.is_loaded()
    before = counts()
    assert (before["users"], before["posts"]) == (9, len(CLIPS))
    say = Teller()
    demo.load(say, drain_jobs=runner._drain_jobs)
    assert demo.is_loaded()
    assert stages() == ["ready"] * len(CLIPS)
    assert (counts()["users"], counts()["posts"]) == (10, len(CLIPS))
    assert "  drawing the clips" not in say.lines


def test_a_demo_that_was_cut_short_among_its_money_begins_the_week_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(money, "_ask_for_payout", cut_short)
        demo.load(Teller(), drain_jobs=quick_worker)
    assert not demo.is_loaded()
    assert (counts()["gifts"], counts()["reward_statements"]) == (0, 0)
    demo.load(Teller(), drain_jobs=quick_worker)
    assert (counts()["gifts"], counts()["payouts"]) == (12, 1)


def test_a_demo_that_was_cut_short_while_drawing_draws_only_what_is_missing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    draw = clips.draw

    def interrupted(clip: clips.Clip, file: Path) -> None:
        if len(drawn) == 1:
            raise KeyboardInterrupt
        drawn.append(clip.description)
        draw(clip, file)

    monkeypatch.setattr(clips, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.load(Teller(), drain_jobs=idle_worker)
    monkeypatch.setattr(clips, "draw", lambda clip, file: (drawn.append(clip.description), draw(clip, file))[1])
    demo.load(Teller(), drain_jobs=idle_worker)
    assert drawn == [clip.description for clip in CLIPS]
    assert len(stages()) == len(CLIPS)


def test_films_that_are_not_ready_are_left_to_the_workers(client: FlaskClient) -> None:
    say = Teller()
    demo.load(say, drain_jobs=idle_worker)
    assert say.lines[-1] == "  the others are tried again while PopOff runs"
    assert demo.is_loaded()
    assert stages() == ["received"] * len(CLIPS)


def test_the_demo_does_not_speak_for_real_people(client: FlaskClient) -> None:
    form = {"username": "ada", "email": "ada@lovelace.example", "password": "correct horse battery"}
    assert client.post("/api/auth/register/", data=form).status_code == 201
    with pytest.raises(Invalid) as refused:
        demo.load(Teller(), drain_jobs=idle_worker)
    assert refused.value.error_code == "account_exists"
    assert counts()["users"] == 1


def test_the_worker_of_the_demo_ends_with_a_load_that_is_interrupted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def endless() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        return started[0]

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        demo.load(Teller(), drain_jobs=endless)
    assert started[0].poll() is not None


def test_every_clip_can_be_drawn_and_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SECONDS", 0.2)
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    for clip in clips.CLIPS:
        clips.draw(clip, first)
        clips.draw(clip, second)
        assert first.stat().st_size > 1000
        assert first.read_bytes() == second.read_bytes(), clip.description


def test_the_clips_differ_and_belong_to_the_creators() -> None:
    assert len({clip.description for clip in clips.CLIPS}) == len(clips.CLIPS)
    assert {clip.author for clip in clips.CLIPS} == set(people.CREATORS)
