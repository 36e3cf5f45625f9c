"""Writers and sequencers at once, over real commits."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from popoff.audit import inspection, queries, service
from popoff.audit.verify import verify_consistency
from popoff.kernel.db import db
from tests.integration.audit.conftest import chain_all, fill, record
from workers import audit, base
from workers.base import transaction

WRITERS, ROUNDS = 16, 15


class Undone(Exception):
    pass


def write(app: Flask, writer: int) -> tuple[set[str], set[str]]:
    """Transactions of one to three entries with pauses in between; a third is rolled back. Ids kept, ids undone."""
    chance = random.Random(writer)
    kept: set[str] = set()
    undone: set[str] = set()
    with app.app_context():
        for number in range(ROUNDS):
            ids = set()
            try:
                with transaction():
                    for _ in range(chance.randint(1, 3)):
                        ids.add(record(writer * 1000 + number))
                        time.sleep(chance.random() * 0.02)
                    if chance.random() < 0.33:
                        raise Undone
                kept |= ids
            except Undone:
                undone |= ids
    return kept, undone


def sequence(app: Flask, over: threading.Event) -> None:
    """A sequencer that takes odd bites."""
    chance = random.Random(0)
    with app.app_context():
        while not over.is_set():
            with transaction():
                service.chain_committed(limit=chance.randint(1, 20))
            with transaction():
                service.checkpoint()
            time.sleep(0.001)


def test_every_committed_entry_is_chained_once_and_no_other(platform_db: Flask) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        sequencers = [pool.submit(sequence, platform_db, over) for _ in range(2)]
        written = [future.result() for future in [pool.submit(write, platform_db, n) for n in range(WRITERS)]]
        over.set()
        for sequencer in sequencers:
            sequencer.result()
    kept = set().union(*(ids for ids, _ in written))
    undone = set().union(*(ids for _, ids in written))
    assert len(undone) > 20
    with platform_db.app_context():
        with transaction():
            chain_all()
        rows = db.session.execute(
            sa.text("SELECT seq, public_id FROM audit_chain JOIN audit_entries ON id = entry_id ORDER BY seq")
        ).all()
        assert [seq for seq, _ in rows] == list(range(len(kept)))
        assert {public_id for _, public_id in rows} == kept
        assert not undone & kept
        assert inspection.inspect().problems == []


def test_a_checkpoint_that_another_one_signs_meanwhile_is_no_sign_of_tampering(
    platform_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with platform_db.app_context(), transaction():
            record(1)
        with platform_db.app_context(), transaction():
            chain_all()
            service.checkpoint()

    grow()
    for name in ("tip", "latest_checkpoint"):
        with monkeypatch.context() as patch, ThreadPoolExecutor(1) as other:
            read = getattr(queries, name)

            def read_and_wait(read: Callable[[], object] = read) -> object:
                patch.undo()
                found = read()
                other.submit(grow).result()
                return found

            patch.setattr(queries, name, read_and_wait)
            with platform_db.app_context(), transaction():
                assert service.checkpoint().size >= 1


def test_checkpoints_taken_meanwhile_are_all_consistent(platform_db: Flask) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(9) as pool:
        sequencer = pool.submit(sequence, platform_db, over)
        for future in [pool.submit(write, platform_db, n) for n in range(8)]:
            future.result()
        over.set()
        sequencer.result()
    with platform_db.app_context():
        heads = db.session.execute(
            sa.text("SELECT size, root FROM audit_checkpoints WHERE size > 0 ORDER BY size")
        ).all()
        assert len(heads) > 1
        for old, new in itertools.pairwise(heads):
            proof = queries.consistency_proof(old.size, new.size).proof
            assert verify_consistency(old.size, new.size, old.root, new.root, proof)


def test_an_entry_that_commits_late_comes_late(platform_db: Flask) -> None:
    """Ids are given before the commit: the chain's order is the sequencer's."""
    with platform_db.app_context(), db.engine.connect() as slow:
        slow.begin()
        late = slow.execute(sa.text(f"{INSERT} VALUES ('{'L' * 26}', {REST}) RETURNING id")).scalar_one()
        early = fill(3)
        assert early.size == 3
        slow.commit()
        with transaction():
            assert chain_all() == 1
        order = [entry for (entry,) in db.session.execute(sa.text("SELECT entry_id FROM audit_chain ORDER BY seq"))]
        assert order == [late + 1, late + 2, late + 3, late]
        assert inspection.inspect(early.note).problems == []


INSERT = "INSERT INTO audit_entries (public_id, time, action, subject, data)"
REST = "now(), 'gift.sent', '', '{}'"


@pytest.fixture
def impatient(platform_db: Flask) -> Callable[[], None]:
    """Commits an entry, and fails when it has to wait for somebody for half a second."""

    def write_one() -> None:
        with platform_db.app_context(), transaction():
            db.session.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))
            record(1)

    return write_one


def test_writers_do_not_wait_for_the_sequencer_nor_for_one_another(
    platform_db: Flask, impatient: Callable[[], None]
) -> None:
    with platform_db.app_context(), ThreadPoolExecutor(1) as pool:
        fill(3)
        record(1)
        pool.submit(impatient).result()
        with db.engine.connect() as other, other.begin():
            other.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": service.SEQUENCER_LOCK})
            other.execute(sa.text("DELETE FROM audit_pending"))
            pool.submit(impatient).result()
        db.session.rollback()


def test_one_sequencer_works_at_a_time(platform_db: Flask) -> None:
    with platform_db.app_context():
        with transaction():
            record(1)
        with db.engine.connect() as other, other.begin():
            other.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": service.SEQUENCER_LOCK})
            with transaction():
                assert service.chain_committed() == 0
        with transaction():
            assert service.chain_committed() == 1


@pytest.fixture
def beside(platform_db: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application as the workers' own."""
    monkeypatch.setattr(base, "_apps", [platform_db])
    return platform_db


