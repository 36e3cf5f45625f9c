"""Two rankers on trial at the same time: one experiment runs at most, staff start and stop it, and read its results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from models_ml.registry import Refused
from popoff.audit import service as audit
from popoff.feed import rankers, trials
from popoff.feed.models import Experiment
from popoff.feed.trials import COLUMNS, Results
from popoff.kernel import clock
from popoff.kernel.db import constraint_errors, db, execute_sql
from popoff.kernel.errors import Conflict, Invalid, NotFound

STARTED, STOPPED = "feed.experiment_started", "feed.experiment_stopped"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""What the audit log takes for the id of something."""


class Running(NamedTuple):
    """The experiment that runs."""

    name: str
    challenger: str
    share: float

    def ranker_for(self, user_id: int) -> str:
        """The version on trial for those who were drawn for it; empty for all others: the one in use is theirs."""
        return self.challenger if trials.is_challenged(self.name, self.share, user_id) else ""


def running() -> Running | None:
    """The experiment that runs, if one does: a read of one row by an index that has no other."""
    found = execute_sql("SELECT name, challenger, share FROM feed_experiments WHERE ended_at IS NULL", {}).one_or_none()
    return None if found is None else Running(found.name, found.challenger, found.share)


def start(name: str, challenger: str, share: float, *, by: int | None) -> Experiment:
    """Show a `share` of all people what another version of the ranker puts first; `by` is None on the command line.

    Raises Invalid (codes `invalid_name`, `invalid_share`, `ranker_in_use`, `unknown_ranker`) and Conflict
    (`experiment_exists`, `experiment_running`).
    """
    if not _NAME.fullmatch(name):
        raise Invalid("A name is of small letters, digits and _.- only, at most 64.", code="invalid_name", field="name")
    if not 0 < share < 1:
        raise Invalid("The share lies between 0 and 1.", code="invalid_share", field="share")
    in_use = rankers.in_use()
    if challenger == in_use:
        raise Invalid("This ranker is in use.", code="ranker_in_use", field="challenger")
    try:
        rankers.load(challenger)
    except Refused as refusal:
        raise Invalid(str(refusal), code="unknown_ranker", field="challenger") from None
    exists = Conflict(f"There was an experiment {name} before: results of two do not mix.", code="experiment_exists")
    other = Conflict("Another experiment is running. Stop it first.", code="experiment_running")
    made = Experiment(name=name, challenger=challenger, share=share, started_at=clock.now())
    with constraint_errors({"pk_feed_experiments": exists, "uq_feed_experiments_running": other}):
        db.session.add(made)
    data = {"challenger": challenger, "in_use": in_use, "share": f"{share:g}"}
    audit.record(STARTED, actor=by, subject=name, data=data)
    return made


def stop(name: str, *, by: int | None) -> Experiment:
    """Everybody has the ranker in use again. Raises NotFound, and Conflict (code `experiment_stopped`)."""
    experiment = by_name(name, lock=True)
    if experiment.ended_at is not None:
        raise Conflict("This experiment was stopped before.", code="experiment_stopped")
    experiment.ended_at = clock.now()
    db.session.flush()
    audit.record(STOPPED, actor=by, subject=name, data={"challenger": experiment.challenger})
    return experiment


def by_name(name: str, *, lock: bool = False) -> Experiment:
    """Raises NotFound (code `experiment_not_found`)."""
    found = db.session.get(Experiment, name, with_for_update=lock, populate_existing=True)
    if found is None:
        raise NotFound(f"There is no experiment {name}.", code="experiment_not_found")
    return found


def every() -> Sequence[Experiment]:
    """All experiments, the latest first."""
    return db.session.scalars(sa.select(Experiment).order_by(Experiment.started_at.desc())).all()


