"""Many requests at the same moment, over real commits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa
from flask import Flask

from popoff.kernel.db import db
from popoff.kernel.errors import DomainError
from popoff.web.transaction import transaction

Result = TypeVar("Result")


def at_once(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Start every call at the same moment, each in a thread of its own; their results in order.

    Raises what a call raised.
    """
    start = threading.Barrier(len(calls), timeout=30)

    def run(call: Callable[[], Result]) -> Result:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result(timeout=60) for future in [threads.submit(run, call) for call in calls]]


def together(app: Flask, acts: Sequence[Callable[[], object]]) -> list[object]:
    """Each act in a thread and a transaction of its own, all begun at once; what they answered or were refused for."""
    begin = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        with app.app_context():
            db.session.execute(sa.text("SELECT 1"))
            db.session.rollback()
            begin.wait(60)
            try:
                with transaction():
                    return act()
            except DomainError as refusal:
                return refusal.error_code

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))
