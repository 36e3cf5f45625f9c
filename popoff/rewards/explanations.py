"""Explaining a statement: every cent's way back to the gifts, views, watch time and scores behind it.

Everything is worked out anew from the inputs that were frozen with the period, by the same function that paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import sqlalchemy as sa

from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.money import Minor, to_text
from popoff.rewards import inputs, queries, rules
from popoff.rewards.inputs import Counted
from popoff.rewards.models import Gift, GiftHold, GiftReversal, LateLine, Line, Period
from popoff.rewards.queries import StatementView
from popoff.rewards.rules import LateKind, PostInput, Terms

_LINES = sa.select(
    Line.post_id, Line.creator_id, Line.gifts, Line.views, Line.watch_ms, Line.score, Line.eligible,
    Line.gift_count, Line.engagement, Line.quality, Line.model,
    Line.gift_reward, Line.ad_revenue, Line.fund_reward,
)  # fmt: skip


@dataclass(slots=True)
class Explanation:
    """How a statement came about, in lines to read. `problems` is empty when it is what its inputs amount to."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class _Whole:
    """What a period's shares are shares of."""

    terms: Terms
    gifts: int
    views: int
    watch_ms: int
    scores: dict[int, list[int]]
    """The scores of each creator's posts that share in the fund."""

    @property
    def means(self) -> Fraction:
        return sum((self.mean(creator_id) for creator_id in self.scores), Fraction())

    def mean(self, creator_id: int) -> Fraction:
        scores = self.scores[creator_id]
        return Fraction(sum(scores), len(scores))


def explain(public_id: str, *, creator_id: int | None = None) -> Explanation:
    """Raises NotFound (code `statement_not_found`); with `creator_id` also when it is somebody else's."""
    view = queries.statement(public_id, creator_id=creator_id)
    counted, paid = _frozen(view.period)
    posts = [one.post for one in counted]
    terms = queries.terms_of(view.period)
    made = Explanation()
    if inputs.digest(counted) != view.period.digest:
        made.problems.append("the inputs are not those whose digest was recorded")
    for reward, amounts in zip(rules.allocate(terms, posts).rewards, paid, strict=True):
        if reward[2:] != amounts:
            made.problems.append(f"content {reward.post_id} was paid {amounts}, and has earned {reward[2:]}")
    whole = _whole(terms, posts)
    made.lines += _heading(view, whole)
    given = _gifts(view)
    for line in view.lines:
        made.lines += _content(line, whole, given.get(line.post_id, ()), view)
    made.lines += [_late(line, view) for line in view.late]
    total = sum(line.gift_reward + line.ad_revenue + line.fund_reward for line in view.lines)
    total += sum(line.amount for line in view.late)
    made.lines.append(f"Total: {to_text(Minor(total))}, {'paid' if view.paid else 'about to be paid'}")
    if total != view.statement.total:
        made.problems.append(f"the lines sum to {total}, the statement says {view.statement.total}")
    return made


def _frozen(period: Period) -> tuple[list[Counted], list[tuple[int, ...]]]:
    """The inputs of a period in the order of posts, and what each post was paid."""
    counted, paid = [], []
    for row in db.session.execute(_LINES.where(Line.period_id == period.id).order_by(Line.post_id)):
        values = tuple(row)
        counted.append(Counted(PostInput(*values[:7]), *values[7:11]))
        paid.append(values[11:])
    return counted, paid


def _whole(terms: Terms, posts: Sequence[PostInput]) -> _Whole:
    scores: defaultdict[int, list[int]] = defaultdict(list)
    for post in posts:
        if post.eligible and post.score is not None and post.views >= terms.min_views:
            scores[post.creator_id].append(post.score)
    return _Whole(
        terms=terms,
        gifts=sum(post.gifts for post in posts),
        views=sum(post.views for post in posts if post.eligible),
        watch_ms=sum(post.watch_ms for post in posts if post.eligible),
        scores=dict(scores),
    )


