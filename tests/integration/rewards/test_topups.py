"""Money that comes in: paid through a provider, or granted by staff."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import config
from popoff.accounts.models import User
from popoff.adapters.payments import EventKind, Sandbox
from popoff.audit.models import EntryRow
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable
from popoff.kernel.money import Minor
from popoff.rewards import payouts, topups
from popoff.rewards.models import PaymentEvent
from tests.support.ledger import BANK, MINT, has, wallet
from tests.support.rewards import close, give, person, post_of

PAID, FAILED = EventKind.TOP_UP_PAID, EventKind.TOP_UP_FAILED


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return person("eve")


def word(reference: str, amount: int = 2_500, kind: EventKind = PAID, currency: str = "EUR", event: str | None = None):
    return Sandbox().send(kind, reference, Minor(amount), currency, event)


def test_nothing_arrives_before_the_providers_word(eve: User) -> None:
    checkout = topups.begin(eve.id, Minor(2_500))
    assert has(wallet(eve.id)) == 0
    assert topups.pending(checkout.reference, eve.id).amount == 2_500
    topups.receive(*word(checkout.reference))
    assert (has(wallet(eve.id)), has(BANK)) == (2_500, -2_500)
    with pytest.raises(NotFound):
        topups.pending(checkout.reference, eve.id)


def test_a_replayed_webhook_is_refused(eve: User) -> None:
    sent = word(topups.begin(eve.id, Minor(2_500)).reference)
    topups.receive(*sent)
    with pytest.raises(Conflict) as refusal:
        topups.receive(*sent)
    assert refusal.value.error_code == "webhook_replayed"
    assert has(wallet(eve.id)) == 2_500


def test_another_event_about_the_same_payment_is_refused(eve: User) -> None:
    checkout = topups.begin(eve.id, Minor(2_500))
    topups.receive(*word(checkout.reference))
    with pytest.raises(Conflict):
        topups.receive(*word(checkout.reference, event="another"))
    assert has(wallet(eve.id)) == 2_500


def test_a_forged_webhook_leaves_no_trace(eve: User) -> None:
    headers, body = word(topups.begin(eve.id, Minor(2_500)).reference)
    with pytest.raises(Forbidden):
        topups.receive(headers, body.replace(b"2500", b"9999"))
    assert has(wallet(eve.id)) == 0 and db.session.scalar(sa.select(sa.func.count(PaymentEvent.event_id))) == 0


@pytest.mark.parametrize("change", [{"amount": 9_999}, {"currency": "USD"}])
def test_the_providers_word_must_be_about_what_was_asked(eve: User, change: dict[str, object]) -> None:
    checkout = topups.begin(eve.id, Minor(2_500))
    with pytest.raises(Invalid):
        topups.receive(*word(checkout.reference, **change))  # type: ignore[arg-type]
    assert has(wallet(eve.id)) == 0


def test_a_failed_payment_brings_nothing(eve: User) -> None:
    checkout = topups.begin(eve.id, Minor(2_500))
    topups.receive(*word(checkout.reference, kind=FAILED))
    with pytest.raises(Conflict):
        topups.receive(*word(checkout.reference))
    assert has(wallet(eve.id)) == 0


def test_an_unknown_reference_is_not_found(eve: User) -> None:
    with pytest.raises(NotFound):
        topups.receive(*word("nothing"))


def test_by_hand_nothing_can_be_paid_in(eve: User) -> None:
    with config.override(payments_provider="manual"), pytest.raises(Unavailable):
        topups.begin(eve.id, Minor(2_500))


def test_the_provider_tells_of_payouts_too(eve: User) -> None:
    ada, boss = person("ada"), person("boss")
    topups.grant(eve.id, Minor(20_000), by=boss.id, reason="welcome")
    give(eve, post_of(ada), 20_000)
    close(ad_pool=0, creator_fund=0)
    payouts.set_bank_account(ada.id, "Ada Lovelace", "DE89370400440532013000")
    payout = payouts.request(ada.id, Minor(8_000))
    with pytest.raises(Conflict):
        topups.receive(*word(payout.public_id, 8_000, EventKind.PAYOUT_PAID))
    payouts.approve(payout.public_id, by=boss.id)
    topups.receive(*word(payout.public_id, 8_000, EventKind.PAYOUT_PAID, event="paid"))
    assert payout.state == "paid"
    topups.receive(*word(payout.public_id, 8_000, EventKind.PAYOUT_REVERSED))
    assert payout.state == "reversed" and has(wallet(ada.id)) == 8_000


def test_a_grant_comes_from_the_mint_once_for_each_key(eve: User) -> None:
    for _ in range(2):
        topups.grant(eve.id, Minor(700), by=None, reason="a welcome", key="k")
    assert (has(wallet(eve.id)), has(MINT)) == (700, -700)
    (entry,) = db.session.scalars(sa.select(EntryRow))
    assert (entry.action, entry.amount, entry.actor) == ("wallet_grant", 700, None)


@pytest.mark.parametrize(("amount", "reason"), [(0, "x"), (-5, "x"), (5, ""), (5, " "), (5, "x" * 501)])
def test_a_grant_is_an_amount_for_a_reason(eve: User, amount: int, reason: str) -> None:
    with pytest.raises(DomainError):
        topups.grant(eve.id, Minor(amount), by=None, reason=reason)
