"""The outbox in tests: which jobs are there, and running those that are due in this process."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from workers import base


def jobs_of(name: str, **args: Any) -> list[Job]:
    """Jobs of this name (and with these arguments) in the order in which they were staged, as they are now."""
    return _read(sa.select(Job).where(Job.name == name, Job.args.contains(args)))


ON_DEMAND = ("scoring.film",)
"""Jobs that take seconds, and of which most tests know nothing: they run where they are named."""


def run_due(*names: str) -> list[str]:
    """Run what is due (of these names, or all but ON_DEMAND) until nothing is; the names in the order they ran."""
    ran: list[str] = []
    while True:
        due = sa.select(Job).where(Job.state == "ready", Job.run_after <= clock.now())
        found = _read(due.where(Job.name.in_(names) if names else Job.name.not_in(ON_DEMAND)))
        if not found:
            return ran
        for job in found:
            base.perform(job.id)
            ran.append(job.name)


def _read(statement: sa.Select[Job]) -> list[Job]:
    found = db.session.scalars(statement.order_by(Job.id).execution_options(populate_existing=True)).all()
    db.session.commit()  # what a job commits next must not hang on this transaction
    return list(found)