def _heading(view: StatementView, whole: _Whole) -> list[str]:
    period, terms = view.period, whole.terms

    def pool(name: str, percent: int, size: int, carried: int, shared: int, left: int) -> str:
        return (
            f"{name}: {percent} % of {to_text(Minor(size))}, and {to_text(Minor(carried))} carried over, make "
            f"{to_text(Minor(shared))}; {to_text(Minor(left))} of it found nobody and is carried on"
        )

    return [
        f"Statement {view.statement.public_id}: {rfc3339(period.starts_at)} up to {rfc3339(period.ends_at)}",
        f"Inputs SHA-256 {period.digest}",
        f"Gifts: {terms.gift_share} % of all {to_text(Minor(whole.gifts))} make "
        f"{to_text(rules.part(Minor(whole.gifts), terms.gift_share))}",
        pool("Advertisement", terms.ad_share, terms.ad_pool, terms.ad_carried, terms.ads, period.ad_carried_out),
        f"  {whole.views} views and {whole.watch_ms} ms of watch time share it, one half each",
        pool("Fund", terms.fund_share, terms.creator_fund, terms.fund_carried, terms.fund, period.fund_carried_out),
        f"  {len(whole.scores)} creators share it by the mean score of their content; the means sum to "
        f"{_decimal(whole.means / rules.SCORE_SCALE)}",
        "Shares are rounded down; the cents that are left go to the largest remainders.",
    ]


def _content(line: Line, whole: _Whole, given: Sequence[str], view: StatementView) -> list[str]:
    """One post: what counted, the exact share, and what was paid."""
    terms = whole.terms
    found = [f"Content {line.post_id}: {_name(line.post_id, view)}"]
    if line.gifts:
        exact = Fraction(rules.part(Minor(whole.gifts), terms.gift_share) * line.gifts, whole.gifts)
        found.append(f"  gifts {to_text(Minor(line.gifts))}: exactly {_money(exact)}, paid {_paid(line.gift_reward)}")
        found += [f"    {gift}" for gift in given]
    if not line.eligible:
        found.append("  not shown to everybody when the period was frozen: no share in the pools")
        return found
    halves = [
        Fraction(terms.ads, 2) * Fraction(mine, all_)
        for mine, all_ in ((line.views, whole.views), (line.watch_ms, whole.watch_ms))
        if all_
    ]
    found.append(
        f"  {line.views} of {whole.views} views, {line.watch_ms} of {whole.watch_ms} ms watched: exactly "
        f"{_money(sum(halves, Fraction()))}, paid {_paid(line.ad_revenue)}"
    )
    if line.score is None or line.views < terms.min_views or not whole.means:
        return found
    mean, scores = whole.mean(line.creator_id), whole.scores[line.creator_id]
    creators = terms.fund * mean / whole.means
    exact = creators * Fraction(line.score, sum(scores)) if sum(scores) else Fraction()
    found.append(
        f"  score {_score(line.score)} (engagement {_score(line.engagement)}, quality {_score(line.quality)}, "
        f"{line.model}); the creator's mean over {len(scores)} is {_decimal(mean / rules.SCORE_SCALE)}, which makes "
        f"{_money(creators)}: exactly {_money(exact)}, paid {_paid(line.fund_reward)}"
    )
    return found


def _gifts(view: StatementView) -> dict[int, list[str]]:
    """The gifts behind the lines, as lines, by post."""
    period = view.period
    rows = db.session.scalars(
        sa.select(Gift)
        .outerjoin(GiftReversal, GiftReversal.gift_id == Gift.id)
        .where(
            Gift.creator_id == view.statement.creator_id,
            Gift.created_at >= period.starts_at,
            Gift.created_at < period.ends_at,
            Gift.id.not_in(sa.select(GiftHold.gift_id)),
            sa.or_(GiftReversal.gift_id.is_(None), GiftReversal.owed > 0),
        )
        .order_by(Gift.id)
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for gift in rows:
        found[gift.post_id].append(
            f"gift {gift.public_id}, {rfc3339(gift.created_at)}, transfer {gift.id}: {to_text(Minor(gift.amount))}"
        )
    return found


def _name(post_id: int, view: StatementView) -> str:
    name = view.names.get(post_id)
    return f"{name.public_id} “{name.title[:60]}”" if name else "deleted"


def _late(line: LateLine, view: StatementView) -> str:
    gift = f"gift {view.gift_ids[line.gift_id]} on {_name(line.post_id, view)}"
    if line.kind == LateKind.RELEASE:
        return f"Late: {gift}, held before and cleared since, {to_text(Minor(line.gross))}: {_paid(line.amount)}"
    return f"Late: {gift}, reversed after it was paid: {_paid(line.amount)}"


def _money(cents: Fraction) -> str:
    """An exact amount, in major units to a hundredth of a cent."""
    return f"{float(cents) / 100:.4f}"


def _paid(cents: int) -> str:
    return to_text(Minor(cents))


def _score(hundredths: int | None) -> str:
    return "none" if hundredths is None else f"{hundredths / rules.SCORE_SCALE:.2f}"


def _decimal(value: Fraction) -> str:
    return f"{float(value):.4f}"
