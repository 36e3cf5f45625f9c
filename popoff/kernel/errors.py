"""Errors of the domains. They know no HTTP; `web/errors.py` maps each family to a status.

Every error carries a stable machine `code` (what programs match on) and a sentence for the person.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A request that a domain refuses.

    `field` names the input at fault, when there is one. `details` are extra values for programs.
    `keeps_changes` marks refusals whose trace must stay (a failed login is counted): the edge commits
    what was written before raising, instead of rolling back.
    """

    code: ClassVar[str] = "refused"
    message: ClassVar[str] = "This cannot be done."
    keeps_changes: ClassVar[bool] = False

    def __init__(
        self, message: str | None = None, *, code: str | None = None, field: str | None = None, **details: Any
    ):
        self.text = message or self.message
        self.error_code = code or self.code
        self.field = field
        self.details = details
        super().__init__(self.text)


class Invalid(DomainError):
    """The input does not fit."""

    code = "invalid"
    message = "The request is not valid."


class Unauthenticated(DomainError):
    """Nobody is signed in, or the token is not good any more."""

    code = "not_authenticated"
    message = "Authentication credentials were not provided."


class Forbidden(DomainError):
    """Known person, not allowed."""

    code = "forbidden"
    message = "You may not do this."


class NotFound(DomainError):
    """It does not exist, or not for this person."""

    code = "not_found"
    message = "Not found."


class Conflict(DomainError):
    """It contradicts the state of things."""

    code = "conflict"
    message = "This conflicts with the present state."


class TooMany(DomainError):
    """Slow down; `retry_after` (seconds) is in the details."""

    code = "too_many_requests"
    message = "Too many requests. Please wait a moment."


class TooLarge(DomainError):
    code = "too_large"
    message = "This is too large."


class Unavailable(DomainError):
    """A part we need does not answer; the same request may go through later."""

    code = "unavailable"
    message = "The service is busy. Please try again."
