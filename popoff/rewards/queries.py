"""Reads of the rewards domain: gifts, what creators earned and will earn, statements, and the proof that all agree."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

import config
from popoff.accounts.models import User
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.media.models import Post
from popoff.rewards import holds, inputs, rules
from popoff.rewards.inputs import Counted
from popoff.rewards.models import Gift, GiftReversal, LateLine, Line, Period, Statement
from popoff.rewards.rules import Earned, Late, PostReward, Terms

PAGE = 50
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


# periods and their terms


def terms_now(ad_pool: Minor | None = None, creator_fund: Minor | None = None) -> Terms:
    """The terms of a period that closes now, as the settings have them, without what is carried over."""
    settings = config.current()
    return Terms(
        ad_pool=Minor(settings.ad_pool) if ad_pool is None else ad_pool,
        creator_fund=Minor(settings.creator_fund) if creator_fund is None else creator_fund,
        gift_share=settings.gift_share,
        ad_share=settings.ad_share,
        fund_share=settings.fund_share,
        min_views=settings.fund_min_views,
    )


def terms_of(period: Period) -> Terms:
    """The terms that a period keeps."""
    return Terms(
        ad_pool=Minor(period.ad_pool),
        creator_fund=Minor(period.creator_fund),
        gift_share=period.gift_share,
        ad_share=period.ad_share,
        fund_share=period.fund_share,
        min_views=period.min_views,
        ad_carried=Minor(period.ad_carried_in),
        fund_carried=Minor(period.fund_carried_in),
    )


def carried() -> tuple[Minor, Minor]:
    """What the period that was frozen last has left in the advertisement pool and in the creator fund."""
    row = db.session.execute(
        sa.select(Period.ad_carried_out, Period.fund_carried_out)
        .where(Period.frozen_at.is_not(None))
        .order_by(Period.frozen_at.desc(), Period.id.desc())
        .limit(1)
    ).one_or_none()
    return (Minor(row[0]), Minor(row[1])) if row else (Minor(0), Minor(0))


def period_asked_for(start: datetime, end: datetime) -> Period | None:
    """The period that was closed on this very request."""
    return db.session.scalars(
        sa.select(Period).where(Period.starts_at == start, Period.requested_end == end)
    ).one_or_none()


def period_within(start: datetime, end: datetime) -> Period | None:
    """The latest period that has some of this time."""
    overlapping = sa.select(Period).where(Period.starts_at < end, Period.ends_at > start)
    return db.session.scalars(overlapping.order_by(Period.starts_at.desc()).limit(1)).one_or_none()


def period(public_id: str) -> Period:
    """Raises NotFound (code `period_not_found`)."""
    found = db.session.scalars(sa.select(Period).where(Period.public_id == public_id)).one_or_none()
    if found is None:
        raise NotFound("There is no such period.", code="period_not_found")
    return found


def periods(limit: int = PAGE) -> Sequence[Period]:
    """The latest periods first."""
    return db.session.scalars(sa.select(Period).order_by(Period.starts_at.desc()).limit(limit)).all()


# gifts


@dataclass(frozen=True, slots=True)
class GiftView:
    """A gift as its giver or its creator sees it. `status`: COMPLETED or REVERSED.

    `*_ref` are public ids; None for who or what is gone.
    """

    public_id: str
    giver_id: int
    creator_id: int
    post_id: int
    giver_ref: UUID | None
    creator_ref: UUID | None
    content_ref: UUID | None
    amount: Minor
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class GiftPage:
    gifts: list[GiftView]
    next_cursor: str | None


def sent(user_id: int, cursor: str | None = None, limit: int = PAGE) -> GiftPage:
    """What a person gave, the latest first. Raises Invalid (code `invalid_cursor`)."""
    return _gifts(Gift.giver_id == user_id, cursor, limit)


def received(user_id: int, cursor: str | None = None, limit: int = PAGE) -> GiftPage:
    """What a creator was given, the latest first. Raises Invalid (code `invalid_cursor`)."""
    return _gifts(Gift.creator_id == user_id, cursor, limit)


def of_post(post_id: int, reader_id: int | None, limit: int = PAGE) -> list[GiftView]:
    """Gifts on a post, the latest first: those that `reader_id` gave or was given; None: all."""
    concerns = sa.true() if reader_id is None else sa.or_(Gift.giver_id == reader_id, Gift.creator_id == reader_id)
    return _views(Gift.post_id == post_id, concerns, limit=limit)


def gift(public_id: str) -> GiftView:
    """Raises NotFound (code `gift_not_found`)."""
    found = _views(Gift.public_id == public_id, limit=1)
    if not found:
        raise NotFound("Gift not found.", code="gift_not_found")
    return found[0]


def _gifts(whose: sa.ColumnElement[bool], cursor: str | None, limit: int) -> GiftPage:
    conditions = [whose]
    if cursor is not None:
        last = db.session.execute(
            sa.select(Gift.created_at, Gift.id).where(whose, Gift.public_id == cursor)
        ).one_or_none()
        if last is None:
            raise Invalid("This cursor is not valid.", code="invalid_cursor", field="cursor")
        conditions.append(sa.tuple_(Gift.created_at, Gift.id) < sa.tuple_(*map(sa.literal, last)))
    rows = _views(*conditions, limit=limit + 1)
    return GiftPage(rows[:limit], rows[limit - 1].public_id if len(rows) > limit else None)


def _views(*conditions: sa.ColumnElement[bool], limit: int) -> list[GiftView]:
    giver, creator = orm.aliased(User), orm.aliased(User)
    rows = db.session.execute(
        sa.select(Gift, GiftReversal.created_at, giver.public_id, creator.public_id, Post.public_id)
        .outerjoin(GiftReversal, GiftReversal.gift_id == Gift.id)
        .outerjoin(giver, giver.id == Gift.giver_id)
        .outerjoin(creator, creator.id == Gift.creator_id)
        .outerjoin(Post, Post.id == Gift.post_id)
        .where(*conditions)
        .order_by(Gift.created_at.desc(), Gift.id.desc())
        .limit(limit)
    )
    return [
        GiftView(
            public_id=row.public_id,
            giver_id=row.giver_id,
            creator_id=row.creator_id,
            post_id=row.post_id,
            giver_ref=giver_ref,
            creator_ref=creator_ref,
            content_ref=content_ref,
            amount=Minor(row.amount),
            status="REVERSED" if reversed_at else "COMPLETED",
            created_at=row.created_at,
            updated_at=reversed_at or row.created_at,
        )
        for row, reversed_at, giver_ref, creator_ref, content_ref in rows
    ]


def accounts_opened(public_ids: Collection[str]) -> dict[str, tuple[datetime | None, datetime | None]]:
    """When the accounts of giver and creator were opened, by the gift's public id; None for who is gone."""
    giver, creator = orm.aliased(User), orm.aliased(User)
    rows = db.session.execute(
        sa.select(Gift.public_id, giver.created_at, creator.created_at)
        .outerjoin(giver, giver.id == Gift.giver_id)
        .outerjoin(creator, creator.id == Gift.creator_id)
        .where(Gift.public_id == sa.any_(sa.cast(list(public_ids), sa.ARRAY(sa.Text))))
    )
    return {gift_id: (of_giver, of_creator) for gift_id, of_giver, of_creator in rows}


