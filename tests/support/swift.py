"""A real S3 server for tests: OpenStack Swift with its S3 API, in a virtualenv of its own.

    with swift.running() as server:
        server.make_bucket("popoff")
        S3Store("popoff", **server.settings)

Chosen because it checks signatures, expiry, signed headers and part sizes the way S3 does. It is installed once, from
wheels only (no compiler, no system library), into `build/swift-venv`; it needs a file system with extended attributes.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config

HERE = Path(__file__).parent
LOCK = HERE / "swift-requirements.lock"
BUILD = HERE.parents[1] / "build"
START_SECONDS = 60


class SwiftUnavailable(Exception):
    """Swift cannot be installed or started here; the message says why."""


@dataclass(frozen=True)
class Swift:
    endpoint_url: str
    secret_access_key: str
    access_key_id: str = "test:popoff"
    region: str = "us-east-1"

    @property
    def settings(self) -> dict[str, str]:
        """Keyword arguments of `S3Store`."""
        return {
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }

    def make_bucket(self, name: str) -> str:
        self._client.create_bucket(Bucket=name)
        return name

    @functools.cached_property
    def _client(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )


@contextlib.contextmanager
def running() -> Iterator[Swift]:
    """A fresh, empty server on a free loopback port; it and its data are gone afterwards."""
    python = install()
    secret = secrets.token_hex(16)
    folder = _folder_with_attributes()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-I", HERE / "swift_process.py", folder, secret],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        port = _wait_ready(process, folder / "log")
        yield Swift(f"http://127.0.0.1:{port}", secret)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def install() -> Path:
    """The interpreter of Swift's virtualenv, which is made first when it is missing or its pins have changed."""
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    home = BUILD / "swift-venv"
    python, stamp = home / "bin" / "python", home / "installed"
    if _content(stamp) == wanted:
        return python
    try:
        BUILD.mkdir(exist_ok=True)
        with (BUILD / "swift-venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
            if _content(stamp) != wanted:
                venv.create(home, clear=True, with_pip=True)
                _pip_install(python)
                stamp.write_text(wanted)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SwiftUnavailable(f"the virtualenv {home} cannot be made: {error}") from error
    return python


def _pip_install(python: Path) -> None:
    # -I: what PYTHONPATH offers this process would count as installed
    command = [str(python), "-I", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run([*command, "-r", str(LOCK)], capture_output=True, text=True)
    if done.returncode:
        raise SwiftUnavailable(f"Swift cannot be installed: {done.stderr.strip()[-2000:]}")


def _content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _folder_with_attributes() -> Path:
    """A new folder on a file system that keeps extended attributes: Swift's metadata of objects are such."""
    reasons = []
    for parent in (tempfile.gettempdir(), "/var/tmp", str(BUILD)):
        try:
            folder = Path(tempfile.mkdtemp(prefix="swift-", dir=parent))
        except OSError as error:
            reasons.append(str(error))
            continue
        try:
            os.setxattr(folder, "user.popoff", b"1")
            return folder
        except OSError as error:
            reasons.append(str(error))
            folder.rmdir()
    raise SwiftUnavailable(f"no folder keeps extended attributes: {'; '.join(reasons)}")


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, once the server says it."""
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise SwiftUnavailable(f"Swift does not start: {log.read_text(errors='replace')[-2000:]}")
    return int(json.loads(line)["port"])
