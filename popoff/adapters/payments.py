"""The door to whoever moves real money: a port, and the two providers that need nobody else.

`manual`: staff do it by bank transfer and say so themselves; nothing can be paid in. `sandbox`: nobody is charged;
the provider's word comes as a signed webhook all the same, so that everything behind it is what a real one meets.

A webhook is signed like this: `Popoff-Signature: t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "t.body">`. A wrong
signature and an old one are refused here; an event that comes again under its id is refused by whoever keeps the ids.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import config
from popoff.kernel import clock
from popoff.kernel.errors import Forbidden, Invalid, Unavailable
from popoff.kernel.money import MAX_MINOR, Minor

SIGNATURE = "Popoff-Signature"
TOLERANCE_SECONDS = 300
MAX_BODY_BYTES = 64 * 1024
_SIGNED = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class EventKind(StrEnum):
    TOP_UP_PAID = "top_up.paid"
    TOP_UP_FAILED = "top_up.failed"
    PAYOUT_PAID = "payout.paid"
    PAYOUT_FAILED = "payout.failed"
    PAYOUT_REVERSED = "payout.reversed"


@dataclass(frozen=True, slots=True)
class Event:
    """What a provider says of `reference`, which is our name for a top-up or a payout."""

    id: str
    kind: EventKind
    reference: str
    amount: Minor
    currency: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a person pays: a path of our own site, or an address of the provider."""

    reference: str
    address: str


class Provider(Protocol):
    name: str

    def checkout(self, reference: str, amount: Minor, currency: str) -> Checkout:
        """Begin a payment. Raises Unavailable (code `payments_not_configured`)."""
        ...

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event:
        """The event of a signed webhook. Raises Forbidden (`bad_signature`, `webhook_expired`) and Invalid."""
        ...


class Manual:
    name = "manual"

    def checkout(self, reference: str, amount: Minor, currency: str) -> Checkout:
        raise Unavailable("Nothing can be paid in here.", code="payments_not_configured")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event:
        raise Forbidden("Nobody tells us of payments here.", code="bad_signature")


class Sandbox:
    name = "sandbox"
    CHECKOUT_PATH = "/pay/sandbox"

    def checkout(self, reference: str, amount: Minor, currency: str) -> Checkout:
        return Checkout(reference, f"{self.CHECKOUT_PATH}/{reference}")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Event:
        _check_signature(headers, body)
        return _event(body)

    def send(
        self, kind: EventKind, reference: str, amount: Minor, currency: str, event_id: str | None = None
    ) -> tuple[dict[str, str], bytes]:
        """The webhook (headers, body) that the sandbox sends: for its checkout page, the demo and tests."""
        body = json.dumps(
            {
                "id": event_id or secrets.token_hex(12),
                "kind": kind.value,
                "reference": reference,
                "amount": amount,
                "currency": currency,
            }
        ).encode()
        return {SIGNATURE: sign(body, int(clock.timestamp()))}, body


def provider() -> Provider:
    """The provider of PAYMENTS_PROVIDER. Raises SettingError for a name that is none."""
    settings = config.current()
    chosen = settings.payments_provider
    if chosen == "auto":
        chosen = Manual.name if settings.production else Sandbox.name
    if chosen == Manual.name:
        return Manual()
    if chosen == Sandbox.name:
        return Sandbox()
    raise config.SettingError(f"PAYMENTS_PROVIDER takes sandbox, manual or auto, not {chosen!r}")


def sign(body: bytes, seconds: int) -> str:
    """The value of the signature header for a body sent at this time."""
    return f"t={seconds},v1={_mac(body, seconds)}"


def _mac(body: bytes, seconds: int) -> str:
    return hmac.new(_secret(), b"%d.%s" % (seconds, body), hashlib.sha256).hexdigest()


def _secret() -> bytes:
    settings = config.current()
    if settings.payments_webhook_secret:
        return settings.payments_webhook_secret.encode()
    if not settings.secret_key:
        raise config.SettingError("PAYMENTS_WEBHOOK_SECRET or SECRET_KEY must be set: webhooks cannot be checked")
    return hmac.digest(settings.secret_key.encode(), b"payments webhook", hashlib.sha256)


def _check_signature(headers: Mapping[str, str], body: bytes) -> None:
    given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE.lower(), "")
    signed = _SIGNED.fullmatch(given)
    if signed is None or len(body) > MAX_BODY_BYTES:
        raise Forbidden("This webhook is not signed by the provider.", code="bad_signature")
    seconds = int(signed[1])
    if not hmac.compare_digest(_mac(body, seconds), signed[2]):
        raise Forbidden("This webhook is not signed by the provider.", code="bad_signature")
    if abs(clock.timestamp() - seconds) > TOLERANCE_SECONDS:
        raise Forbidden("This webhook is too old.", code="webhook_expired")


def _event(body: bytes) -> Event:
    try:
        values = json.loads(body)
        event = Event(
            id=values["id"],
            kind=EventKind(values["kind"]),
            reference=values["reference"],
            amount=Minor(values["amount"]),
            currency=values["currency"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid("This is not an event that we know.", code="unknown_event") from None
    texts = (event.id, event.reference, event.currency)
    if not all(isinstance(text, str) and _ID.fullmatch(text) for text in texts):
        raise Invalid("This is not an event that we know.", code="unknown_event")
    if type(event.amount) is not int or not 0 < event.amount <= MAX_MINOR:
        raise Invalid("This is not an amount of money.", code="invalid_amount")
    return event