# what is earned


@dataclass(frozen=True, slots=True)
class Estimate:
    """What closing now would pay: from the end of the last closed period until `until`. Nothing of it is promised."""

    since: datetime
    until: datetime
    counted: dict[int, list[tuple[Counted, PostReward]]]
    late: dict[int, list[Late]]
    earned: dict[int, Earned]


class _Estimates:
    """A quick estimate is made for each question; a slow one serves all questions for REST times its length."""

    REST, QUICK = 20, 0.1

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[tuple[str, int], float, Estimate] | None = None

    def latest(self, frozen: int) -> Estimate:
        """One that was made when so many periods were frozen: older ones estimate what has been settled since."""
        of = (config.current().database_url, frozen)
        with self._lock:
            kept = self._kept
            if kept is not None and kept[0] == of and time.monotonic() < kept[1]:
                return kept[2]
            started = time.monotonic()
            made = _estimate()
            seconds = time.monotonic() - started
            slow = seconds > self.QUICK
            self._kept = (of, time.monotonic() + self.REST * seconds, made) if slow else None
        return made


_estimates = _Estimates()


def estimate() -> Estimate:
    """What the open period would pay if it closed now; at most 20 times as old as it takes to find out."""
    return _estimates.latest(_frozen())


def _frozen() -> int:
    """How many periods have their statements."""
    return db.session.scalar(sa.select(sa.func.count()).where(Period.frozen_at.is_not(None))) or 0


