"""The embedded PostgreSQL: made once, started often, whatever state the last run left it in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from popoff import embedded
from popoff.embedded import host
from tests.unit.embedded.helpers import query


def test_serves_what_the_platform_needs(postgres: embedded.Postgres) -> None:
    assert postgres.url.startswith("postgresql+psycopg://popoff:")
    query(postgres.url, "CREATE EXTENSION vector")
    assert query(postgres.url, "SELECT '[1,2]'::vector <-> '[1,4]'") == 2
    assert query(postgres.url, "SELECT datlocale FROM pg_database WHERE datname = 'popoff'") == "C.UTF-8"
    assert (
        query(postgres.url, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'popoff'") == "UTF8"
    )
    assert query(postgres.url, "SELECT lower('ÄÖ')") == "äö"


def test_asks_for_the_password_and_listens_on_loopback_only(postgres: embedded.Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        query(f"postgresql://popoff:wrong@127.0.0.1:{postgres.port}/popoff", "SELECT 1")
    assert query(postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert (postgres.folder / "password").stat().st_mode & 0o077 == 0


def test_is_durable_unless_told_to_be_fast(home: Path) -> None:
    service = embedded.start_postgres(home)
    try:
        assert [query(service.url, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
            "on",
            "on",
            "on",
        ]
    finally:
        service.stop()
    fast = embedded.start_postgres(home, fast=True)
    try:
        assert query(fast.url, "SHOW fsync") == "off"
    finally:
        fast.stop()


def test_keeps_its_data_and_restarts_quickly_on_the_same_port(postgres: embedded.Postgres) -> None:
    query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
    url, beginning = postgres.url, time.monotonic()
    postgres.restart()
    assert time.monotonic() - beginning < 5
    assert postgres.url == url
    assert query(url, "SELECT value FROM kept") == 42


def test_starts_again_after_a_power_cut(postgres: embedded.Postgres) -> None:
    query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
    postgres.kill()
    postgres.start()
    assert query(postgres.url, "SELECT value FROM kept") == 42


def test_revives_only_what_died_by_itself(postgres: embedded.Postgres) -> None:
    postgres.kill()
    postgres.revive()
    assert query(postgres.url, "SELECT 1") == 1
    postgres.stop()
    postgres.revive()
    assert not postgres.alive


def test_ends_a_server_that_a_former_runner_left(postgres: embedded.Postgres) -> None:
    query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
    left = postgres.process
    assert left is not None
    second = embedded.start_postgres(postgres.home, fast=True)
    try:
        assert left.wait(1) == 0
        assert set(host.marked_processes(second.mark)).isdisjoint({left.pid})
        assert query(second.url, "SELECT value FROM kept") == 42
    finally:
        second.stop()


def test_sessions_orphaned_by_a_killed_server_do_not_hinder_the_next(
    postgres: embedded.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded.service, "LEFTOVER_SECONDS", 0.5)
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as connection:
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)  # it cannot notice that its server died
        postgres.kill()
        postgres.start()
        assert pid not in host.marked_processes(postgres.mark)
    assert query(postgres.url, "SELECT 1") == 1


def test_half_made_cluster_is_made_anew(postgres: embedded.Postgres) -> None:
    postgres.stop()
    postgres.data.rename(postgres.folder / "making-interrupted")
    (postgres.folder / "making-interrupted" / "PG_VERSION").unlink()
    postgres.start()
    assert query(postgres.url, "SELECT 1") == 1
    assert not list(postgres.folder.glob("making-*"))


@pytest.mark.parametrize("text", ["{pid}\n/elsewhere\n1\n5432\n\n127.0.0.1\n 1 0\nready\n", "", "no number\n"])
def test_pid_file_of_another_program_or_cut_off(postgres: embedded.Postgres, text: str) -> None:
    postgres.stop()
    other = subprocess.Popen(["sleep", "60"], user=postgres.account.uid if postgres.account else None)
    try:
        (postgres.data / "postmaster.pid").write_text(text.format(pid=other.pid))
        postgres.start()
        assert query(postgres.url, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_lost_password_is_set_anew(postgres: embedded.Postgres) -> None:
    query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
    before = postgres.url
    postgres.stop()
    (postgres.folder / "password").unlink()
    postgres.start()
    assert postgres.url != before
    assert query(postgres.url, "SELECT value FROM kept") == 42


def test_says_so_when_its_port_is_taken(postgres: embedded.Postgres) -> None:
    postgres.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", postgres.port))
        other.listen()
        with pytest.raises(embedded.StartFailed, match=f"took its port {postgres.port}"):
            postgres.start()
    postgres.start()


def test_takes_another_port_when_a_fresh_one_is_snatched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [host.free_port(), *[other.getsockname()[1]] * 4]
        monkeypatch.setattr(host, "free_port", lambda: ports.pop())
        service = embedded.start_postgres(home, fast=True)
        try:
            assert query(service.url, "SELECT 1") == 1
        finally:
            service.stop()


def test_refuses_data_of_another_major_version(home: Path) -> None:
    cluster = home / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(embedded.StartFailed, match=r"PostgreSQL 9 and this PopOff brings \d+"):
        embedded.start_postgres(home)


def test_damaged_data_is_named_not_replaced(postgres: embedded.Postgres) -> None:
    postgres.stop()
    (postgres.data / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(embedded.StartFailed, match=r"pg_control.*see .*server\.log"):
        postgres.start()
    assert postgres.data.exists()


def test_a_full_disk_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = embedded.Postgres(home)
    assert "make room" in str(service._explain("initdb: error: could not write: No space left on device"))
    monkeypatch.setattr(host, "make_folder", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(embedded.StartFailed, match=r"disk .* is full"):
        service.start()


def test_a_missing_system_library_is_a_sentence(home: Path) -> None:
    words = "postgres: error while loading shared libraries: libz.so.1: cannot open shared object file"
    assert "system library libz.so.1" in str(embedded.Postgres(home)._explain(words))


def test_log_is_kept_small(postgres: embedded.Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.service, "LOG_BYTES", 10)
    postgres.restart()
    assert (postgres.folder / "server.log.1").stat().st_size > 10
