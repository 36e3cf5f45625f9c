"""Money at the edge: amounts in requests and answers, the key of a request, and whose money may be read."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from flask import request
from pydantic import BeforeValidator, WithJsonSchema

from popoff.accounts import queries as accounts
from popoff.accounts.rules import Permission, permits
from popoff.kernel.errors import Forbidden, Invalid
from popoff.kernel.money import Minor, to_json, to_minor
from popoff.web import auth

KEY = "Idempotency-Key"
Key = {KEY: {"in": "header", "type": "string", "description": "The same request under the same key acts once."}}
"""The documentation of the header."""

Amount = Annotated[
    Minor,
    BeforeValidator(lambda sent: to_minor(sent if isinstance(sent, str | int | float) else str(sent))),
    WithJsonSchema({"type": "number", "description": "More than zero, with at most two decimals."}),
]


def amount(minor: int) -> float:
    """An amount as JSON has it."""
    return to_json(Minor(minor))


def key() -> str | None:
    """What the client calls this request; None without the header. Raises Invalid (code `invalid_key`)."""
    sent = request.headers.get(KEY)
    if sent is not None and not (1 <= len(sent) <= 100 and sent.isascii() and sent.isprintable()):
        raise Invalid("A key has 1 to 100 visible characters.", code="invalid_key", field="key")
    return sent


def reads_money() -> bool:
    """Whether the request comes from somebody who may see other people's money."""
    return permits(auth.me().role, Permission.READ_MONEY)


def whose(ref: UUID) -> int:
    """The number of the person `ref` whose money is asked for: one's own, and anybody's for staff.

    Who may not see it does not learn whether there is such a person. Raises Forbidden, NotFound (`user_not_found`).
    """
    user = accounts.by_public_id(ref)
    if user is not None and user.id == auth.me().user_id:
        return user.id
    if not reads_money():
        raise Forbidden("Access denied")
    if user is None:
        raise accounts.user_not_found()
    return user.id


def refs(user_ids: Any) -> dict[int | None, str | None]:
    """Public ids of people; None for those who are gone, and for nobody."""
    found = accounts.by_ids({user_id for user_id in user_ids if user_id is not None})
    return {user_id: str(found[user_id].public_id) if user_id in found else None for user_id in {*user_ids, None}}
