"""Webhooks: signed, fresh, and about an amount of money, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

import config
from popoff.adapters import payments
from popoff.adapters.payments import SIGNATURE, EventKind, Manual, Sandbox
from popoff.kernel import clock
from popoff.kernel.errors import DomainError, Unavailable
from popoff.kernel.money import Minor


@pytest.fixture(autouse=True)
def _secret() -> Iterator[None]:
    with config.override(secret_key="a secret", payments_webhook_secret=""):
        yield


def sent() -> tuple[dict[str, str], bytes]:
    return Sandbox().send(EventKind.TOP_UP_PAID, "abc", Minor(1250), "EUR", "event-1")


def refusal(headers: dict[str, str], body: bytes) -> str:
    with pytest.raises(DomainError) as refused:
        Sandbox().read_webhook(headers, body)
    return refused.value.error_code


def test_the_providers_word_is_read() -> None:
    event = Sandbox().read_webhook(*sent())
    assert (event.id, event.kind, event.reference, event.amount) == ("event-1", EventKind.TOP_UP_PAID, "abc", 1250)


def test_header_names_come_in_any_case() -> None:
    headers, body = sent()
    assert Sandbox().read_webhook({SIGNATURE.upper(): headers[SIGNATURE]}, body).reference == "abc"


@pytest.mark.parametrize("forged", ["", "t=1,v1=00", "v1=" + "0" * 64, "t=99999999999999,v1=" + "0" * 64])
def test_a_signature_of_somebody_else_is_refused(forged: str) -> None:
    assert refusal({SIGNATURE: forged}, sent()[1]) == "bad_signature"


def test_a_changed_body_is_refused() -> None:
    headers, body = sent()
    assert refusal(headers, body.replace(b"1250", b"9250")) == "bad_signature"


def test_a_changed_time_is_refused() -> None:
    headers, body = sent()
    seconds, _, mac = headers[SIGNATURE].partition(",")
    assert refusal({SIGNATURE: f"t={int(seconds[2:]) + 1},{mac}"}, body) == "bad_signature"


def test_another_secret_signs_nothing_here() -> None:
    with config.override(payments_webhook_secret="theirs"):
        headers, body = sent()
    assert refusal(headers, body) == "bad_signature"


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_webhook_is_refused(minutes: int) -> None:
    with clock.shifted(timedelta(minutes=minutes)):
        headers, body = sent()
    assert refusal(headers, body) == "webhook_expired"


@pytest.mark.parametrize(
    "change", [{"kind": "x"}, {"amount": -5}, {"amount": 1.5}, {"amount": True}, {"id": "a b"}, {"reference": None}]
)
def test_what_makes_no_sense_is_refused_even_when_signed(change: dict[str, object]) -> None:
    body = json.dumps({**json.loads(sent()[1]), **change}).encode()
    assert refusal({SIGNATURE: payments.sign(body, int(clock.timestamp()))}, body) in (
        "unknown_event",
        "invalid_amount",
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff"])
def test_bodies_that_are_no_events_are_refused(body: bytes) -> None:
    assert refusal({SIGNATURE: payments.sign(body, int(clock.timestamp()))}, body) == "unknown_event"


def test_nothing_is_paid_in_where_staff_do_it_by_hand() -> None:
    with pytest.raises(Unavailable):
        Manual().checkout("abc", Minor(100), "EUR")
    with pytest.raises(DomainError):
        Manual().read_webhook(*sent())


@pytest.mark.parametrize(("environment", "name"), [("development", "sandbox"), ("production", "manual")])
def test_the_sandbox_is_for_no_production(environment: str, name: str) -> None:
    with config.override(environment=environment):
        assert payments.provider().name == name


def test_an_unknown_provider_is_a_wrong_setting() -> None:
    with config.override(payments_provider="stripes"), pytest.raises(config.SettingError):
        payments.provider()
