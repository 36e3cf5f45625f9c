"""`popoff wallet`, `popoff rewards` and `popoff doctor`."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.rewards.models import Period
from tests.support import ledger
from tests.support.command_line import popoff
from tests.support.rewards import give, person, post_of


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    made = person("ada")
    db.session.commit()
    return made


def last_line(*arguments: str | int, fails: bool = False) -> str:
    return popoff(*arguments, fails=fails).output.splitlines()[-1]


# wallet


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@people.example"])
def test_a_grant_arrives_and_is_in_the_log(ada: User, name: str) -> None:
    assert last_line("wallet", "grant", name, "12.50", "--reason", "a contest") == (
        "ada was granted 12.50 EUR and has 12.50 EUR"
    )
    assert ledger.has(ledger.wallet(ada.id)) == 1250
    entry = db.session.scalars(sa.select(EntryRow)).one()
    assert (entry.action, entry.amount, entry.actor) == ("wallet_grant", 1250, None)
    ledger.prove()


def test_the_same_grant_under_one_key_is_made_once(ada: User) -> None:
    for _ in range(2):
        last_line("wallet", "grant", "ada", "5", "--reason", "a contest", "--key", "november")
    assert ledger.has(ledger.wallet(ada.id)) == 500


@pytest.mark.parametrize("amount", ["0", "0.001", "NaN", "much", "1e20"])
def test_what_is_no_amount_is_not_granted(ada: User, amount: str) -> None:
    popoff("wallet", "grant", "ada", amount, "--reason", "x", fails=True)
    assert ledger.has(ledger.wallet(ada.id)) == 0


def test_nobody_can_be_granted_less_than_nothing(ada: User) -> None:
    popoff("wallet", "grant", "--reason", "x", "--", "ada", "-5", fails=True)


def test_a_stranger_and_a_reason_that_says_nothing_are_refused(ada: User) -> None:
    popoff("wallet", "grant", "nobody", "5", "--reason", "x", fails=True)
    popoff("wallet", "grant", "ada", "5", "--reason", " ", fails=True)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(EntryRow)) == 0


# rewards


@pytest.fixture
def given(ada: User) -> User:
    """Somebody who gave ada 10.00 two days ago."""
    eve = person("eve", money=5_000)
    give(eve, post_of(ada), 1_000, at=clock.now() - timedelta(days=2))
    db.session.commit()
    return eve


def days(start: int, end: int) -> tuple[str, ...]:
    now = clock.now()
    first, last = (f"{now - timedelta(days=days):%Y-%m-%d}" for days in (start, end))
    return ("--from", first, "--to", last)


def test_closing_settles_pays_and_says_how_much(ada: User, given: User) -> None:
    line = last_line("rewards", "close", *days(5, 0), "--ad-pool", "100", "--creator-fund", "0")
    assert line.endswith("closed, 1 statements, 4.00 in all")
    assert ledger.has(ledger.wallet(ada.id)) == 400
    period = db.session.scalars(sa.select(Period)).one()
    assert (period.ad_pool, period.creator_fund, period.state) == (10_000, 0, "closed")


def test_closing_the_same_again_changes_nothing(ada: User, given: User) -> None:
    first, again = (last_line("rewards", "close", *days(5, 0)) for _ in range(2))
    assert first == again
    assert ledger.has(ledger.wallet(ada.id)) == 400
    popoff("rewards", "close", *days(4, 0), fails=True)


def test_a_statement_is_explained_to_the_cent(ada: User, given: User) -> None:
    period = last_line("rewards", "close", *days(5, 0)).split()[1].rstrip(":")
    assert last_line("rewards", "periods").startswith(f"period {period}")
    (statement,) = (json.loads(line) for line in popoff("rewards", "statements", period).output.splitlines())
    assert statement["total"] == 4
    assert last_line("rewards", "explain", statement["id"]) == "Total: 4.00, paid"
    popoff("rewards", "explain", "none", fails=True)


@pytest.mark.parametrize("bad", ["yesterday", "2026-13-01"])
def test_what_is_no_day_is_a_sentence(session: sa.orm.Session, bad: str) -> None:
    from click.testing import CliRunner

    from popoff.cli import main

    result = CliRunner().invoke(main, ["rewards", "close", "--from", bad, "--to", "2026-11-01"])
    assert result.exit_code == 2 and "neither a day" in result.output


# doctor


def doctor(*, wrong: bool) -> str:
    from click.testing import CliRunner

    from popoff.cli import main

    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == int(wrong), result.output
    return result.output


def test_a_healthy_platform_has_nothing_wrong(ada: User, given: User) -> None:
    last_line("rewards", "close", *days(5, 0))
    db.session.execute(sa.delete(Job))
    db.session.commit()
    lines = doctor(wrong=False).splitlines()
    assert lines[-1] == "nothing is wrong"
    assert all(line.endswith(": ok") for line in lines[:-1]) and len(lines) == 7


def test_a_counter_that_was_changed_is_found_and_left_as_it_is(ada: User) -> None:
    post = post_of(ada)
    db.session.execute(sa.text("INSERT INTO post_counters (post_id, likes) VALUES (:id, 99)"), {"id": post.id})
    db.session.commit()
    assert "counters: 1 wrong" in doctor(wrong=True)
    assert db.session.scalar(sa.text("SELECT likes FROM post_counters")) == 99


def test_money_from_nowhere_is_found(ada: User, given: User) -> None:
    db.session.execute(sa.text("ALTER TABLE ledger_accounts DISABLE TRIGGER USER"))
    db.session.execute(sa.text("UPDATE ledger_accounts SET balance = balance + 1 WHERE kind = 'wallet'"))
    db.session.execute(sa.text("ALTER TABLE ledger_accounts ENABLE TRIGGER USER"))
    db.session.commit()
    assert "the sum over all accounts is not zero" in doctor(wrong=True)


def test_a_changed_entry_of_the_log_is_found(ada: User) -> None:
    last_line("wallet", "grant", "ada", "5", "--reason", "a contest")
    doctor(wrong=False)
    db.session.execute(sa.text("ALTER TABLE audit_entries DISABLE TRIGGER append_only"))
    db.session.execute(sa.text("UPDATE audit_entries SET amount = 5000"))
    db.session.execute(sa.text("ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER append_only"))
    db.session.commit()
    assert "audit log: 1 wrong" in doctor(wrong=True)


def test_a_post_that_nobody_moves_on_is_found(ada: User) -> None:
    post = post_of(ada)
    db.session.execute(sa.update(Post).where(Post.id == post.id).values(stage="transcoding"))
    db.session.commit()
    assert f"post {post.id} is on its way, and no job moves it" in doctor(wrong=True)
    jobs.stage("media.transcode", post_id=post.id)
    db.session.commit()
    assert "posts: ok" in doctor(wrong=False)


def test_jobs_that_are_dead_or_forgotten_are_found(ada: User) -> None:
    jobs.stage("feed.trending")
    db.session.commit()
    doctor(wrong=False)
    db.session.execute(sa.update(Job).values(run_after=clock.now() - timedelta(hours=1)))
    db.session.commit()
    assert "do workers run?" in doctor(wrong=True)
    db.session.execute(sa.update(Job).values(state="dead", last_error="boom: it broke"))
    db.session.commit()
    assert "has used up its tries: boom: it broke" in doctor(wrong=True)
