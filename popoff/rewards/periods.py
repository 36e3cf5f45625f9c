"""Closing a period: fix its end, freeze its inputs, pay its statements, close it.

`close` fixes the end and stages the job; `advance` does one step of the rest in the caller's transaction. Whatever
is cut off was either committed or never happened, so going on means calling `advance` again until it says False,
and calling it once too often changes nothing: each step is taken under the lock of the period's row, a batch of
statements is paid and counted as paid in one transaction, and its key in the ledger would not move money twice.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import LiteralString

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.adapters import jobs
from popoff.audit import service as audit
from popoff.kernel import clock
from popoff.kernel.canonical import JSON
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import constraint_errors, db
from popoff.kernel.errors import Conflict, Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.ledger import rules as ledger_rules
from popoff.ledger import service as ledger
from popoff.ledger.rules import Account, Kind, Move
from popoff.rewards import holds, inputs, queries, rules, standing
from popoff.rewards.inputs import Counted
from popoff.rewards.models import Gift, GiftHold, LateLine, Period, Statement, new_public_id
from popoff.rewards.rules import Allocation, Earned, Late, LateKind, PeriodState, Terms

CLOSE_JOB = "rewards.close"

_NO_LIMITS = {"names": ["statement_timeout", "lock_timeout"]}

_LINES = (
    "reward_lines (period_id, post_id, creator_id, gifts, views, watch_ms, score, eligible, gift_count, engagement,"
    " quality, model, gift_reward, ad_revenue, fund_reward)"
)
_STATEMENTS = (
    "reward_statements (period_id, public_id, creator_id, batch, gifts, gift_reward, ad_revenue, fund_reward, late,"
    " total)"
)


def close(
    start: datetime,
    end: datetime,
    *,
    by: int | None,
    ad_pool: Minor | None = None,
    creator_fund: Minor | None = None,
) -> Period:
    """Fix the period from `start` up to, and without, `end`, and stage the job that settles it.

    Pools are AD_POOL and CREATOR_FUND unless given. A period whose end is still to come is closed early: it ends
    now. Asked again for the same period, it is the same period (and its job goes on, if it has not finished).
    Raises Invalid (codes `invalid_period`, `invalid_amount`), Conflict (`period_overlaps`, `period_closing`).
    """
    # Gifts under way arrive before this; those after it see that this time is closed.
    db.session.execute(sa.select(sa.func.pg_advisory_xact_lock(standing.BARRIER, 0)))
    now, start, end = (clock.to_milliseconds(moment) for moment in (clock.now(), start, end))
    if start.tzinfo is None or end.tzinfo is None or not start < min(end, now):
        raise Invalid("A period begins in the past, and ends after it has begun.", code="invalid_period")
    terms = rules.check_terms(queries.terms_now(ad_pool, creator_fund))
    period = queries.period_asked_for(start, end)
    if period is None:
        period = _begin(start, end, now, terms, by)
    elif ad_pool not in (None, period.ad_pool) or creator_fund not in (None, period.creator_fund):
        raise Conflict("This period was closed with other pools.", code="period_overlaps")
    if period.state != PeriodState.CLOSED:
        jobs.stage(CLOSE_JOB, unique_key=f"{CLOSE_JOB}:{period.id}", period_id=period.id)
    return period


def _begin(start: datetime, end: datetime, now: datetime, terms: Terms, by: int | None) -> Period:
    period = Period(
        public_id=new_public_id(),
        starts_at=start,
        ends_at=min(end, now),
        requested_end=end,
        state=PeriodState.CLOSING.value,
        ad_pool=terms.ad_pool,
        creator_fund=terms.creator_fund,
        gift_share=terms.gift_share,
        ad_share=terms.ad_share,
        fund_share=terms.fund_share,
        min_views=terms.min_views,
        daily_gift_limit=config.current().daily_gift_limit,
        closed_by=by,
        created_at=now,
    )
    _check_apart(period.starts_at, period.ends_at)
    unfinished = Conflict("Another period is being closed.", code="period_closing")
    with constraint_errors({"uq_reward_periods_unfinished": unfinished}):
        db.session.add(period)
    _record("period_closing", period, by, start=rfc3339(start), end=rfc3339(period.ends_at),
            ad_pool=period.ad_pool, creator_fund=period.creator_fund)  # fmt: skip
    return period


def _check_apart(start: datetime, end: datetime) -> None:
    """Periods are begun one at a time, so what is free here stays free; the table refuses an overlap, too."""
    other = queries.period_within(start, end)
    if other is not None:
        since, until = rfc3339(other.starts_at), rfc3339(other.ends_at)
        message = f"This overlaps with the period from {since} to {until}, which was closed before."
        raise Conflict(message, code="period_overlaps", period=other.public_id, since=since, until=until)


def _record(action: str, period: Period, by: int | None = None, **data: JSON) -> None:
    audit.record(action, actor=by, subject=period.public_id, data=data)


def advance(period_id: int) -> bool:
    """Do the next step of closing a period; False when nothing is left to do. Raises NotFound."""
    # Freezing may take long, and whoever goes on with the same period waits for it.
    db.session.execute(
        sa.text("SELECT set_config(name, '0', true) FROM unnest(CAST(:names AS text[])) AS name"), _NO_LIMITS
    )
    period = db.session.get(Period, period_id, with_for_update=True, populate_existing=True)
    if period is None:
        raise NotFound("There is no such period.", code="period_not_found")
    if period.state == PeriodState.CLOSING:
        with _without_collector():
            _freeze(period)
    elif period.state == PeriodState.FROZEN and period.batches_paid < period.batches:
        _pay(period, period.batches_paid)
        period.batches_paid += 1
    elif period.state == PeriodState.FROZEN:
        period.state, period.closed_at = PeriodState.CLOSED.value, clock.now()
        _record("period_closed", period, period.closed_by)
    else:
        return False
    db.session.flush()
    return True


# freezing


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Inputs are many, live to the end and make no cycles: looking through them for some is a quarter of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _freeze(period: Period) -> None:
    """Read what counts, decide who gets what, and write both down."""
    held = holds.flagged()
    _hold(period, held)
    period.ad_carried_in, period.fund_carried_in = queries.carried()
    terms = queries.terms_of(period)
    counted = inputs.collect(period.starts_at, period.ends_at, held, terms.min_views)
    posts = [one.post for one in counted]
    shared = rules.allocate(terms, posts)
    earned, late = rules.settle(posts, shared.rewards, inputs.releases(held, terms.gift_share), inputs.owed())
    _write_lines(period.id, counted, shared)
    _write_late(period.id, late)
    _write_statements(period.id, earned)
    _fund_pools(period, terms)
    period.ad_carried_out, period.fund_carried_out = shared.ads_left, shared.fund_left
    period.digest = inputs.digest(counted)
    period.batches = -(-len(earned) // rules.BATCH)
    period.state, period.frozen_at = PeriodState.FROZEN.value, clock.now()
    _record("period_frozen", period, period.closed_by, digest=period.digest, lines=len(counted),
            statements=len(earned), total=sum(one.total for one in earned),
            ad_carried=shared.ads_left, fund_carried=shared.fund_left)  # fmt: skip


def _hold(period: Period, held: Collection[int]) -> None:
    """Note the gifts of this period that are left out of it."""
    inside = (
        sa.select(Gift.id, sa.literal(period.id), sa.literal(clock.now(), sa.DateTime(timezone=True)))
        .where(Gift.id == sa.any_(sa.cast(sorted(held), sa.ARRAY(sa.BigInteger))))
        .where(Gift.created_at >= period.starts_at, Gift.created_at < period.ends_at)
    )
    names = ["gift_id", "period_id", "created_at"]
    db.session.execute(insert(GiftHold).from_select(names, inside).on_conflict_do_nothing())


def _write_lines(period_id: int, counted: Sequence[Counted], shared: Allocation) -> None:
    _copy(
        _LINES,
        (
            (period_id, *post, *scores, reward.gifts, reward.ads, reward.fund)
            for (post, *scores), reward in zip(counted, shared.rewards, strict=True)
        ),
    )


def _write_late(period_id: int, late: Sequence[Late]) -> None:
    rows = [{"period_id": period_id, **line._asdict(), "kind": line.kind.value} for line in late]
    if rows:
        db.session.execute(sa.insert(LateLine), rows)


def _write_statements(period_id: int, earned: Sequence[Earned]) -> None:
    _copy(
        _STATEMENTS,
        (
            (period_id, new_public_id(), one.creator_id, number // rules.BATCH, one.gross_gifts, one.gifts, one.ads,
             one.fund, one.late, one.total)
            for number, one in enumerate(earned)
        ),
    )  # fmt: skip


def _copy(target: LiteralString, rows: Iterable[Sequence[object]]) -> None:
    """Add rows to `table (columns)`: a hundred thousand take half as long as by INSERT. `rows` ask no database."""
    connection = db.session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _fund_pools(period: Period, terms: Terms) -> None:
    """The creators' part of both pools comes in from the operator."""
    parts = ((Account(Kind.AD_POOL), terms.ad_funding), (Account(Kind.CREATOR_FUND), terms.fund_funding))
    moves = [Move(Account(Kind.BANK), pool, amount) for pool, amount in parts if amount]
    if moves:
        _transfer(f"period:{period.public_id}:pools", moves, period, "pools")


