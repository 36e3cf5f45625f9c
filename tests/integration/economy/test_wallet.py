"""`/wallet` and `/payments`: what one has, and paying in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import config
from popoff.adapters.payments import SIGNATURE, EventKind, Sandbox, sign
from popoff.kernel import clock
from popoff.kernel.money import Minor
from tests.support import ledger
from tests.support.people import PASSWORD
from tests.support.refusals import assert_refusal
from tests.support.staff import Cast, cast

HOOK = "/api/payments/webhook/sandbox"


@pytest.fixture
def people(client: FlaskClient) -> Cast:
    return cast(client, money=0)


def begin(people: Cast, amount: object = 20) -> str:
    answer = people.giver.post("/api/wallet/top-up", json={"amount": amount})
    assert answer.status_code == 201, answer.text
    assert answer.json["checkout"] == f"/pay/sandbox/{answer.json['id']}"
    return str(answer.json["id"])


def balance(people: Cast) -> float:
    amount: float = people.giver.get("/api/wallet").json["balance"]
    return amount


def tell(
    client: FlaskClient, reference: str, cents: int = 2000, kind: EventKind = EventKind.TOP_UP_PAID, **more: str
) -> TestResponse:
    """The sandbox's word about a payment, sent by nobody in particular."""
    headers, body = Sandbox().send(kind, reference, Minor(cents), more.pop("currency", "EUR"), **more)
    return client.application.test_client().post(HOOK, data=body, headers=headers)


def test_a_new_wallet_is_empty(people: Cast) -> None:
    empty = people.giver.get("/api/wallet").json
    assert empty.pop("currency") == "EUR"
    assert set(empty.values()) == {0}
    assert people.giver.get("/api/wallet/entries").json == []


def test_nothing_moves_until_the_provider_says_so(people: Cast, client: FlaskClient) -> None:
    reference = begin(people)
    assert balance(people) == 0
    assert tell(client, reference).json == {"received": True}
    assert balance(people) == 20
    (line,) = people.giver.get("/api/wallet/entries").json
    assert (line["amount"], line["balanceAfter"], line["reference"]) == (20, 20, reference)
    ledger.prove()


def test_a_webhook_counts_once(people: Cast, client: FlaskClient) -> None:
    reference = begin(people)
    assert tell(client, reference, event_id="one").status_code == 200
    assert_refusal(tell(client, reference, event_id="one"), 409, "webhook_replayed")
    assert_refusal(tell(client, reference, event_id="two"), 409, "top_up_settled")
    assert balance(people) == 20


@pytest.mark.parametrize("signature", ["", "t=1,v1=00", f"t=1790000000,v1={'0' * 64}", "v1=x", "t=x,v1=y"])
def test_a_forged_webhook_moves_nothing(people: Cast, client: FlaskClient, signature: str) -> None:
    _, body = Sandbox().send(EventKind.TOP_UP_PAID, begin(people), Minor(2000), "EUR")
    assert_refusal(client.post(HOOK, data=body, headers={SIGNATURE: signature}), 403, "bad_signature")
    assert_refusal(client.post(HOOK, data=body), 403, "bad_signature")
    assert balance(people) == 0


def test_a_changed_byte_spoils_the_signature(people: Cast, client: FlaskClient) -> None:
    headers, body = Sandbox().send(EventKind.TOP_UP_PAID, begin(people), Minor(2000), "EUR")
    changed = body.replace(b"2000", b"9000")
    assert_refusal(client.post(HOOK, data=changed, headers=headers), 403, "bad_signature")


def test_an_old_webhook_is_refused(people: Cast, client: FlaskClient) -> None:
    with clock.shifted(timedelta(minutes=-6)):
        headers, body = Sandbox().send(EventKind.TOP_UP_PAID, begin(people), Minor(2000), "EUR")
    assert_refusal(client.post(HOOK, data=body, headers=headers), 403, "webhook_expired")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id":1}', b"\xff", b"[" * 60_000, b'{"id":"a","kind":"no","reference":"b"}']
)
def test_signed_nonsense_is_refused(client: FlaskClient, body: bytes) -> None:
    headers = {SIGNATURE: sign(body, int(clock.timestamp()))}
    assert_refusal(client.post(HOOK, data=body, headers=headers), 400, "unknown_event")


