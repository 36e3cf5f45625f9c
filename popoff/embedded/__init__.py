"""The embedded platform: a PostgreSQL and a Redis (Valkey) of our own, for whoever has set no others.

Everything lives under the data folder (`Settings.home`):

    postgres/   cluster (the database), password, server.log
    redis/      data (append-only file), password, server.log
    run/        runner.lock (who uses this folder), services.json (the addresses, while it runs)

Both servers listen on loopback only, on ports that are free at the start, and ask for a password. They get their
orders from the command line at each start, and die with the process that started them. Started as root they run as
an unprivileged user, because PostgreSQL refuses root: as the owner of the data, else the owner of the data folder,
else `nobody`. Such a server gets its folder as an open descriptor (`/proc/self/fd/N`), so parents that are closed to
it, like /root, do not matter; programs it cannot reach are copied to where it can.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from config import Settings
from popoff.embedded import host
from popoff.embedded.host import StartFailed
from popoff.embedded.servers import Postgres, Redis
from popoff.embedded.service import Service

__all__ = ["Postgres", "Redis", "Service", "Services", "StartFailed", "platform", "start_postgres", "start_redis"]


@dataclass(frozen=True)
class Services:
    """Where the platform answers.

    `embedded` are the servers that are ours; `lock_fd` is the descriptor that marks us as the runner (-1: we are not).
    """

    database_url: str
    redis_url: str
    embedded: Sequence[Service] = ()
    lock_fd: int = -1

    def revive(self) -> None:
        """Start again the embedded servers that died by themselves."""
        for service in self.embedded:
            service.revive()


@contextlib.contextmanager
def platform(settings: Settings, *, fast: bool = False, join: bool = False) -> Iterator[Services]:
    """PostgreSQL and Redis for the length of a `with` block, each embedded when its setting is empty.

    One runner at a time has a data folder. With `join`, the services of a runner that already has it are used
    (for commands given while PopOff runs); without, a second runner is refused. Raises StartFailed.
    """
    if join and settings.database_url and settings.redis_url:
        yield Services(settings.database_url, settings.redis_url)
        return
    addresses = settings.home / "run" / "services.json"
    with contextlib.ExitStack() as stack:
        with host.in_words(settings.home):
            host.make_folder(settings.home)
            host.make_folder(settings.home / "run")
            try:
                lock_fd = stack.enter_context(host.only_runner(settings.home))
            except StartFailed:
                if not join or not addresses.exists():
                    raise
                running = json.loads(addresses.read_text())
                lock_fd = -1
            else:
                addresses.unlink(missing_ok=True)
        if lock_fd < 0:
            yield Services(settings.database_url or running["database"], settings.redis_url or running["redis"])
            return
        embedded: list[Service] = []
        for start, given in ((start_postgres, settings.database_url), (start_redis, settings.redis_url)):
            if not given:
                embedded.append(start(settings.home, fast=fast))
                stack.callback(embedded[-1].stop)
        urls = {service.setting: service.url for service in embedded}
        database_url = settings.database_url or urls["DATABASE_URL"]
        redis_url = settings.redis_url or urls["REDIS_URL"]
        with host.in_words(settings.home):
            host.write_private(addresses, json.dumps({"database": database_url, "redis": redis_url}))
        stack.callback(addresses.unlink, missing_ok=True)
        yield Services(database_url, redis_url, embedded, lock_fd)


def start_postgres(home: Path, *, fast: bool = False) -> Postgres:
    """A running PostgreSQL with its data in `home/postgres`; `fast` trades durability for speed (tests).

    Takes no lock: the caller sees to it that nobody else uses the folder. Raises StartFailed.
    """
    service = Postgres(home, fast=fast)
    service.start()
    return service


def start_redis(home: Path, *, fast: bool = False) -> Redis:
    """A running Redis with its data in `home/redis`; `fast` keeps nothing on disk. See `start_postgres`."""
    service = Redis(home, fast=fast)
    service.start()
    return service
