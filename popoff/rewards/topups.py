"""Writes that bring money into wallets: what people pay in through a provider, and what staff grant."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.adapters import payments
from popoff.adapters.payments import Checkout, Event, EventKind
from popoff.audit import service as audit
from popoff.kernel import clock, words
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid, NotFound
from popoff.kernel.money import Minor, positive
from popoff.ledger import rules as ledger_rules
from popoff.ledger import service as ledger
from popoff.ledger.queries import Transfer
from popoff.ledger.rules import Account, Kind, Move
from popoff.rewards import payouts
from popoff.rewards.models import PaymentEvent, TopUp, new_public_id
from popoff.rewards.rules import TopUpState


def begin(user_id: int, amount: Minor) -> Checkout:
    """Where this person pays `amount` in. Nothing moves until the provider says that it was paid.

    Raises Invalid (`invalid_amount`) and Unavailable (`payments_not_configured`).
    """
    provider = payments.provider()
    top_up = TopUp(
        public_id=new_public_id(),
        user_id=user_id,
        amount=positive(amount),
        provider=provider.name,
        state=TopUpState.PENDING.value,
        created_at=clock.now(),
    )
    checkout = provider.checkout(top_up.public_id, amount, config.current().currency)
    db.session.add(top_up)
    db.session.flush()
    return checkout


def pending(public_id: str, user_id: int) -> TopUp:
    """A payment of one's own that waits to be made. Raises NotFound (code `top_up_not_found`)."""
    found = db.session.scalars(
        sa.select(TopUp).where(
            TopUp.public_id == public_id, TopUp.user_id == user_id, TopUp.state == TopUpState.PENDING.value
        )
    ).one_or_none()
    if found is None:
        raise _not_found()
    return found


def _not_found() -> NotFound:
    return NotFound("There is no such payment.", code="top_up_not_found")


def receive(headers: Mapping[str, str], body: bytes) -> Event:
    """Act on a webhook of the provider, once.

    Raises Forbidden (`bad_signature`, `webhook_expired`), Conflict (`webhook_replayed`, `top_up_settled`,
    `payout_state`), Invalid (`unknown_event`, `invalid_amount`, `amount_differs`), NotFound.
    """
    provider = payments.provider()
    event = provider.read_webhook(headers, body)
    first = insert(PaymentEvent).values(
        provider=provider.name,
        event_id=event.id,
        kind=event.kind.value,
        reference=event.reference,
        received_at=clock.now(),
    )
    if db.session.scalar(first.on_conflict_do_nothing().returning(PaymentEvent.event_id)) is None:
        raise Conflict("This event was received before.", code="webhook_replayed")
    if event.kind in (EventKind.TOP_UP_PAID, EventKind.TOP_UP_FAILED):
        _settle(event, provider.name)
    else:
        payouts.heard(event)
    return event


def pay_in_sandbox(public_id: str, user_id: int, *, paid: bool) -> None:
    """Have the sandbox say what became of one's own payment, by a webhook as a real provider sends it.

    Raises NotFound (`top_up_not_found`; `provider_not_found` where real money moves).
    """
    provider = payments.provider()
    if not isinstance(provider, payments.Sandbox):
        raise NotFound("There is no sandbox here.", code="provider_not_found")
    top_up = pending(public_id, user_id)
    kind = EventKind.TOP_UP_PAID if paid else EventKind.TOP_UP_FAILED
    receive(*provider.send(kind, public_id, Minor(top_up.amount), config.current().currency))


def _settle(event: Event, provider: str) -> None:
    top_up = db.session.scalars(
        sa.select(TopUp)
        .where(TopUp.public_id == event.reference, TopUp.provider == provider)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if top_up is None:
        raise _not_found()
    if top_up.state != TopUpState.PENDING:
        raise Conflict("This payment was settled before.", code="top_up_settled")
    if (top_up.amount, config.current().currency) != (event.amount, event.currency):
        raise Invalid("This is not the amount that was to be paid.", code="amount_differs", field="amount")
    top_up.settled_at = clock.now()
    if event.kind is EventKind.TOP_UP_FAILED:
        top_up.state = TopUpState.FAILED.value
    else:
        key = f"top-up:{top_up.public_id}"
        top_up.transfer_id = ledger.transfer(
            key,
            [Move(Account(Kind.BANK), Account(Kind.WALLET, top_up.user_id), Minor(top_up.amount))],
            fingerprint=ledger_rules.fingerprint(key),
            reference=top_up.public_id,
            memo="top-up",
        ).id
        top_up.state = TopUpState.PAID.value
        audit.record("top_up_paid", actor=top_up.user_id, subject=top_up.public_id, amount=Minor(top_up.amount))
    db.session.flush()


def grant(user_id: int, amount: Minor, *, by: int | None, reason: str, key: str | None = None) -> Transfer:
    """Give a person money of the platform to spend; `by` is None on the command line. Same key, same grant.

    What was granted can be given away, not paid out. Raises Invalid (`invalid_amount`, `empty_reason`,
    `too_long`), Conflict (`idempotency_conflict`).
    """
    why = words.reason(reason)
    reference = new_public_id()
    moved = ledger.transfer(
        f"grant:{by or 0}:{key or reference}",
        [Move(Account(Kind.MINT), Account(Kind.WALLET, user_id), positive(amount))],
        fingerprint=ledger_rules.fingerprint("grant", user_id, amount, why),
        reference=reference,
        memo=why,
    )
    if not moved.replayed:
        data = {"wallet": audit.pseudonym(user_id)}
        audit.record("wallet_grant", actor=by, subject=reference, amount=amount, data=data)
    return moved
