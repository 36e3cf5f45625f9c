"""Writes about payouts: asked for, looked at by a second person, paid by the bank.

pending → held (reason, until) → approved by somebody else → paid | failed | reversed. The money leaves the wallet
when the payout is asked for, so it cannot be spent twice; a payout that fails gives it back. Whatever staff do with a
payout, they do with somebody else's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.adapters.payments import Event, EventKind
from popoff.audit import service as audit
from popoff.kernel import clock, words
from popoff.kernel.db import constraint_errors, db
from popoff.kernel.errors import Conflict, Forbidden, Invalid
from popoff.kernel.money import Minor, positive, to_text
from popoff.ledger import rules as ledger_rules
from popoff.ledger import service as ledger
from popoff.ledger.models import LedgerTransfer
from popoff.ledger.rules import Account, Kind, Move
from popoff.rewards import balances, bank, rules
from popoff.rewards.bank import BankFiles
from popoff.rewards.models import BankAccount, Payout, PayoutExport, new_public_id
from popoff.rewards.rules import PayoutState

_FOUR_EYES = "Somebody else has to approve this: not who asked for it, and not who is paid."


def set_bank_account(user_id: int, holder: str, iban: str, bic: str = "") -> BankAccount:
    """Where a person wants to be paid. Payouts that were approved for another account are held: somebody looks again.

    Raises Invalid (`invalid_iban`, `invalid_bic`, `invalid_holder`), and Conflict (`payout_exported`) while the bank
    pays to the present account.
    """
    values = {"holder": rules.check_holder(holder), "iban": rules.check_iban(iban), "bic": rules.check_bic(bic)}
    present = balances.bank_account(user_id)
    if present is not None and values == {name: getattr(present, name) for name in values}:
        return present
    for payout in _unsettled(user_id):
        if payout.export_id is not None:
            raise Conflict("The bank is paying to your present account. Change it afterwards.", code="payout_exported")
        if payout.state == PayoutState.APPROVED:
            _hold(payout, "the bank account was changed", None)
            _note("payout_held", payout, user_id)
    stored: dict[str, object] = {**values, "updated_at": clock.now()}
    kept = insert(BankAccount).values(user_id=user_id, **stored)
    account = db.session.scalars(
        kept.on_conflict_do_update(index_elements=["user_id"], set_=stored).returning(BankAccount),
        execution_options={"populate_existing": True},
    ).one()
    audit.record("bank_account_changed", actor=user_id)
    return account


def _unsettled(user_id: int) -> Sequence[Payout]:
    """A person's payouts on their way, kept from being approved or exported meanwhile."""
    return db.session.scalars(
        sa.select(Payout)
        .where(Payout.user_id == user_id, Payout.state.in_(balances.UNSETTLED))
        .order_by(Payout.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def request(user_id: int, amount: Minor, *, by: int | None = None, key: str | None = None) -> Payout:
    """Ask for money that was earned (staff may do it for somebody: `by`). Same key, same payout.

    Raises Invalid (`invalid_amount`, `payout_too_small`, `nothing_payable` for more than was earned and is still
    there, `insufficient_funds`, `bank_account_missing`), Conflict (`idempotency_conflict`).
    """
    positive(amount)
    ledger_key = f"payout:{user_id}:{secrets.token_hex(16) if key is None else key}"
    wallet = Account(Kind.WALLET, user_id)
    ledger_rules.check_words(ledger_key)
    ledger.lock(wallet, Account(Kind.PAYOUTS, user_id))  # whoever asks at the same time waits here
    mark = ledger_rules.fingerprint("payout", user_id, amount)
    moves = [Move(wallet, Account(Kind.PAYOUTS, user_id), amount)]
    earlier = _asked_under(ledger_key)
    if earlier is not None:
        ledger.transfer(ledger_key, moves, fingerprint=mark, reference=earlier.public_id)  # refuses another request
        return earlier
    _check_payable(user_id, amount)
    payout = Payout(
        public_id=new_public_id(),
        user_id=user_id,
        amount=amount,
        state=PayoutState.PENDING.value,
        requested_by=user_id if by is None else by,
        created_at=clock.now(),
    )
    payout.transfer_id = ledger.transfer(
        ledger_key, moves, fingerprint=mark, reference=payout.public_id, memo="payout"
    ).id
    db.session.add(payout)
    _note("payout_requested", payout, payout.requested_by)
    return payout


def _asked_under(ledger_key: str) -> Payout | None:
    return db.session.scalars(
        sa.select(Payout)
        .join(LedgerTransfer, LedgerTransfer.id == Payout.transfer_id)
        .where(LedgerTransfer.key == ledger_key)
    ).one_or_none()


def _check_payable(user_id: int, amount: Minor) -> None:
    smallest = Minor(config.current().payout_minimum)
    if amount < smallest:
        raise Invalid(f"Payouts are {to_text(smallest)} or more.", code="payout_too_small", field="amount")
    if db.session.get(BankAccount, user_id) is None:
        raise Invalid("Tell us first where to pay to.", code="bank_account_missing")
    payable = balances.payable(user_id)
    if amount > payable:
        raise Invalid(f"At most {to_text(payable)} can be paid out now.", code="nothing_payable", field="amount")


def hold(public_id: str, *, by: int, reason: str, until: datetime | None = None) -> Payout:
    """Keep a payout from going on, until `until` or until it is released.

    Raises Invalid (`empty_reason`, `too_long`), Conflict (`payout_state`, `payout_exported`), NotFound.
    """
    why = words.reason(reason)
    payout = _locked(public_id, by)
    if payout.export_id is not None:
        raise Conflict("The bank has this payout.", code="payout_exported")
    _hold(payout, why, until)
    return _note("payout_held", payout, by)


def _hold(payout: Payout, why: str, until: datetime | None) -> None:
    payout.state = rules.check_step(PayoutState(payout.state), PayoutState.HELD).value
    payout.reason, payout.held_until = why, until
    payout.approved_by = payout.approved_at = None


def release(public_id: str, *, by: int) -> Payout:
    """End a hold; the payout waits for approval again. Raises Conflict (`payout_state`), NotFound."""
    payout = _locked(public_id, by)
    payout.state = rules.check_step(PayoutState(payout.state), PayoutState.PENDING).value
    payout.reason = payout.held_until = None
    return _note("payout_released", payout, by)


def approve(public_id: str, *, by: int) -> Payout:
    """Let a payout go to the bank. A hold must have been released, or its time be over.

    Raises Forbidden (`four_eyes`), Conflict (`payout_state`, `payout_held`, `gifts_flagged` while what it is made of
    is under suspicion), NotFound.
    """
    payout = _locked(public_id)
    state = rules.check_step(PayoutState(payout.state), PayoutState.APPROVED)
    if payout.state == PayoutState.HELD and (payout.held_until is None or payout.held_until > clock.now()):
        raise Conflict("This payout is held.", code="payout_held")
    if by in (payout.requested_by, payout.user_id):
        raise Forbidden(_FOUR_EYES, code="four_eyes")
    if balances.suspended(payout.user_id) > balances.unspent(payout.user_id):
        raise Conflict("Gifts that this payout is made of are being looked at.", code="gifts_flagged")
    with constraint_errors({"ck_payouts_four_eyes": Forbidden(_FOUR_EYES, code="four_eyes")}):
        payout.state, payout.approved_by, payout.approved_at = state.value, by, clock.now()
        payout.reason = payout.held_until = None
    return _note("payout_approved", payout, by)


def pay(public_id: str, *, by: int | None) -> Payout:
    """The bank has paid it. Raises Conflict, NotFound."""
    payout = _locked(public_id, by)
    state = rules.check_step(PayoutState(payout.state), PayoutState.PAID)
    key = f"payout-paid:{payout.public_id}"
    payout.paid_transfer_id = ledger.transfer(
        key,
        [Move(Account(Kind.PAYOUTS, payout.user_id), Account(Kind.BANK), Minor(payout.amount))],
        fingerprint=ledger_rules.fingerprint(key),
        reference=payout.public_id,
        memo="payout paid",
    ).id
    payout.state, payout.settled_at = state.value, clock.now()
    return _note("payout_paid", payout, by)


def fail(public_id: str, *, by: int | None, reason: str) -> Payout:
    """It will not be paid (refused by us, or by the bank): the money returns to the wallet.

    Raises Invalid (`empty_reason`, `too_long`), Conflict (`payout_state`), NotFound.
    """
    why = words.reason(reason)
    payout = _locked(public_id, by)
    payout.state = rules.check_step(PayoutState(payout.state), PayoutState.FAILED).value
    ledger.reverse(f"payout-failed:{payout.public_id}", payout.transfer_id, why)
    payout.reason, payout.settled_at = why, clock.now()
    return _note("payout_failed", payout, by)


def reverse(public_id: str, *, by: int | None, reason: str) -> Payout:
    """The bank sent it back after it was paid: the money returns to the wallet. Raises Conflict, NotFound."""
    why = words.reason(reason)
    payout = _locked(public_id, by)
    payout.state = rules.check_step(PayoutState(payout.state), PayoutState.REVERSED).value
    assert payout.paid_transfer_id is not None  # it was paid
    accounts = (Account(Kind.WALLET, payout.user_id), Account(Kind.PAYOUTS, payout.user_id), Account(Kind.BANK))
    ledger.lock(*accounts)
    ledger.reverse(f"payout-returned:{payout.public_id}", payout.paid_transfer_id, why)
    ledger.reverse(f"payout-failed:{payout.public_id}", payout.transfer_id, why)
    payout.reason, payout.settled_at = why, clock.now()
    return _note("payout_reversed", payout, by)


def heard(event: Event) -> None:
    """What the provider says of a payout. Raises Invalid (`amount_differs`), Conflict (`payout_state`), NotFound."""
    payout = _locked(event.reference)
    if (payout.amount, config.current().currency) != (event.amount, event.currency):
        raise Invalid("This is not the amount of the payout.", code="amount_differs", field="amount")
    if event.kind is EventKind.PAYOUT_PAID:
        pay(event.reference, by=None)
    elif event.kind is EventKind.PAYOUT_FAILED:
        fail(event.reference, by=None, reason="the provider could not pay it")
    else:
        reverse(event.reference, by=None, reason="the bank sent it back")


def export(*, by: int) -> BankFiles:
    """The approved payouts that no file has had yet, as files for the bank. Raises Conflict (`nothing_to_export`).

    Payouts of people without a bank account stay behind. An export can be written again: `exported`.
    """
    wanted = db.session.scalars(
        sa.select(Payout)
        .join(BankAccount, BankAccount.user_id == Payout.user_id)
        .where(Payout.state == PayoutState.APPROVED.value, Payout.export_id.is_(None))
        .order_by(Payout.id)
        .with_for_update(of=Payout)
        .execution_options(populate_existing=True)
    ).all()
    if not wanted:
        raise Conflict("No approved payout waits for the bank.", code="nothing_to_export")
    made = PayoutExport(public_id=new_public_id(), made_by=by, created_at=clock.now())
    db.session.add(made)
    db.session.flush()
    for payout in wanted:
        payout.export_id = made.id
    db.session.flush()
    amount = Minor(sum(payout.amount for payout in wanted))
    audit.record("payouts_exported", actor=by, subject=made.public_id, amount=amount, data={"payouts": len(wanted)})
    return bank.files(balances.export_orders(made.public_id))


def exported(public_id: str) -> BankFiles:
    """The files of an export, written again: the same bytes while nobody changes their account.

    Raises NotFound (code `export_not_found`).
    """
    return bank.files(balances.export_orders(public_id))


def _locked(public_id: str, by: int | None = None) -> Payout:
    """A payout that `by` decides about: never one's own, which would bring back money that the bank has paid.

    Raises NotFound (`payout_not_found`), Forbidden (`own_matter`).
    """
    found = db.session.scalars(
        sa.select(Payout)
        .where(Payout.public_id == public_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise balances.payout_not_found()
    if found.user_id == by:
        raise Forbidden("Somebody who is not paid has to decide this.", code="own_matter")
    return found


def _note(action: str, payout: Payout, by: int | None) -> Payout:
    db.session.flush()
    data = {"payee": audit.pseudonym(payout.user_id)}
    audit.record(action, actor=by, subject=payout.public_id, amount=Minor(payout.amount), data=data)
    return payout
