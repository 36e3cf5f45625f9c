"""Which gifts are kept out of payouts until somebody decides about them.

Rewards stands above integrity and asks it; nobody tells rewards. A gift's number is that of its ledger transfer.
"""

from __future__ import annotations

from collections.abc import Collection


def flagged() -> Collection[int]:
    """The ids of all gifts with an open or a confirmed flag; a cleared one is not among them."""
    return frozenset()
