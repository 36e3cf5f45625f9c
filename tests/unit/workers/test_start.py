"""What a worker loads before it has anything to do."""

from __future__ import annotations

import subprocess
import sys

import config

START = """
import sys
from popoff.adapters import jobs
from workers.base import load
for name, job in jobs.JOBS.items():
    if job.queue != "default":
        load(name)
print(*sorted({"numpy", "pandas", "sklearn", "xgboost"} & set(sys.modules)))
"""


def test_a_worker_of_films_starts_without_what_only_models_need() -> None:
    found = subprocess.run(
        [sys.executable, "-c", START], cwd=config.PROJECT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["numpy"]