def _estimate() -> Estimate:
    since = db.session.scalar(sa.select(sa.func.max(Period.ends_at)).where(Period.frozen_at.is_not(None)))
    since, until, held = since or BEGINNING, clock.now(), holds.flagged()
    ad_carried, fund_carried = carried()
    now = terms_now()
    terms = Terms(
        now.ad_pool, now.creator_fund, now.gift_share, now.ad_share, now.fund_share, now.min_views,
        ad_carried, fund_carried,
    )  # fmt: skip
    counted = inputs.collect(since, until, held, terms.min_views) if since < until else []
    posts = [one.post for one in counted]
    shared = rules.allocate(terms, posts)
    earned, late = rules.settle(posts, shared.rewards, inputs.releases(held, terms.gift_share), inputs.owed())
    made = Estimate(since, until, defaultdict(list), defaultdict(list), {one.creator_id: one for one in earned})
    for one, reward in zip(counted, shared.rewards, strict=True):
        made.counted[reward.creator_id].append((one, reward))
    for line in late:
        made.late[line.creator_id].append(line)
    return made


class ContentName(NamedTuple):
    """A post's public id, and its title (or its caption)."""

    public_id: UUID
    title: str


@dataclass(slots=True)
class ContentReward:
    """What one post earned over all periods, the open one included. `gifts`: all that was given for it.

    `gift_reward` is the creator's part, with late lines: it may be below zero after a reversal.
    """

    post_id: int
    name: ContentName | None = None
    """None for a post that is gone."""
    gifts: int = 0
    gift_reward: int = 0
    ad_revenue: int = 0
    fund_reward: int = 0
    estimated: int = 0
    """How much of `total` is of the open period."""

    @property
    def total(self) -> Minor:
        return Minor(self.gift_reward + self.ad_revenue + self.fund_reward)


@dataclass(slots=True)
class Breakdown:
    """All that a creator earned. `settled` is what statements paid (to the cent), `estimated` the open period's."""

    creator_id: int
    since: datetime
    until: datetime
    contents: list[ContentReward] = field(default_factory=list)

    def _sum(self, name: str) -> Minor:
        return Minor(sum(getattr(content, name) for content in self.contents))

    @property
    def gifts(self) -> Minor:
        return self._sum("gifts")

    @property
    def gift_reward(self) -> Minor:
        return self._sum("gift_reward")

    @property
    def ad_revenue(self) -> Minor:
        return self._sum("ad_revenue")

    @property
    def fund_reward(self) -> Minor:
        return self._sum("fund_reward")

    @property
    def total(self) -> Minor:
        return self._sum("total")

    @property
    def estimated(self) -> Minor:
        return self._sum("estimated")

    @property
    def settled(self) -> Minor:
        return Minor(self.total - self.estimated)

    def percentage(self, content: ContentReward) -> float:
        """Its part of the total, 0..100; 0 while there is no total."""
        return 100 * content.total / self.total if self.total > 0 else 0.0


def total(creator_id: int) -> Minor:
    """All that a creator earned, the open period's estimate included: the same sum as the breakdown's."""
    return breakdown(creator_id).total


def breakdown(creator_id: int) -> Breakdown:
    """What each post of a creator earned, by where it comes from; the post that earned most comes first."""
    before = -1
    while before != (now := _frozen()):  # a period that is frozen while we look is in one of the two, not in both
        before, open_period, settled = now, _estimates.latest(now), _settled(creator_id)
    contents: defaultdict[int, ContentReward] = defaultdict(lambda: ContentReward(0))
    for row in settled:
        content = contents[row.post_id]
        content.gifts += int(row.gifts)
        content.gift_reward += int(row.gift_reward)
        content.ad_revenue += int(row.ad_revenue)
        content.fund_reward += int(row.fund_reward)
    for one, reward in open_period.counted.get(creator_id, ()):
        content = contents[reward.post_id]
        content.gifts += one.post.gifts
        content.gift_reward += reward.gifts
        content.ad_revenue += reward.ads
        content.fund_reward += reward.fund
        content.estimated += reward.total
    for line in open_period.late.get(creator_id, ()):
        content = contents[line.post_id]
        content.gifts += line.gross
        content.gift_reward += line.amount
        content.estimated += line.amount
    names = content_names(list(contents))
    for post_id, content in contents.items():
        content.post_id, content.name = post_id, names.get(post_id)
    ordered = sorted(contents.values(), key=lambda content: (-content.total, content.post_id))
    return Breakdown(creator_id, open_period.since, open_period.until, ordered)


