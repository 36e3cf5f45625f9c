"""Every model, in one import: what migrations compare the database with."""

from popoff.accounts import models as accounts
from popoff.adapters import jobs
from popoff.audit import models as audit
from popoff.feed import models as feed
from popoff.integrity import models as integrity
from popoff.kernel.db import metadata
from popoff.ledger import models as ledger
from popoff.media import models as media
from popoff.moderation import models as moderation
from popoff.rewards import models as rewards
from popoff.scoring import models as scoring
from popoff.social import models as social

__all__ = [
    "accounts",
    "audit",
    "feed",
    "integrity",
    "jobs",
    "ledger",
    "media",
    "metadata",
    "moderation",
    "rewards",
    "scoring",
    "social",
]
