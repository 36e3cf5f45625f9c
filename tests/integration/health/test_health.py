"""/healthz, /readyz and /metrics: what they say when all is well, and with each part down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from rq.utils import utcformat
from sqlalchemy.exc import OperationalError

import config
from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.web import metrics
from popoff.web.transaction import transaction


def register_worker(*queues: str, silent: timedelta = timedelta()) -> None:
    """What a worker process writes when it starts."""
    key = f"rq:worker:test-{'-'.join(queues)}"
    beat = utcformat(clock.now() - silent)
    jobs.connection().hset(key, mapping={"last_heartbeat": beat, "queues": ",".join(queues)})
    jobs.connection().sadd("rq:workers", key)


@pytest.fixture
def web(platform_db: Flask) -> Iterator[FlaskClient]:
    with platform_db.app_context():
        yield platform_db.test_client()


def ready(web: FlaskClient) -> tuple[int, dict[str, Any]]:
    answer = web.get("/readyz")
    return answer.status_code, answer.json


def test_a_platform_with_all_its_parts_is_ready(web: FlaskClient) -> None:
    for queue in jobs.QUEUES:
        register_worker(queue)
    parts = dict.fromkeys(["database", "redis", "store", "workers"], "ok")
    assert ready(web) == (200, {"ready": True, **parts})


def test_one_worker_may_serve_all_queues(web: FlaskClient) -> None:
    register_worker(*jobs.QUEUES)
    assert ready(web)[0] == 200


def test_a_queue_without_a_worker_is_named(web: FlaskClient) -> None:
    register_worker("media", "films")
    status, parts = ready(web)
    assert (status, parts["ready"]) == (503, False)
    assert parts["workers"] == "unavailable (no worker serves default)"


def test_a_worker_that_fell_silent_does_not_count(web: FlaskClient) -> None:
    register_worker(*jobs.QUEUES, silent=timedelta(seconds=30))
    assert ready(web)[1]["workers"] == "unavailable (no worker serves default, films, media)"


def test_what_another_program_left_among_the_workers_does_not_count(web: FlaskClient) -> None:
    register_worker(*jobs.QUEUES)
    jobs.connection().sadd("rq:workers", "rq:worker:expired")
    jobs.connection().hset("rq:worker:half", "queues", "media")
    jobs.connection().sadd("rq:workers", "rq:worker:half")
    assert ready(web)[0] == 200


def test_redis_away_is_said_for_redis_and_workers_alone(web: FlaskClient) -> None:
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        status, parts = ready(web)
    assert status == 503
    assert parts == {
        "ready": False,
        "database": "ok",
        "redis": "unavailable (ConnectionError)",
        "store": "ok",
        "workers": "unavailable (ConnectionError)",
    }


def test_a_store_that_cannot_be_written_is_said(web: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with config.override(home=tmp_path / "file"):
        status, parts = ready(web)
    assert status == 503
    assert parts["store"].startswith("unavailable (")


@pytest.fixture
def database_away(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("connection refused"))

    monkeypatch.setattr(sa.Engine, "connect", refuse)


def test_a_database_that_is_away_is_said(web: FlaskClient, database_away: None) -> None:
    status, parts = ready(web)
    assert (status, parts["database"]) == (503, "unavailable (OperationalError)")


def test_the_process_is_alive_whatever_is_down(web: FlaskClient, database_away: None) -> None:
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        answer = web.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def families(web: FlaskClient) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """/metrics as Prometheus reads it: family, labels, value."""
    answer = web.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    return {
        family.name: {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(answer.text)
    }


def test_requests_are_counted_by_route_not_by_path(web: FlaskClient) -> None:
    for post_id in (1, 2, 3):
        web.get(f"/api/no-such-route/{post_id}")
    web.get("/healthz")
    counted = families(web)["popoff_http_requests"]
    assert counted[("method", "GET"), ("route", "/healthz"), ("status", "200")] >= 1
    assert counted[("method", "GET"), ("route", "none"), ("status", "404")] >= 3
    assert not [labels for labels in counted if "no-such-route" in str(labels)]


def test_the_time_of_requests_is_measured(web: FlaskClient) -> None:
    web.get("/healthz")
    buckets = families(web)["popoff_http_request_seconds"]
    assert buckets[("le", "+Inf"), ("route", "/healthz")] >= 1


def test_waiting_and_dead_jobs_are_counted(web: FlaskClient) -> None:
    with transaction():
        for _ in range(3):
            jobs.stage("feed.trending")
        for state in ("dead", "done"):
            jobs.stage("jobs.tidy")
            db.session.execute(sa.update(Job).where(Job.name == "jobs.tidy", Job.state == "ready").values(state=state))
    with clock.shifted(timedelta(minutes=1)):
        found = families(web)
    assert found["popoff_jobs"] == {
        (("name", "feed.trending"), ("state", "ready")): 3,
        (("name", "jobs.tidy"), ("state", "dead")): 1,
    }
    assert found["popoff_oldest_job_seconds"][()] == pytest.approx(60, abs=5)
    assert found["popoff_database_up"][()] == 1


def test_a_platform_without_jobs_has_no_oldest_one(web: FlaskClient) -> None:
    assert families(web)["popoff_oldest_job_seconds"][()] == 0


def test_a_job_that_is_due_later_is_not_late(web: FlaskClient) -> None:
    with transaction():
        jobs.stage("feed.trending", delay=timedelta(hours=1))
    assert families(web)["popoff_oldest_job_seconds"][()] == 0


def test_requests_can_be_watched_while_the_database_is_away(web: FlaskClient, database_away: None) -> None:
    found = families(web)
    assert found["popoff_database_up"][()] == 0
    assert "popoff_http_requests" in found


def test_numbers_of_several_processes_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live platform proves the rest; here only that the shared folder is read when there is one."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert list(metrics._of_processes().collect()) == []
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    assert list(metrics._of_processes().collect())