def _settled(creator_id: int) -> Sequence[Any]:
    """What statements paid, by post."""
    lines = sa.select(Line.post_id, Line.gifts, Line.gift_reward, Line.ad_revenue, Line.fund_reward).where(
        Line.creator_id == creator_id
    )
    nothing = sa.literal(0, sa.BigInteger)
    late = sa.select(LateLine.post_id, LateLine.gross, LateLine.amount, nothing, nothing).where(
        LateLine.creator_id == creator_id
    )
    both = sa.union_all(lines, late).subquery()
    sums = [sa.func.sum(column).label(column.name) for column in list(both.c)[1:]]
    return db.session.execute(sa.select(both.c.post_id, *sums).group_by(both.c.post_id)).all()


def content_names(post_ids: Sequence[int]) -> dict[int, ContentName]:
    """What posts are called now; those that are gone have no name any more."""
    rows = db.session.execute(
        sa.select(Post.id, Post.public_id, Post.title, Post.description).where(
            Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger)))
        )
    )
    return {row.id: ContentName(row.public_id, row.title or row.description) for row in rows}


# statements


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement with everything it is made of."""

    statement: Statement
    period: Period
    lines: Sequence[Line]
    late: Sequence[LateLine]
    names: dict[int, ContentName]
    gift_ids: dict[int, str]
    """Public ids of the gifts in late lines."""

    @property
    def paid(self) -> bool:
        """Whether the money is in the wallet."""
        return self.statement.batch < self.period.batches_paid


def statements(creator_id: int) -> Sequence[tuple[Statement, Period]]:
    """A creator's statements with their periods, the latest first."""
    rows = db.session.execute(
        sa.select(Statement, Period)
        .join(Period, Period.id == Statement.period_id)
        .where(Statement.creator_id == creator_id)
        .order_by(Period.starts_at.desc())
    )
    return [(row[0], row[1]) for row in rows]


def statements_of(period_id: int, after_creator: int = 0, limit: int = PAGE) -> Sequence[Statement]:
    """The statements of a period in the order of creators, for staff."""
    return db.session.scalars(
        sa.select(Statement)
        .where(Statement.period_id == period_id, Statement.creator_id > after_creator)
        .order_by(Statement.creator_id)
        .limit(limit)
    ).all()


def paid_by(period_id: int) -> tuple[int, Minor]:
    """How many statements a period has, and what they come to."""
    count, total = db.session.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(Statement.total), 0)).where(
            Statement.period_id == period_id
        )
    ).one()
    return count, Minor(int(total))


def statement(public_id: str, *, creator_id: int | None = None) -> StatementView:
    """A statement; with `creator_id` only if it is theirs. Raises NotFound (code `statement_not_found`)."""
    row = db.session.execute(
        sa.select(Statement, Period)
        .join(Period, Period.id == Statement.period_id)
        .where(Statement.public_id == public_id)
    ).one_or_none()
    if row is None or creator_id not in (None, row[0].creator_id):
        raise NotFound("Statement not found.", code="statement_not_found")
    found, its_period = row
    whose = (found.period_id, found.creator_id)
    lines = db.session.scalars(
        sa.select(Line).where(Line.period_id == whose[0], Line.creator_id == whose[1]).order_by(Line.post_id)
    ).all()
    late = db.session.scalars(
        sa.select(LateLine)
        .where(LateLine.period_id == whose[0], LateLine.creator_id == whose[1])
        .order_by(LateLine.gift_id, LateLine.id)
    ).all()
    gifts = db.session.execute(sa.select(Gift.id, Gift.public_id).where(Gift.id.in_([line.gift_id for line in late])))
    return StatementView(
        statement=found,
        period=its_period,
        lines=lines,
        late=late,
        names=content_names([line.post_id for line in lines] + [line.post_id for line in late]),
        gift_ids={row.id: row.public_id for row in gifts},
    )
