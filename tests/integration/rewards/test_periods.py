"""Closing a period: who is paid what, from where, and that it happens once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.adapters.jobs import Job
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid, Unavailable
from popoff.ledger import service as ledger
from popoff.ledger.rules import Account, Kind
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.rewards import checks, gifts, holds, inputs, periods, queries, rules
from popoff.rewards.models import Line, Period, Statement
from popoff.rewards.rules import PeriodState
from tests.support.ledger import PLATFORM, has, wallet
from tests.support.rewards import (
    AFTER,
    END,
    INSIDE,
    START,
    begin,
    close,
    give,
    person,
    post_of,
    prove,
    score,
    settle,
    statement_of,
    watch,
)

AD_POOL, FUND = Account(Kind.AD_POOL), Account(Kind.CREATOR_FUND)
NEXT = END + timedelta(days=30)
LATER = END + timedelta(days=5)


class Killed(BaseException):
    """The process is gone."""


class Scene:
    """Two creators, three posts, four viewers."""

    def __init__(self) -> None:
        self.ada, self.bela = person("ada"), person("bela")
        self.first, self.second, self.other = post_of(self.ada), post_of(self.ada), post_of(self.bela)
        self.viewers = [person(f"viewer{number}", money=1_000_000) for number in range(4)]
        score(self.first, 60, 80)
        score(self.second, 20, 40)
        score(self.other, 90, 30)
        for viewer in self.viewers:
            watch(viewer, self.first, 10)
        watch(self.viewers[0], self.second, 4)
        watch(self.viewers[1], self.other, 36)

    def line(self, post: Post, period: Period) -> Line:
        return db.session.get_one(Line, (post.user_id, period.id, post.id))


@pytest.fixture
def scene(session: sa.orm.Session) -> Scene:
    return Scene()


def test_the_formula_to_the_cent(scene: Scene) -> None:
    give(scene.viewers[0], scene.first, 10_000)
    give(scene.viewers[1], scene.other, 2_501)
    period = close()
    first, second, other = (scene.line(post, period) for post in (scene.first, scene.second, scene.other))
    assert (first.views, second.views, other.views) == (4, 1, 1)
    assert (first.watch_ms, second.watch_ms, other.watch_ms) == (40_000, 4_000, 36_000)
    assert (first.gift_reward, second.gift_reward, other.gift_reward) == (4_000, 0, 1_000)
    # 3,000.00 by ½ views and ½ watch time: 4/6 and 1/2, 1/6 and 1/20, 1/6 and 9/20
    assert (first.ad_revenue, second.ad_revenue, other.ad_revenue) == (175_000, 32_500, 92_500)
    # 6,000.00 by the means (70 + 30)/2 = 50 and 60; ada's 272,727 by 70 to 30
    assert (first.score, second.score, other.score) == (7000, 3000, 6000)
    assert (first.fund_reward, second.fund_reward, other.fund_reward) == (190_909, 81_818, 327_273)
    assert first.model == "e-1+q-1"


def test_total_breakdown_statement_and_ledger_agree(scene: Scene) -> None:
    give(scene.viewers[0], scene.first, 9_999)
    give(scene.viewers[2], scene.second, 1)
    expected = queries.total(scene.ada.id)
    assert queries.breakdown(scene.ada.id).estimated == expected > 0
    period = close()
    breakdown = queries.breakdown(scene.ada.id)
    statement = statement_of(scene.ada, period)
    assert queries.total(scene.ada.id) == breakdown.total == breakdown.settled == statement.total == expected
    assert sum(content.total for content in breakdown.contents) == has(wallet(scene.ada.id)) == statement.total
    assert breakdown.estimated == 0
    assert sum(breakdown.percentage(content) for content in breakdown.contents) == pytest.approx(100)


def test_gifts_are_split_between_creator_and_platform_and_pools_run_empty(scene: Scene) -> None:
    give(scene.viewers[0], scene.first, 10_000)
    close()
    assert has(Account(Kind.GIFTS, scene.ada.id)) == 0
    assert has(PLATFORM) == 6_000
    assert has(AD_POOL) == has(FUND) == 0
    assert has(wallet(scene.ada.id)) + has(wallet(scene.bela.id)) == 4_000 + 300_000 + 600_000


def test_the_same_close_again_is_the_same_period_and_pays_nothing_more(scene: Scene) -> None:
    period = close()
    before = has(wallet(scene.ada.id))
    assert close().id == period.id
    assert not periods.advance(period.id)
    assert has(wallet(scene.ada.id)) == before


def test_periods_do_not_overlap(scene: Scene) -> None:
    earlier = close()
    for start, end in ((START, END + timedelta(days=1)), (INSIDE, INSIDE + timedelta(days=1))):
        with pytest.raises(Conflict) as refusal:
            begin(start, end)
        assert refusal.value.error_code == "period_overlaps"
        assert refusal.value.details["period"] == earlier.public_id
        assert "from 2026-03-01T00:00:00.000Z to 2026-04-01T00:00:00.000Z" in refusal.value.text
    with pytest.raises(Conflict):
        begin(ad_pool=5)
    close(START - timedelta(days=31), START)


def test_one_period_is_closed_at_a_time(scene: Scene) -> None:
    begin()
    with pytest.raises(Conflict) as refusal:
        begin(END, NEXT)
    assert refusal.value.error_code == "period_closing"


def test_a_period_begins_in_the_past(session: sa.orm.Session) -> None:
    with clock.at(START):
        for start, end in ((START, END), (END, NEXT), (END, START)):
            with pytest.raises(Invalid):
                periods.close(start, end, by=None)


def test_closed_before_its_end_a_period_ends_now(scene: Scene) -> None:
    with clock.at(INSIDE):
        period = periods.close(START, END, by=None)
        assert period.ends_at == INSIDE
        assert periods.close(START, END, by=None).id == period.id
        while periods.advance(period.id):
            pass
    late = give(scene.viewers[0], scene.first, 100, at=INSIDE)
    assert scene.line(scene.first, close(INSIDE, END)).gifts == late.amount


def test_closing_stages_its_job_once(scene: Scene) -> None:
    begin()
    begin()
    (job,) = db.session.scalars(sa.select(Job).where(Job.name == "rewards.close"))
    assert list(job.args) == ["period_id"]


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_anywhere_and_repeated_it_pays_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, steps: int, when: str
) -> None:
    """Each step is a transaction: cut off inside, it never happened; cut off between two, the rest goes on."""
    monkeypatch.setattr(rules, "BATCH", 1)
    give(scene.viewers[0], scene.first, 10_000)
    period = begin()
    transfer, calls = ledger.transfer, iter(range(100))

    def killed(*args: object, **options: object) -> object:
        if next(calls) != steps:
            return transfer(*args, **options)  # type: ignore[arg-type]
        if when == "after":
            transfer(*args, **options)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "transfer", killed)
        _until_killed(period.id)
        _until_killed(period.id)
    settle(period)
    assert period.state == PeriodState.CLOSED and period.batches == 2
    assert has(wallet(scene.ada.id)) == statement_of(scene.ada, period).total
    assert has(wallet(scene.bela.id)) == statement_of(scene.bela, period).total
    assert has(AD_POOL) == has(FUND) == 0


def _until_killed(period_id: int) -> None:
    """Steps, each in a savepoint that stands for the transaction it has in the job."""
    more = True
    try:
        with clock.at(AFTER):
            while more:
                with db.session.begin_nested():
                    more = periods.advance(period_id)
    except Killed:
        db.session.expire_all()


def test_half_paid_statements_are_not_in_wallets_yet(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BATCH", 1)
    period = begin()
    with clock.at(AFTER):
        periods.advance(period.id)
        periods.advance(period.id)
    ada, bela = statement_of(scene.ada, period), statement_of(scene.bela, period)
    assert (has(wallet(scene.ada.id)), has(wallet(scene.bela.id))) == (ada.total, 0)
    assert queries.statement(ada.public_id).paid and not queries.statement(bela.public_id).paid
    prove()


def test_only_what_happened_in_the_period_counts(scene: Scene) -> None:
    for at in (START - timedelta(seconds=1), END):
        give(scene.viewers[0], scene.first, 100, at=at)
        watch(person(f"early{at:%m}"), scene.other, 30, at=at)
    give(scene.viewers[0], scene.first, 300, at=START)
    period = close()
    assert scene.line(scene.first, period).gifts == 300
    assert scene.line(scene.other, period).views == 1
    assert scene.line(scene.first, close(START - timedelta(days=1), START)).gifts == 100


def test_watching_ones_own_posts_counts_nothing(scene: Scene) -> None:
    watch(scene.bela, scene.other, 10_000)
    assert scene.line(scene.other, close()).watch_ms == 36_000


def test_those_who_come_back_add_watch_time_to_the_period_they_come_back_in(scene: Scene) -> None:
    close()
    watch(scene.viewers[0], scene.first, 7, at=LATER)
    watch(person("newcomer"), scene.first, 3, at=LATER)
    line = scene.line(scene.first, close(END, NEXT))
    assert (line.views, line.watch_ms) == (1, 10_000)
    assert db.session.scalar(sa.select(sa.func.sum(Line.watch_ms)).where(Line.post_id == scene.first.id)) == 50_000


@pytest.mark.parametrize("how", ["hidden", "deleted", "suspended", "leaving"])
def test_what_is_not_shown_has_no_share_in_the_pools_but_keeps_its_gifts(scene: Scene, how: str) -> None:
    give(scene.viewers[0], scene.other, 1_000)
    if how == "hidden":
        media.set_visibility(scene.other.id, Visibility.HIDDEN)
    elif how == "deleted":
        scene.other.deleted_at = AFTER
    elif how == "suspended":
        scene.bela.suspended_until = AFTER + timedelta(days=99)
    else:
        scene.bela.deletion_requested_at = AFTER
    db.session.flush()
    statement = statement_of(scene.bela, close())
    assert (statement.gift_reward, statement.ad_revenue, statement.fund_reward) == (400, 0, 0)


def test_without_a_score_there_is_no_share_in_the_fund(scene: Scene) -> None:
    unseen = post_of(scene.bela)
    score(unseen, 50, None)
    watch(scene.viewers[3], unseen)
    line = scene.line(unseen, close())
    assert (line.score, line.fund_reward) == (None, 0) and line.ad_revenue > 0


def test_a_post_that_nobody_watched_in_the_period_has_no_share_in_the_fund(scene: Scene) -> None:
    unseen = post_of(scene.bela)
    score(unseen, 100, 100)
    period = close()
    assert db.session.get(Line, (scene.bela.id, period.id, unseen.id)) is None
    assert scene.line(scene.other, period).fund_reward == 327_273


def test_a_pool_without_takers_is_paid_by_the_next_period(session: sa.orm.Session) -> None:
    empty = close()
    assert (empty.ad_carried_out, empty.fund_carried_out) == (300_000, 600_000)
    assert (has(AD_POOL), has(FUND)) == (300_000, 600_000)
    scene = Scene()
    for viewer in scene.viewers:
        watch(viewer, post_of(scene.ada), at=LATER)
    period = close(END, NEXT)
    assert period.ad_carried_in == 300_000
    assert statement_of(scene.ada, period).ad_revenue + statement_of(scene.bela, period).ad_revenue == 600_000
    assert has(AD_POOL) == 0 and has(FUND) == period.fund_carried_out == 1_200_000


def test_pools_may_be_given_with_the_period(scene: Scene) -> None:
    close(ad_pool=10, creator_fund=0)
    assert has(wallet(scene.ada.id)) + has(wallet(scene.bela.id)) == 3


def test_a_period_keeps_its_terms(scene: Scene) -> None:
    import config

    period = close()
    with config.override(gift_share=99, ad_share=99, fund_share=99):
        assert queries.terms_of(period).gift_share == 40


# holds and reversals


@pytest.fixture
def flagged(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    ids: set[int] = set()
    monkeypatch.setattr(holds, "flagged", lambda: frozenset(ids))
    return ids


def test_a_flagged_gift_waits_until_it_is_cleared(scene: Scene, flagged: set[int]) -> None:
    gift = give(scene.viewers[0], scene.first, 1_000)
    give(scene.viewers[1], scene.first, 500)
    flagged.add(gift.id)
    assert statement_of(scene.ada, close()).gift_reward == 200
    assert has(Account(Kind.GIFTS, scene.ada.id)) == 1_000
    prove()
    assert close(END, NEXT) and has(Account(Kind.GIFTS, scene.ada.id)) == 1_000
    flagged.clear()
    third = close(NEXT, NEXT + timedelta(days=30), ad_pool=0, creator_fund=0)
    statement = statement_of(scene.ada, third)
    assert (statement.late, statement.total) == (400, 400)
    assert has(Account(Kind.GIFTS, scene.ada.id)) == 0
    close(NEXT + timedelta(days=30), NEXT + timedelta(days=60))
    assert queries.breakdown(scene.ada.id).gift_reward == 600


def test_a_flagged_gift_that_was_fraud_goes_back_from_the_escrow(scene: Scene, flagged: set[int]) -> None:
    gift = give(scene.viewers[0], scene.first, 1_000)
    flagged.add(gift.id)
    close()
    assert gifts.reverse(gift.public_id, by=None, reason="stolen card").owed == 0
    flagged.clear()
    assert has(wallet(scene.viewers[0].id)) == 1_000_000
    close(END, NEXT)
    assert queries.breakdown(scene.ada.id).gift_reward == 0


def test_a_late_reversal_is_a_line_of_the_next_statement(scene: Scene) -> None:
    gift = give(scene.viewers[0], scene.first, 1_000)
    first = close()
    earned = has(wallet(scene.ada.id))
    assert gifts.reverse(gift.public_id, by=None, reason="charged back").owed == 400
    assert has(wallet(scene.viewers[0].id)) == 1_000_000
    assert has(wallet(scene.ada.id)) == earned and has(PLATFORM) == 0
    give(scene.viewers[1], scene.first, 5_000, at=LATER)
    second = close(END, NEXT, ad_pool=0, creator_fund=0)
    statement = statement_of(scene.ada, second)
    assert statement.late == -400 and statement.total == statement.gift_reward + statement.fund_reward - 400
    assert has(wallet(scene.ada.id)) == earned + statement.total
    assert statement_of(scene.ada, first).gift_reward == 400


def test_a_debt_larger_than_the_earnings_goes_on_to_the_statement_after(scene: Scene) -> None:
    gift = give(scene.viewers[0], scene.first, 10_000)
    close()
    gifts.reverse(gift.public_id, by=None, reason="charged back")
    end = END
    for amount, expected in ((2_500, 0), (5_000, 0), (5_000, 1_000)):
        give(scene.viewers[1], scene.first, amount, at=end + timedelta(days=1))
        start, end = end, end + timedelta(days=30)
        assert statement_of(scene.ada, close(start, end, ad_pool=0, creator_fund=0)).total == expected
        prove()
    assert inputs.owed() == []


def test_while_statements_are_being_paid_reversals_wait(scene: Scene) -> None:
    gift = give(scene.viewers[0], scene.first, 1_000)
    period = begin()
    with clock.at(AFTER):
        periods.advance(period.id)
    with pytest.raises(Unavailable):
        gifts.reverse(gift.public_id, by=None, reason="now")
    settle(period)
    gifts.reverse(gift.public_id, by=None, reason="now")


def test_the_estimate_takes_holds_and_debts_into_account(scene: Scene, flagged: set[int]) -> None:
    gift = give(scene.viewers[0], scene.first, 1_000)
    late = give(scene.viewers[0], scene.first, 700)
    flagged.add(late.id)
    close()
    gifts.reverse(gift.public_id, by=None, reason="charged back")
    give(scene.viewers[1], scene.first, 5_000, at=LATER)
    flagged.clear()
    estimated = queries.breakdown(scene.ada.id).estimated
    period = close(END, NEXT)
    assert statement_of(scene.ada, period).total == estimated


# what is written down


def test_statements_and_their_inputs_cannot_be_changed(scene: Scene) -> None:
    close()
    for change in (
        "UPDATE reward_statements SET total = total",
        "UPDATE reward_lines SET views = 9",
        "DELETE FROM reward_lines",
        "UPDATE reward_periods SET ad_pool = 1",
        "UPDATE reward_periods SET state = 'frozen'",
        "DELETE FROM reward_periods",
    ):
        with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
            db.session.execute(sa.text(change))


def test_the_log_tells_the_course_of_a_period(scene: Scene) -> None:
    period = close()
    entries = db.session.scalars(
        sa.select(EntryRow).where(EntryRow.subject == period.public_id).order_by(EntryRow.id)
    ).all()
    assert [entry.action for entry in entries] == ["period_closing", "period_frozen", "rewards_paid", "period_closed"]
    assert entries[1].data["digest"] == period.digest
    paid = db.session.execute(sa.select(Statement.public_id, Statement.total).order_by(Statement.creator_id))
    assert entries[2].data["statements"] == [list(row) for row in paid]


def test_statements_outlive_people_and_posts(scene: Scene) -> None:
    period = close()
    statement = statement_of(scene.bela, period)
    media.purge_person(scene.bela.id)
    db.session.execute(sa.text("DELETE FROM posts WHERE user_id = :id"), {"id": scene.bela.id})
    db.session.execute(sa.delete(User).where(User.id == scene.bela.id))
    view = queries.statement(statement.public_id)
    assert view.statement.total > 0 and view.names == {}


def test_the_next_period_begins_where_the_answer_said_that_the_last_one_ended(session: sa.orm.Session) -> None:
    with clock.at(AFTER + timedelta(microseconds=123_456)):
        early = periods.close(START, AFTER + timedelta(days=9), by=None)
        settle(early)
        told = datetime.fromisoformat(clock.rfc3339(early.ends_at))
    with clock.at(AFTER + timedelta(days=2)):
        assert settle(periods.close(told, AFTER + timedelta(days=1), by=None)).starts_at == early.ends_at


def test_the_doctor_names_gifts_between_two_periods(session: sa.orm.Session) -> None:
    ada, eve = person("ada"), person("eve", money=1_000)
    gift = give(eve, post_of(ada), 1_000, at=END + timedelta(hours=1))
    close(START, END)
    close(END + timedelta(days=1), END + timedelta(days=2))
    assert [problem.code for problem in checks.check()] == ["gift_in_no_period"]
    close(END, END + timedelta(days=1))
    assert checks.check() == []
    assert statement_of(ada, queries.periods()[1]).gifts == gift.amount
