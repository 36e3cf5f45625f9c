"""Which gifts are kept out of payouts until somebody decides about them.

Rewards stands above integrity and asks it; nobody tells rewards.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from popoff.integrity import queries as integrity
from popoff.kernel.db import db
from popoff.rewards.models import Gift


def flagged() -> Collection[int]:
    """The ids of all gifts with an open or a confirmed flag; a cleared one is not among them."""
    names = sorted(integrity.flagged_gifts())
    if not names:
        return frozenset()
    return frozenset(
        db.session.scalars(sa.select(Gift.id).where(Gift.public_id == sa.any_(sa.cast(names, sa.ARRAY(sa.Text)))))
    )