def results(experiment: Experiment) -> Results:
    """What its numbers say up to its end, or up to now."""
    rows = _sums(experiment.challenger, experiment.started_at, experiment.ended_at or clock.now())
    columns = {name: np.array([row[place] for row in rows], dtype=np.float64) for place, name in enumerate(COLUMNS)}
    return trials.compare(experiment.name, experiment.share, columns)


PAUSE = timedelta(minutes=30)
"""Who asks for no page for so long begins a new session with the next one, whatever cursor their app sends, if any."""

# A post counts once a person: the first impression of it that was seen, with what came of it before the end.
_SUMS = sa.text("""
WITH shown AS (
    SELECT user_id, post_id, served_at, ranker,
           served_at - lag(served_at) OVER (PARTITION BY user_id ORDER BY served_at) < :pause IS NOT TRUE AS begins,
           seen_at IS NOT NULL AND row_number() OVER (
               PARTITION BY user_id, post_id, seen_at IS NULL ORDER BY served_at, page_id, position) = 1 AS seen
      FROM impressions WHERE served_at >= :since AND served_at < :until
), met AS (
    SELECT shown.*, posts.duration_ms, coalesce(views.watch_ms, 0) AS watch_ms,
           likes.post_id IS NOT NULL AS liked, shares.post_id IS NOT NULL AS shared,
           EXISTS (SELECT FROM comments WHERE comments.post_id = shown.post_id AND comments.user_id = shown.user_id
                      AND comments.created_at >= served_at AND comments.created_at < :until) AS commented,
           dismissals.post_id IS NOT NULL OR reports.post_id IS NOT NULL AS hidden
      FROM shown
      LEFT JOIN posts ON posts.id = shown.post_id
      LEFT JOIN views ON views.user_id = shown.user_id AND views.post_id = shown.post_id
                     AND first_at >= served_at AND first_at < :until
      LEFT JOIN likes ON likes.user_id = shown.user_id AND likes.post_id = shown.post_id
                     AND likes.created_at >= served_at AND likes.created_at < :until
      LEFT JOIN shares ON shares.user_id = shown.user_id AND shares.post_id = shown.post_id
                      AND shares.created_at >= served_at AND shares.created_at < :until
      LEFT JOIN dismissals ON dismissals.user_id = shown.user_id AND dismissals.post_id = shown.post_id
                          AND dismissals.created_at >= served_at AND dismissals.created_at < :until
      LEFT JOIN reports ON reports.reporter_id = shown.user_id AND reports.post_id = shown.post_id
                       AND reports.created_at >= served_at AND reports.created_at < :until
     WHERE seen
)
SELECT served.*, coalesce(done.seen, 0), coalesce(timed, 0), coalesce(watch_s, 0), coalesce(parts_watched, 0),
       coalesce(likes, 0), coalesce(comments, 0), coalesce(shares, 0), coalesce(hides, 0)
  FROM (SELECT user_id, count(*) FILTER (WHERE begins) AS sessions, count(*) AS served,
               count(*) FILTER (WHERE ranker = :challenger) AS by_challenger
          FROM shown GROUP BY user_id) AS served
  LEFT JOIN (SELECT user_id, count(*) AS seen, count(*) FILTER (WHERE duration_ms > 0) AS timed,
                    sum(watch_ms) / 1000.0 AS watch_s,
                    sum(least(1.0, watch_ms::float8 / nullif(duration_ms, 0))) AS parts_watched,
                    count(*) FILTER (WHERE liked) AS likes, count(*) FILTER (WHERE commented) AS comments,
                    count(*) FILTER (WHERE shared) AS shares, count(*) FILTER (WHERE hidden) AS hides
               FROM met GROUP BY user_id) AS done ON done.user_id = served.user_id
 ORDER BY served.user_id
""")


def _sums(challenger: str, since: datetime, until: datetime) -> Sequence[Sequence[Any]]:
    """COLUMNS of each person who was shown anything between."""
    return db.session.execute(_SUMS, {"challenger": challenger, "since": since, "until": until, "pause": PAUSE}).all()
