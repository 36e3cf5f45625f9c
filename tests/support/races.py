"""Many requests at the same moment, over real commits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