def test_the_scheduler_chains_within_a_second(beside: Flask) -> None:
    with beside.app_context(), audit.sequencing(threading.Event()):
        for _ in range(3):
            with transaction():
                entry_id = record(1)
            committed = time.monotonic()
            while queries.by_id(entry_id).seq is None:
                db.session.rollback()
                assert time.monotonic() - committed < 1
                time.sleep(0.01)
            db.session.rollback()


def test_the_sequencer_lives_through_trouble(beside: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = iter([sa.exc.OperationalError("away", {}, Exception()), ZeroDivisionError()])
    steps: list[int] = []

    def chain() -> int:
        if error := next(trouble, None):
            raise error
        steps.append(1)
        return 0

    monkeypatch.setattr(audit, "TROUBLE_SECONDS", 0.01)
    monkeypatch.setattr(audit.service, "chain_committed", chain)
    deadline = time.monotonic() + 10
    with audit.sequencing(threading.Event()):
        while not steps and time.monotonic() < deadline:
            time.sleep(0.01)
    assert steps


def test_a_stopped_scheduler_stops_its_sequencer(beside: Flask) -> None:
    stop = threading.Event()
    with audit.sequencing(stop):
        stop.set()
    assert not [thread for thread in threading.enumerate() if thread.name == "sequencer"]


def test_the_jobs_sign_and_inspect(beside: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with beside.app_context():
        fill(3)
        with transaction():
            record(4)
            chain_all()
        audit.checkpoint()
        audit.checkpoint()
        assert [size for (size,) in db.session.execute(sa.text("SELECT size FROM audit_checkpoints ORDER BY 1"))] == [
            3,
            4,
        ]
        db.session.rollback()
        audit.inspect()
        assert "audit_damaged" not in caplog.text
        db.session.execute(sa.text("ALTER TABLE audit_chain DISABLE TRIGGER follow"))
        db.session.commit()
        audit.inspect()
        assert "audit_damaged" in caplog.text