def test_amount_and_currency_are_those_that_were_agreed(people: Cast, client: FlaskClient) -> None:
    reference = begin(people)
    assert_refusal(tell(client, reference, cents=2001), 400, "amount_differs")
    assert_refusal(tell(client, reference, currency="USD"), 400, "amount_differs")
    assert_refusal(tell(client, "0" * 24), 404, "top_up_not_found")
    assert tell(client, reference).status_code == 200


def test_a_failed_payment_brings_nothing(people: Cast, client: FlaskClient) -> None:
    reference = begin(people)
    assert tell(client, reference, kind=EventKind.TOP_UP_FAILED).status_code == 200
    assert_refusal(tell(client, reference), 409, "top_up_settled")
    assert balance(people) == 0


def test_other_providers_are_not_ours(client: FlaskClient) -> None:
    assert_refusal(client.post("/api/payments/webhook/other", data=b"{}"), 404, "provider_not_found")


def test_in_the_sandbox_one_pays_oneself(people: Cast) -> None:
    reference = begin(people)
    path = f"/api/payments/sandbox/{reference}"
    assert_refusal(people.other.post(path, json={}), 404, "top_up_not_found")
    assert people.giver.post(path, json={"outcome": "paid"}).status_code == 200
    assert balance(people) == 20
    assert_refusal(people.giver.post(path, json={"outcome": "paid"}), 404, "top_up_not_found")


def test_where_staff_pay_by_hand_nothing_can_be_paid_in(people: Cast, client: FlaskClient) -> None:
    reference = begin(people)
    with config.override(payments_provider="manual"):
        refused = people.giver.post("/api/wallet/top-up", json={"amount": 20})
        assert_refusal(refused, 503, "payments_not_configured")
        assert_refusal(people.giver.post(f"/api/payments/sandbox/{reference}"), 404, "provider_not_found")
        assert_refusal(tell(client, reference), 404, "provider_not_found")


@pytest.mark.parametrize("amount", [0, -1, 0.001, "NaN", 1e15])
def test_what_is_no_amount_cannot_be_paid_in(people: Cast, amount: object) -> None:
    answer = people.giver.post("/api/wallet/top-up", json={"amount": amount})
    assert_refusal(answer, 400, "invalid_amount")


def test_entries_come_in_pages_and_are_ones_own(people: Cast, client: FlaskClient) -> None:
    for _ in range(3):
        tell(client, begin(people))
    first = people.giver.get("/api/wallet/entries?limit=2")
    rest = people.giver.get(f"/api/wallet/entries?limit=2&cursor={first.headers['X-Next-Cursor']}")
    assert [row["balanceAfter"] for row in (*first.json, *rest.json)] == [60, 40, 20]
    assert "X-Next-Cursor" not in rest.headers
    assert people.other.get("/api/wallet/entries").json == []
    assert_refusal(people.giver.get("/api/wallet/entries?cursor=x"), 400, "invalid_cursor")


@pytest.mark.parametrize(("button", "expected"), [("pay", 20), ("decline", 0)])
def test_the_checkout_page_ends_a_payment(people: Cast, client: FlaskClient, button: str, expected: float) -> None:
    page = f"/pay/sandbox/{begin(people)}"
    browser = client.application.test_client()
    assert browser.get(page, headers={"Accept": "text/html"}).status_code == 302
    browser.post("/login", data={"username": people.giver.username, "password": PASSWORD})
    assert "20.00 EUR" in browser.get(page).text
    assert browser.post(page, data={button: "1"}).status_code == 302
    assert balance(people) == expected
    assert browser.get(page).status_code == 404
