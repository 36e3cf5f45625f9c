"""Writes about gifts: giving, and taking back.

A gift needs a positive amount, somebody else's post that the giver may see, funds, and room under the daily limit.
A gift is judged by what stands, and given only while that still stands: the wallet, from which all gifts of a person
go, tells by the number of its entries. So the limit is exact whatever arrives at once, and a gift that is sent again
under its key is the same gift. Gifts that were reversed still count under the limit: taking back makes
no room for more.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import sqlalchemy as sa

import config
from popoff.accounts import queries as accounts
from popoff.audit import service as audit
from popoff.kernel import clock, words
from popoff.kernel.canonical import JSON
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from popoff.kernel.money import Minor, positive
from popoff.ledger import rules as ledger_rules
from popoff.ledger import service as ledger
from popoff.ledger.rules import Account, Kind, Move
from popoff.media import queries as media
from popoff.rewards import rules, standing
from popoff.rewards.models import Gift, GiftHold, GiftReversal, LateLine, Period, new_public_id
from popoff.rewards.rules import LateKind, PeriodState
from popoff.rewards.standing import Given, Standing

SEND, SELF, REPEATED, REVERSED = "send_gift", "suspicious_gifting", "potential_gaming", "gift_reversed"
"""Actions of the audit log."""


_GIFT = """gift AS (
    INSERT INTO gifts (id, public_id, giver_id, creator_id, post_id, amount, repeated, created_at)
    SELECT transfer.id, %(reference)s, giver_id, creator_id, post_id, %(amount)s::bigint, repeated,
           %(now)s::timestamptz
      FROM transfer CROSS JOIN standing
    RETURNING id, post_id, repeated, created_at
)"""


class SelfGift(Invalid):
    """Somebody tried to give to themselves: refused, and the entry in the audit log stays."""

    code = "self_gift"
    message = "Suspicious gifting detected: cannot gift yourself"
    keeps_changes = True


def give(giver_id: int, creator_ref: UUID, content_ref: UUID, amount: Minor, key: str | None = None) -> Given:
    """Give `amount` to the creator of a post (both by their public ids). Same key of the same giver, same gift.

    Raises Invalid (codes `invalid_amount`, `self_gift`, `creator_mismatch`, `daily_limit_exceeded`,
    `insufficient_funds`, `invalid_key`), NotFound (`post_not_found`, also when one blocks the other;
    `user_not_found`), Conflict (`idempotency_conflict`).
    """
    positive(amount)
    ledger_key = f"gift:{giver_id}:{secrets.token_hex(16) if key is None else key}"
    ledger_rules.check_words(ledger_key)
    request = _Request(giver_id, creator_ref, content_ref, amount, ledger_key)
    if key is None:
        return _give(request)
    earlier = standing.given_under(ledger_key, request.mark)
    if earlier is not None:
        return earlier
    try:
        return _give(request)
    except (Invalid, NotFound):  # the same request may have come first meanwhile, and left no room for itself
        earlier = standing.given_under(ledger_key, request.mark)
        if earlier is None:
            raise
        return earlier


@dataclass(frozen=True, slots=True)
class _Request:
    giver_id: int
    creator_ref: UUID
    content_ref: UUID
    amount: Minor
    key: str

    @property
    def mark(self) -> str:
        return ledger_rules.fingerprint("gift", str(self.creator_ref), str(self.content_ref), self.amount)


def _give(request: _Request) -> Given:
    creator_id = accounts.id_of(request.creator_ref)
    if creator_id is not None:
        with contextlib.suppress(ledger.Declined):
            return _give_at_once(request, creator_id)
    creator_id = _judge(request)
    # There was nothing against it: something else of theirs came first. So nothing may, from here on.
    ledger.lock(Account(Kind.WALLET, request.giver_id), Account(Kind.GIFTS, creator_id))
    _judge(request)
    try:
        return _give_at_once(request, creator_id)
    except ledger.Declined:  # only what is given to can have gone in between
        raise media.not_found() from None


def _give_at_once(request: _Request, creator_id: int) -> Given:
    """Judge and give in one statement. Raises Declined, InsufficientFunds, Conflict."""
    amount, public_id, limit = request.amount, new_public_id(), Minor(config.current().daily_gift_limit)
    premise, values = standing.premise(
        request.giver_id, creator_id, request.creator_ref, request.content_ref, clock.now(), limit
    )
    data: dict[str, JSON] = {"creator": audit.pseudonym(creator_id)}
    entry = audit.entry(SEND, actor=request.giver_id, subject=public_id, amount=amount, data=data)
    noted, columns = audit.beside(entry, "noted", source="gift")
    transfer, given = ledger.transfer_jointly(
        ledger.Joint(premise, (_GIFT, noted), "gift", {**values, **columns}),
        request.key,
        [Move(Account(Kind.WALLET, request.giver_id), Account(Kind.GIFTS, creator_id), amount)],
        fingerprint=request.mark,
        reference=public_id,
        memo="gift",
    )
    if transfer.replayed:
        return cast(Given, standing.given_under(request.key, request.mark))
    if given.repeated:
        again = {**data, "reason": "repeat_within_an_hour"}
        audit.record(REPEATED, actor=request.giver_id, subject=public_id, amount=amount, data=again)
    return Given(
        transfer.id, public_id, request.giver_id, creator_id, given.post_id, amount, given.repeated, given.created_at
    )


def _judge(request: _Request) -> int:
    """The creator's id. Raises what there is against this gift (but for funds)."""
    before = standing.of(request.giver_id, request.creator_ref, request.content_ref, clock.now())
    creator_id = _receiver(request.giver_id, before, request.amount)
    rules.check_daily_limit(before.given_today, request.amount, Minor(config.current().daily_gift_limit))
    return creator_id


