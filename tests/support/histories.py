"""How long random histories are: short in every test run, and as long as SOAK says in `make soak`."""

from __future__ import annotations

import os

import hypothesis
from hypothesis import HealthCheck

STEPS = 50
SOAK = int(os.environ.get("SOAK", "1"))


def settings(examples: int) -> hypothesis.settings:
    """`examples` histories of STEPS steps each, SOAK times."""
    return hypothesis.settings(
        max_examples=examples * SOAK,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
