"""Jobs that only tests have, and what they did."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import sqlalchemy as sa

from popoff.adapters.jobs import JOBS, JobSpec
from popoff.kernel.db import db
from workers.base import transaction

HERE = "tests.integration.jobs.tasks"
TEST_JOBS = {
    "test.note": JobSpec(f"{HERE}:note"),
    "test.fail": JobSpec(f"{HERE}:fail"),
    "test.count": JobSpec(f"{HERE}:count"),
    "test.wait": JobSpec(f"{HERE}:wait", queue="media"),
    "test.soon": JobSpec(f"{HERE}:count", queue="media"),
    "test.later": JobSpec(f"{HERE}:count", queue="films"),
    "test.too_slow": JobSpec(f"{HERE}:wait", timeout=1),
    "test.few_seconds": JobSpec(f"{HERE}:few_seconds"),
    "test.stop_worker": JobSpec(f"{HERE}:stop_worker"),
    "test.gone": JobSpec("tests.integration.jobs.no_such_module:run"),
}

calls: list[dict[str, Any]] = []
"""The arguments of every call in this process."""
given_up_on: list[tuple[str, dict[str, Any]]] = []
during: list[Any] = []
"""Functions that `note` calls while it runs."""


def install() -> None:
    """Let a worker process know them."""
    JOBS.update({name: spec for name, spec in TEST_JOBS.items() if name != "test.gone"})


def forget() -> None:
    calls.clear()
    given_up_on.clear()
    during.clear()


def note(**args: Any) -> None:
    calls.append(args)
    for function in during:
        function()


def fail(**args: Any) -> None:
    calls.append(args)
    raise RuntimeError("no luck\nand a second line")


def given_up(error: str, **args: Any) -> None:
    given_up_on.append((error, args))
    db.session.execute(sa.text("CREATE TABLE given_up (at_last int)"))


def count(number: int) -> None:
    """Leave a row in the table `runs`."""
    with transaction():
        db.session.execute(sa.text("INSERT INTO runs VALUES (:number)"), {"number": number})


def wait(number: int) -> None:
    """Take very long the first time, and no time afterwards."""
    count(number)
    if db.session.scalar(sa.text("SELECT count(*) FROM runs")) == 1:
        db.session.rollback()
        time.sleep(600)


def few_seconds(number: int) -> None:
    count(number)
    time.sleep(2)


def stop_worker(number: int) -> None:
    """Tell the worker of this job to stop, and wait for what it does about it."""
    count(number)
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(600)
