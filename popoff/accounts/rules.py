"""Decisions about names, passwords, roles and throttling. Pure: no database, no clock of their own."""

from __future__ import annotations

import enum
import re
import unicodedata
from datetime import datetime, timedelta

from email_validator import EmailNotValidError, validate_email

from popoff.kernel.errors import Invalid


class Role(enum.StrEnum):
    CONSUMER = "consumer"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Permission(enum.StrEnum):
    """What a route may ask for. Permissions hang on roles; nothing asks for a role by name."""

    USE = "use"
    MODERATE = "moderate"
    ADMINISTER = "administer"


_ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.CONSUMER: frozenset({Permission.USE}),
    Role.CREATOR: frozenset({Permission.USE}),
    Role.MODERATOR: frozenset({Permission.USE, Permission.MODERATE}),
    Role.ADMIN: frozenset(Permission),
}


def permits(role: str, permission: Permission) -> bool:
    return permission in _ROLE_PERMISSIONS[Role(role)]


USERNAME_LENGTH = range(2, 31)
PASSWORD_LENGTH = range(8, 257)
_RESERVED = frozenset(
    [
        "admin",
        "administrator",
        "root",
        "system",
        "support",
        "help",
        "moderator",
        "staff",
        "security",
        "popoff",
        "me",
        "self",
        "null",
        "undefined",
        "api",
    ]
)
_COMMON_PASSWORDS = frozenset(
    [
        "password",
        "password1",
        "password12",
        "password123",
        "passw0rd",
        "12345678",
        "123456789",
        "1234567890",
        "87654321",
        "11111111",
        "00000000",
        "qwertyui",
        "qwerty123",
        "qwertyuiop",
        "iloveyou",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "superman",
        "trustno1",
        "letmein1",
        "welcome1",
        "abc12345",
        "abcd1234",
        "1q2w3e4r",
        "1qaz2wsx",
        "asdfghjk",
        "zaq12wsx",
        "monkey123",
        "dragon123",
        "starwars",
        "computer",
        "whatever",
    ]
)


def username_key(name: str) -> str:
    """The form in which names must differ: compatibility forms and case do not count."""
    return unicodedata.normalize("NFKC", name).casefold()


def check_username(name: str) -> str:
    """The name as it will be shown. Raises Invalid (code `invalid_username`).

    2 to 30 letters or digits of any script, with single `_ . -` between them: nothing that could be taken
    for a path, a mention or markup.
    """
    shown = unicodedata.normalize("NFC", name.strip())
    plain = re.sub(r"(?<=\w)[.\-_](?=\w)", "", shown)
    fits = (
        len(shown) in USERNAME_LENGTH
        and bool(plain)
        and all(unicodedata.category(char)[0] in "LN" or unicodedata.category(char) in ("Mn", "Mc") for char in plain)
        and unicodedata.category(plain[0])[0] in "LN"
    )
    if not fits:
        raise Invalid("Usernames have 2 to 30 letters or digits, with . _ or - between them.", code="invalid_username")
    if username_key(shown) in _RESERVED:
        raise Invalid("This username is reserved.", code="invalid_username")
    return shown


def check_email(address: str) -> str:
    """The address in its normal form. Raises Invalid on field `email` with the sentence the phone app knows."""
    try:
        return validate_email(address.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid("Enter a valid email address.", code="invalid_email", field="email") from None


def email_key(address: str) -> str:
    return unicodedata.normalize("NFKC", address).casefold()


def check_password(password: str, *, username: str = "", email: str = "") -> None:
    """Raises Invalid (code `weak_password`): length between 8 and 256, not common, not one's own name."""
    if len(password) not in PASSWORD_LENGTH:
        raise Invalid("Passwords have at least 8 and at most 256 characters.", code="weak_password")
    folded = password.casefold()
    own = {username.casefold(), email.casefold(), email.casefold().partition("@")[0]} - {""}
    if folded in _COMMON_PASSWORDS or folded in own or len(set(folded)) < 3:
        raise Invalid("This password is too easy to guess.", code="weak_password")


_LONGEST_WAIT = timedelta(minutes=15)
FORGET_FAILURES_AFTER = timedelta(hours=1)
ACCOUNT_WIDE_FACTOR = 4
"""An account as a whole, from any address, bears this many times the failures of one address before it
waits, and waits at most `ACCOUNT_WIDE_WAIT`, so that strangers cannot lock its owner out."""
ACCOUNT_WIDE_WAIT = timedelta(seconds=30)


def login_wait(
    failures: int, last_failed_at: datetime, now: datetime, *, free: int, longest: timedelta = _LONGEST_WAIT
) -> timedelta:
    """How long until the next try: nothing for the first `free` failures, then 1, 2, 4 ... seconds."""
    if failures < free or now - last_failed_at > FORGET_FAILURES_AFTER:
        return timedelta()
    wait = min(timedelta(seconds=2 ** min(failures - free, 20)), longest)
    return max(timedelta(), last_failed_at + wait - now)


def is_suspended(suspended_until: datetime | None, now: datetime) -> bool:
    return suspended_until is not None and suspended_until > now


def deletion_due(deletion_requested_at: datetime, grace_days: int) -> datetime:
    return deletion_requested_at + timedelta(days=grace_days)
