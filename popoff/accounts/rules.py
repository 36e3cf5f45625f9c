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
    FINANCE = "finance"
    ADMIN = "admin"


class Permission(enum.StrEnum):
    """What a route may ask for. Permissions hang on roles; nothing asks for a role by name."""

    USE = "use"
    MODERATE = "moderate"
    READ_AUDIT = "read_audit"
    """The audit log, and what is flagged in it. People have pseudonyms there."""
    RAISE_FLAGS = "raise_flags"
    """Flag entries, have the log scanned, see fraud cases."""
    DECIDE_FLAGS = "decide_flags"
    READ_MONEY = "read_money"
    """Other people's gifts, rewards, statements and payouts."""
    DECIDE_PAYOUTS = "decide_payouts"
    ADMINISTER = "administer"


_ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.CONSUMER: frozenset({Permission.USE}),
    Role.CREATOR: frozenset({Permission.USE}),
    Role.MODERATOR: frozenset({Permission.USE, Permission.MODERATE, Permission.READ_AUDIT, Permission.RAISE_FLAGS}),
    Role.FINANCE: frozenset(
        {
            Permission.USE,
            Permission.READ_AUDIT,
            Permission.RAISE_FLAGS,
            Permission.DECIDE_FLAGS,
            Permission.READ_MONEY,
            Permission.DECIDE_PAYOUTS,
        }
    ),
    Role.ADMIN: frozenset(Permission),
}


def permits(role: str, permission: Permission) -> bool:
    return permission in _ROLE_PERMISSIONS[Role(role)]


SELF_CHOSEN = (Role.CONSUMER, Role.CREATOR)
"""Roles that people give themselves; staff are made by staff."""


def check_role(role: str) -> Role:
    """The role somebody signs up with, however it is written. Raises Invalid (code `invalid_role`)."""
    wanted = role.strip().casefold()
    if wanted not in SELF_CHOSEN:
        raise Invalid("People sign up as CONSUMER or as CREATOR.", code="invalid_role", field="role")
    return Role(wanted)


USERNAME_LENGTH = range(2, 31)
NAME_LENGTH = range(1, 101)
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


_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing: with them a name could be blank, or look like another."""


def username_key(name: str) -> str:
    """The form in which names must differ: compatibility forms, case and outer white space do not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())


def check_username(name: str) -> str:
    """The name as it will be shown. Raises Invalid (code `invalid_username`).

    2 to 30 letters or digits of any script, with single `_ . -` between them: nothing that could be taken
    for a path, a mention or markup.
    """
    shown = unicodedata.normalize("NFC", name.strip())
    if len(shown) not in USERNAME_LENGTH or not all(_is_word(part) for part in re.split(r"[._-]", shown)):
        raise Invalid("Usernames have 2 to 30 letters or digits, with . _ or - between them.", code="invalid_username")
    if username_key(shown) in _RESERVED:
        raise Invalid("This username is reserved.", code="invalid_username")
    return shown


def check_name(name: str) -> str:
    """How somebody wants to be called: 1 to 100 visible characters. Raises Invalid (code `invalid_name`)."""
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    unseen = any(unicodedata.category(char)[0] == "C" for char in shown.replace("\u200d", ""))  # emoji have joiners
    if len(shown) not in NAME_LENGTH or unseen or not _INVISIBLE.sub("", shown).strip():
        raise Invalid("Names have 1 to 100 visible characters.", code="invalid_name", field="name")
    return shown


def username_from(name: str) -> str:
    """A username that resembles a name, as far as one can be made of it; somebody else may have it already."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", name).replace("_", " "))
    stem = ".".join(word for word in words if _is_word(word))[:_STEM_LENGTH].rstrip(".")
    try:
        return check_username(stem)
    except Invalid:
        return _NAMELESS


_STEM_LENGTH = 20
_NAMELESS = "user"


def _is_word(text: str) -> bool:
    """A letter or digit, then letters, digits and the marks that some scripts write on them."""
    kinds = ["L" if category[0] == "L" else category for category in map(unicodedata.category, text)]
    starts_well = kinds[:1] in (["L"], ["Nd"])
    return starts_well and set(kinds) <= {"L", "Nd", "Mn", "Mc"} and not _INVISIBLE.search(text)


def check_email(address: str) -> str:
    """The address in its normal form. Raises Invalid on field `email` with the sentence the phone app knows."""
    try:
        return validate_email(address.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid("Enter a valid email address.", code="invalid_email", field="email") from None


def email_key(address: str) -> str:
    """The form in which addresses must differ."""
    return unicodedata.normalize("NFKC", address.strip()).casefold()


def check_password(password: str, *, username: str = "", email: str = "") -> None:
    """Raises Invalid (code `weak_password`): length between 8 and 256, not common, not one's own name."""
    if len(password) not in PASSWORD_LENGTH:
        raise Invalid("Passwords have at least 8 and at most 256 characters.", code="weak_password")
    folded = password.casefold()
    own = {username.casefold(), email.casefold(), email.casefold().partition("@")[0]} - {""}
    if folded in _COMMON_PASSWORDS or folded in own or len(set(folded)) < 3:
        raise Invalid("This password is too easy to guess.", code="weak_password")


FORGET_FAILURES_AFTER = timedelta(hours=1)
LONGEST_WAIT = timedelta(minutes=15)
"""For one account from one address."""
SHARED_FACTOR = 4
SHARED_WAIT = timedelta(seconds=30)
"""An account as a whole and an address as a whole bear SHARED_FACTOR times the failures before anybody waits, and
wait at most SHARED_WAIT: strangers cannot lock a person out, nor neighbours behind one address each other."""


def login_wait(failures: int, last_failed_at: datetime, now: datetime, *, free: int, longest: timedelta) -> timedelta:
    """How long until the next try: nothing for the first `free` failures, then 1, 2, 4 ... seconds."""
    if failures < free or now - last_failed_at > FORGET_FAILURES_AFTER:
        return timedelta()
    wait = min(timedelta(seconds=2 ** min(failures - free, 20)), longest)
    return max(timedelta(), last_failed_at + wait - now)


def is_suspended(suspended_until: datetime | None, now: datetime) -> bool:
    return suspended_until is not None and suspended_until > now


def deletion_due(deletion_requested_at: datetime, grace_days: int) -> datetime:
    return deletion_requested_at + timedelta(days=grace_days)
