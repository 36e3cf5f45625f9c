"""Writes of the accounts domain: registering, signing in, tokens, roles, leaving."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.accounts import queries, rules
from popoff.accounts.models import LoginFailures, Token, User
from popoff.accounts.rules import Role
from popoff.audit import service as audit
from popoff.kernel import clock
from popoff.kernel.addresses import place_of
from popoff.kernel.db import advisory_lock, constraint_errors, db
from popoff.kernel.errors import Conflict, Invalid, NotFound, TooMany, Unauthenticated

_hasher = PasswordHasher()
_DUPLICATE = "Account with username or email already exists"
_TOUCH_EVERY = timedelta(hours=1)
_LOGIN_LOCKS = 1
"""The space of our advisory locks."""


class LoginRefused(Invalid):
    """Wrong name or password; the count of failures stays although the request fails."""

    code = "wrong_credentials"
    message = "Unable to log in with provided credentials."
    keeps_changes = True


@dataclass(frozen=True)
class Device:
    """Where a sign-in comes from, as the person will see it in the list of devices."""

    name: str = ""
    address: str = ""


@dataclass(frozen=True)
class Principal:
    """Who a request speaks for."""

    user_id: int
    username: str
    role: str
    token_id: int


def register(
    username: str,
    email: str,
    password: str,
    *,
    phone_number: str = "",
    role: Role = Role.CONSUMER,
) -> User:
    """Add a person. Raises Invalid: for a duplicate with code `account_exists` (400: the app shows the sentence)."""
    shown = rules.check_username(username)
    address = rules.check_email(email)
    rules.check_password(password, username=shown, email=address)
    duplicate = Invalid(_DUPLICATE, code="account_exists")
    with constraint_errors({"uq_users_username_key": duplicate, "uq_users_email_key": duplicate}):
        user = _add(shown, address, _hasher.hash(password), role, phone_number=phone_number.strip()[:40])
    if role not in rules.SELF_CHOSEN:
        _note_role(user, Role.CONSUMER, None)
    return user


def _add(username: str, email: str, password_hash: str, role: Role, **more: str) -> User:
    user = User(
        username=username,
        username_key=rules.username_key(username),
        email=email,
        email_key=rules.email_key(email),
        password_hash=password_hash,
        role=role.value,
        created_at=clock.now(),
        **more,
    )
    db.session.add(user)
    return user


def sign_up(name: str, email: str, password: str, role: Role = Role.CONSUMER) -> User:
    """Add a person who gives a name instead of choosing a username: they get one that resembles it.

    Raises Invalid, for an address that has an account with code `account_exists`.
    """
    shown = rules.check_name(name)
    address = rules.check_email(email)
    rules.check_password(password, username=shown, email=address)
    password_hash = _hasher.hash(password)
    stem = rules.username_from(shown)
    for username in (stem, *(f"{stem}.{secrets.token_hex(4)}" for _ in range(_TRIES))):
        with (
            contextlib.suppress(_UsernameTaken),
            constraint_errors({"uq_users_username_key": _UsernameTaken(), "uq_users_email_key": _address_taken()}),
        ):
            return _add(username, address, password_hash, role, name=shown)
    raise _UsernameTaken


class _UsernameTaken(Conflict):
    """Somebody has it."""


_TRIES = 5


def _address_taken() -> Invalid:
    return Invalid("Email already registered", code="account_exists", field="email")


def edit_profile(
    me: Principal,
    address: str,
    *,
    name: str | None = None,
    email: str | None = None,
    new_password: str | None = None,
    password: str | None = None,
) -> User:
    """Change what is not None of one's own profile. A new password signs every other device out.

    Who changes what they sign in with must know the present `password`: a device that was left open is not enough.
    `address` is the network address of the request. Raises Invalid (codes `password_required`, `account_exists` and
    those of the checks), LoginRefused, TooMany.
    """
    user = db.session.get_one(User, me.user_id)
    new_email = None if email is None else rules.check_email(email)
    if new_email == user.email:
        new_email = None
    if new_email is not None or new_password is not None:
        if password is None:
            message = "Send currentPassword to change your email address or password."
            raise Invalid(message, code="password_required", field="currentPassword")
        refusal = LoginRefused("The current password is not right.", field="currentPassword")
        _check_password(user, password, address, account=_account(user, ""), refusal=refusal)
    if name is not None:
        user.name = rules.check_name(name)
    if new_email is not None:
        with constraint_errors({"uq_users_email_key": _address_taken()}):
            user.email, user.email_key = new_email, rules.email_key(new_email)
    if new_password is not None:
        rules.check_password(new_password, username=user.username, email=user.email)
        user.password_hash = _hasher.hash(new_password)
        revoke_all(me.user_id, keep_token_id=me.token_id)
    db.session.flush()
    return user


def login(name: str, password: str, device: Device) -> tuple[User, str]:
    """The person with this name and password, and a new token for this device.

    Who is within the grace period of a deletion comes back by this. Raises LoginRefused (the same for an unknown
    name and a wrong password, in the same time; code `account_suspended` for the suspended) and TooMany.
    """
    user = queries.by_login(name)
    _check_password(user, password, device.address, account=_account(user, name), refusal=LoginRefused())
    if user is not None and rules.is_suspended(user.suspended_until, clock.now()):
        raise LoginRefused("This account is suspended.", code="account_suspended")
    if user is None or not _comes_back(user):
        raise LoginRefused
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    if user.role not in rules.SELF_CHOSEN:
        audit.record("accounts.staff_signed_in", actor=user.id, data={"role": user.role})
    return user, issue_token(user, device)


def _comes_back(user: User) -> bool:
    """Withdraw a deletion that was asked for. False when it has just been carried out."""
    if user.deletion_requested_at is None:
        return True
    back = sa.update(User).where(User.id == user.id).values(deletion_requested_at=None).returning(User.id)
    return db.session.scalar(back) is not None


def _check_password(user: User | None, password: str, address: str, *, account: str, refusal: LoginRefused) -> None:
    """Raises `refusal` for a wrong password, and TooMany when too many came before it.

    Tries at one account queue behind one another, so that guesses cannot overtake the count of failures.
    """
    advisory_lock(_LOGIN_LOCKS, int.from_bytes(hashlib.sha256(account.encode()).digest()[:4], signed=True))
    place = place_of(address)
    keys = {"pair": f"pair:{account}:{place}", "account": f"account:{account}", "address": f"address:{place}"}
    _check_throttle(keys, familiar=queries.was_signed_in_from(user.id if user else 0, address))
    if not _password_fits(user, password):
        _count_failure(keys.values())
        raise refusal
    db.session.execute(sa.delete(LoginFailures).where(LoginFailures.key.in_([keys["pair"], keys["account"]])))


def _account(user: User | None, name: str) -> str:
    """What failures are counted under: the same for every way of naming an account."""
    return str(user.id) if user else hashlib.sha256(rules.username_key(name).encode()).hexdigest()[:32]


def _password_fits(user: User | None, password: str) -> bool:
    """An unknown name costs as much time as a known one, so that names cannot be tried out."""
    try:
        return _hasher.verify(user.password_hash if user else _nobodys_hash(), password) and user is not None
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_hex(16))


def _check_throttle(keys: Mapping[str, str], *, familiar: bool) -> None:
    """Where a person has signed in before, only failures of this account from this very address count."""
    free = config.current().login_free_failures
    shared = (free * rules.SHARED_FACTOR, rules.SHARED_WAIT)
    patience = {keys["pair"]: (free, rules.LONGEST_WAIT)}
    if not familiar:
        patience |= {keys["account"]: shared, keys["address"]: shared}
    rows = db.session.scalars(sa.select(LoginFailures).where(LoginFailures.key.in_(patience)))
    now, wait = clock.now(), timedelta()
    for row in rows:
        allowed, longest = patience[row.key]
        wait = max(wait, rules.login_wait(row.failures, row.last_failed_at, now, free=allowed, longest=longest))
    if wait:
        seconds = math.ceil(wait.total_seconds())
        sentence = f"Too many wrong logins. Please wait {seconds} second{'' if seconds == 1 else 's'}."
        raise TooMany(sentence, code="login_throttled", retry_after=seconds)


def _count_failure(keys: Iterable[str]) -> None:
    now = clock.now()
    for key in sorted(keys):
        statement = insert(LoginFailures).values(key=key, failures=1, last_failed_at=now)
        forgotten = LoginFailures.last_failed_at < now - rules.FORGET_FAILURES_AFTER
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=[LoginFailures.key],
                set_={
                    "failures": sa.case((forgotten, 1), else_=LoginFailures.failures + 1),
                    "last_failed_at": now,
                },
            )
        )


def issue_token(user: User, device: Device) -> str:
    """A new token of 256 random bits (64 hexadecimal digits); only its hash is kept."""
    secret = secrets.token_hex(32)
    now = clock.now()
    db.session.add(
        Token(
            user_id=user.id,
            token_hash=_token_hash(secret),
            device=device.name[:200],
            address=device.address,
            created_at=now,
            last_used_at=now,
            expires_at=now + timedelta(days=config.current().token_days),
        )
    )
    db.session.flush()
    return secret


def _token_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def authenticate(secret: str) -> Principal:
    """Who the token speaks for; using it pushes its expiry out (noted at most once an hour).

    Raises Unauthenticated (code `invalid_token`).
    """
    now = clock.now()
    row = db.session.execute(
        sa.select(
            Token.id, Token.last_used_at, User.id.label("user_id"), User.username, User.role, User.suspended_until
        )
        .join(User, User.id == Token.user_id)
        .where(Token.token_hash == _token_hash(secret), Token.expires_at > now, User.deletion_requested_at.is_(None))
    ).one_or_none()
    if row is None:
        raise Unauthenticated("Invalid token.", code="invalid_token")
    if rules.is_suspended(row.suspended_until, now):
        raise Unauthenticated("This account is suspended.", code="account_suspended")
    if now - row.last_used_at > _TOUCH_EVERY:
        expires = now + timedelta(days=config.current().token_days)
        db.session.execute(sa.update(Token).where(Token.id == row.id).values(last_used_at=now, expires_at=expires))
    return Principal(row.user_id, row.username, row.role, row.id)


def revoke(user_id: int, token_id: int) -> None:
    """Sign one device out. Raises NotFound (code `device_not_found`)."""
    gone = sa.delete(Token).where(Token.id == token_id, Token.user_id == user_id).returning(Token.id)
    if db.session.scalar(gone) is None:
        raise NotFound("This device is not signed in.", code="device_not_found")


def sign_out(principal: Principal) -> None:
    """Sign the device out that speaks; one that was signed out meanwhile stays so."""
    db.session.execute(sa.delete(Token).where(Token.id == principal.token_id))


def revoke_all(user_id: int, *, keep_token_id: int | None = None) -> None:
    """Sign every device out, but for one."""
    db.session.execute(sa.delete(Token).where(Token.user_id == user_id, Token.id != (keep_token_id or 0)))


def change_password(me: Principal, old: str, new: str, address: str) -> None:
    """Set a new password and sign every other device out. Raises LoginRefused, TooMany or Invalid."""
    user = db.session.get_one(User, me.user_id)
    refusal = LoginRefused("The old password is not right.")
    _check_password(user, old, address, account=_account(user, ""), refusal=refusal)
    rules.check_password(new, username=user.username, email=user.email)
    user.password_hash = _hasher.hash(new)
    revoke_all(me.user_id, keep_token_id=me.token_id)


def set_role(name: str, role: Role, *, by: int | None = None) -> User:
    """Give a person another role; `by` is None on the command line. Raises NotFound (code `user_not_found`)."""
    user = queries.by_login(name)
    if user is None:
        raise queries.user_not_found()
    before, user.role = Role(user.role), role.value
    db.session.flush()
    if before is not role:
        _note_role(user, before, by)
    return user


def _note_role(user: User, before: Role, by: int | None) -> None:
    data = {"person": audit.pseudonym(user.id), "before": before.value, "role": user.role}
    audit.record("accounts.role_changed", actor=by, data=data)


def became_creator(user_id: int) -> None:
    """Anyone who posts is a creator; staff keep their role."""
    db.session.execute(
        sa.update(User).where(User.id == user_id, User.role == Role.CONSUMER.value).values(role=Role.CREATOR.value)
    )


def request_deletion(me: Principal, password: str | None, address: str) -> None:
    """Leave: hidden and signed out everywhere at once, removed after the grace period unless they sign in again.

    The phone app sends no password; when one is sent it must be right. Raises LoginRefused, TooMany.
    """
    user = db.session.get_one(User, me.user_id)
    if password is not None:
        refusal = LoginRefused("The password is not right.")
        _check_password(user, password, address, account=_account(user, ""), refusal=refusal)
    user.deletion_requested_at = clock.now()
    revoke_all(me.user_id)


def lock_due_for_deletion(user_id: int) -> User | None:
    """The person, locked, if their grace period is over and they have not come back; else None."""
    user = db.session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None or user.deletion_requested_at is None:
        return None
    due = rules.deletion_due(user.deletion_requested_at, config.current().deletion_grace_days)
    return user if due <= clock.now() else None


def erase(user: User) -> None:
    """Remove the person's row; what hangs on it in this domain goes along."""
    db.session.delete(user)
    db.session.flush()


def tidy() -> int:
    """Forget tokens that have expired and failures that count no more. Returns how many rows there were."""
    now = clock.now()
    stale = (
        sa.delete(Token).where(Token.expires_at <= now),
        sa.delete(LoginFailures).where(LoginFailures.last_failed_at < now - rules.FORGET_FAILURES_AFTER),
    )
    return sum(db.session.execute(statement).rowcount for statement in stale)  # type: ignore[attr-defined]