def _receiver(giver_id: int, before: Standing, amount: Minor) -> int:
    """The creator's id. A gift to oneself is recorded, whichever of the two gives it away."""
    if giver_id in (before.creator_id, before.author_id):
        raise _self_gift(giver_id, amount)
    if before.creator_id is None:
        raise accounts.user_not_found()
    if before.post_id is None:
        raise media.not_found()
    if before.author_id != before.creator_id:
        raise Invalid("This content is not by this creator.", code="creator_mismatch", field="creatorId")
    return before.creator_id


def _self_gift(giver_id: int, amount: Minor) -> SelfGift:
    """Only this is recorded: nothing else has been written yet."""
    audit.record(SELF, actor=giver_id, amount=amount, data={"reason": "self_gift"})
    return SelfGift()


def reverse(public_id: str, *, by: int | None, reason: str) -> GiftReversal:
    """Take a gift back: all of it returns to the giver at once.

    From the escrow while its period is not settled; afterwards the creator's part is advanced, and their next
    statements give it back. Raises NotFound (`gift_not_found`), Conflict (`already_reversed`), Invalid
    (`empty_reason`, `too_long`), and Unavailable (`period_closing`) while statements are being paid.
    """
    why = words.reason(reason)
    db.session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(standing.BARRIER, 0)))
    gift = db.session.scalars(sa.select(Gift).where(Gift.public_id == public_id).with_for_update()).one_or_none()
    if gift is None:
        raise NotFound("Gift not found.", code="gift_not_found")
    if db.session.get(GiftReversal, gift.id) is not None:
        raise Conflict("This gift was reversed before.", code="already_reversed")
    paid_by = _settled_by(gift)
    amount, key = Minor(gift.amount), f"gift-reversal:{gift.id}"
    if paid_by is None:
        owed = Minor(0)
        transfer = ledger.reverse(key, gift.id, why)
    else:
        owed = rules.creators_part(amount, paid_by.gift_share)
        transfer = ledger.transfer(
            key,
            _refund(Account(Kind.WALLET, gift.giver_id), owed, Minor(amount - owed)),
            fingerprint=ledger_rules.fingerprint("gift-reversal", gift.id),
            reference=gift.public_id,
            memo="gift refunded",
        )
    reversal = GiftReversal(
        gift_id=gift.id,
        transfer_id=transfer.id,
        creator_id=gift.creator_id,
        owed=owed,
        reason=why,
        reversed_by=by,
        created_at=clock.now(),
    )
    db.session.add(reversal)
    db.session.flush()
    audit.record(REVERSED, actor=by, subject=gift.public_id, amount=amount, data={"owed": owed})
    return reversal


def _refund(wallet: Account, owed: Minor, platforms: Minor) -> list[Move]:
    """Each gives back what it got of the gift; for the creator the operator advances it."""
    parts = ((Account(Kind.BANK), owed), (Account(Kind.PLATFORM), platforms))
    return [Move(source, wallet, amount) for source, amount in parts if amount]


def _settled_by(gift: Gift) -> Period | None:
    """The period that has paid this gift. Whoever asks keeps a period that is being closed from freezing meanwhile."""
    unfinished = db.session.scalars(
        sa.select(Period).where(Period.state != PeriodState.CLOSED.value).with_for_update(read=True)
    ).one_or_none()
    if unfinished is not None and unfinished.state == PeriodState.FROZEN:
        raise Unavailable("Statements are being paid. Please try again in a moment.", code="period_closing")
    released = sa.select(LateLine.period_id).where(LateLine.gift_id == gift.id, LateLine.kind == LateKind.RELEASE.value)
    if db.session.scalar(sa.select(GiftHold.gift_id).where(GiftHold.gift_id == gift.id)) is not None:
        settled = Period.id == released.scalar_subquery()
    else:
        settled = sa.and_(Period.starts_at <= gift.created_at, gift.created_at < Period.ends_at)
    return db.session.scalars(sa.select(Period).where(settled, Period.frozen_at.is_not(None))).one_or_none()