# paying


def _pay(period: Period, batch: int) -> None:
    """Pay one batch of statements by one transfer."""
    statements = db.session.scalars(
        sa.select(Statement)
        .where(Statement.period_id == period.id, Statement.batch == batch)
        .order_by(Statement.creator_id)
    ).all()
    late: dict[int, list[LateLine]] = {statement.creator_id: [] for statement in statements}
    for line in db.session.scalars(
        sa.select(LateLine).where(LateLine.period_id == period.id, LateLine.creator_id.in_(late))
    ):
        late[line.creator_id].append(line)
    moves = [move for statement in statements for move in _moves(statement, late[statement.creator_id])]
    if not moves:
        return
    _transfer(f"period:{period.public_id}:batch:{batch}", moves, period, "rewards")
    paid: list[JSON] = [[statement.public_id, statement.total] for statement in statements]
    _record("rewards_paid", period, period.closed_by, batch=batch, statements=paid)


def _moves(statement: Statement, late: Sequence[LateLine]) -> list[Move]:
    """Where each cent of a statement comes from. The ledger nets what one account gets and gives."""
    wallet, escrow = Account(Kind.WALLET, statement.creator_id), Account(Kind.GIFTS, statement.creator_id)
    released = [line for line in late if line.kind == LateKind.RELEASE]
    creators = statement.gift_reward + sum(line.amount for line in released)
    gross = statement.gifts + sum(line.gross for line in released)
    given_back = -sum(line.amount for line in late if line.kind == LateKind.REVERSAL)
    parts = (
        (escrow, wallet, creators),
        (escrow, Account(Kind.PLATFORM), gross - creators),
        (Account(Kind.AD_POOL), wallet, statement.ad_revenue),
        (Account(Kind.CREATOR_FUND), wallet, statement.fund_reward),
        (wallet, Account(Kind.BANK), given_back),
    )
    return [Move(debit, credit, Minor(amount)) for debit, credit, amount in parts if amount]


def _transfer(key: str, moves: Sequence[Move], period: Period, memo: str) -> None:
    mark = ledger_rules.fingerprint(key)
    ledger.transfer(key, moves, fingerprint=mark, reference=period.public_id, memo=memo)
