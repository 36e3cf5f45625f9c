"""Prometheus metrics of the web side; gauges about the platform are read when asked for."""

from __future__ import annotations

import os

import sqlalchemy as sa
from flask import Request, Response
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from sqlalchemy.exc import SQLAlchemyError

from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post

_requests = Counter("popoff_http_requests_total", "Requests answered", ["route", "method", "status"])
_seconds = Histogram(
    "popoff_http_request_seconds",
    "Time to answer a request",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def observe(request: Request, response: Response, seconds: float) -> None:
    """Count one answered request under its route (never under its path: ids would make endless series)."""
    route = request.url_rule.rule if request.url_rule else "none"
    _requests.labels(route, request.method, response.status_code).inc()
    _seconds.labels(route).observe(seconds)


def render() -> bytes:
    """Everything in the text format of Prometheus, added up over the processes of this host."""
    platform = CollectorRegistry()
    _platform_gauges(platform)
    return generate_latest(_of_processes()) + generate_latest(platform)


def _of_processes() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry


def _platform_gauges(registry: CollectorRegistry) -> None:
    """What the database knows; while it is away, only that it is."""
    up = Gauge("popoff_database_up", "Whether the database answers", registry=registry)
    try:
        with db.engine.connect() as connection:
            _jobs_and_posts(connection, registry)
    except SQLAlchemyError:
        return
    up.set(1)


def _jobs_and_posts(connection: sa.Connection, registry: CollectorRegistry) -> None:
    jobs = Gauge("popoff_jobs", "Jobs by name and state", ["name", "state"], registry=registry)
    counted = sa.select(Job.name, Job.state, sa.func.count()).where(Job.state != "done").group_by(Job.name, Job.state)
    for name, state, count in connection.execute(counted):
        jobs.labels(name, state).set(count)
    oldest = connection.scalar(sa.select(sa.func.min(Job.run_after)).where(Job.state == "ready"))
    age = (clock.now() - oldest).total_seconds() if oldest else 0.0
    Gauge("popoff_oldest_job_seconds", "Age of the oldest due job", registry=registry).set(max(age, 0.0))
    posts = Gauge("popoff_posts", "Posts by stage", ["stage"], registry=registry)
    for stage, count in connection.execute(sa.select(Post.stage, sa.func.count()).group_by(Post.stage)):
        posts.labels(stage).set(count)
