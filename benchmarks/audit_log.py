"""A made-up audit log for benchmarks: entries about gifts in their real form, by COPY, and chained by the sequencer."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta

import psycopg

from popoff.audit import rules, service
from popoff.kernel import clock
from popoff.web.transaction import transaction

ACTORS = 1000
"""People who do all of it."""

_COPY = "COPY audit_entries (public_id, time, action, actor, subject, amount, data) FROM STDIN"
_CHAINED_AT_A_TIME = 10_000


def fill(connection: psycopg.Connection, entries: int) -> None:
    """Add so many entries, one a second until now, give them their places in the chain, and sign a checkpoint.

    In the context of the application over this database. The same entries each time.
    """
    dice = random.Random(1)
    actors = [dice.randbytes(16).hex() for _ in range(ACTORS)]
    first = clock.now() - timedelta(seconds=entries)
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for number in range(entries):
            moment = first + timedelta(seconds=number)
            actor, creator = dice.choices(actors, k=2)
            subject = hashlib.sha256(b"%d" % number).hexdigest()[:24]
            data = rules.check_data({"creator": creator})
            public_id = rules.public_id(moment, dice.randbytes(10))
            copy.write_row((public_id, moment, "send_gift", actor, subject, 10 + number % 990, data))
    connection.commit()
    while _chain():
        pass
    with transaction():
        service.checkpoint()


def _chain() -> int:
    with transaction():
        return service.chain_committed(_CHAINED_AT_A_TIME)
