"""People as the creator economy shows them: of oneself all but secrets, of others what everybody may know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from popoff.accounts.models import User
from popoff.kernel import money
from popoff.kernel.clock import rfc3339
from popoff.ledger import queries as ledger
from popoff.ledger.rules import Account, Kind
from popoff.scoring import queries as scoring


def profiles(users: Sequence[User]) -> list[dict[str, Any]]:
    """What everybody may know of these people."""
    averages = scoring.averages([user.id for user in users])
    return [
        {
            "id": str(user.public_id),
            "name": user.name or user.username,
            "username": user.username,
            "role": user.role.upper(),
            "averageContentEngagement": averages[user.id][0],
            "averageContentQuality": averages[user.id][1],
            "createdAt": rfc3339(user.created_at),
        }
        for user in users
    ]


def accounts(users: Sequence[User]) -> list[dict[str, Any]]:
    """What an admin sees of these people: no money, no secrets."""
    return [
        profile | {"email": user.email, "updatedAt": rfc3339(user.updated_at)}
        for user, profile in zip(users, profiles(users), strict=True)
    ]


def own(user: User) -> dict[str, Any]:
    """What somebody sees of themselves."""
    wallet = ledger.balance(Account(Kind.WALLET, user.id))
    return accounts([user])[0] | {"walletBalance": money.to_json(wallet.available)}
