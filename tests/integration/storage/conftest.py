from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from popoff.adapters.storage import S3Store, Store
from tests.integration.storage import folder_server
from tests.support import swift


@pytest.fixture(scope="session")
def s3_server() -> Iterator[swift.Swift]:
    """A real S3 server. Where it cannot be had the tests are skipped, but never in continuous integration."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(swift.running())
        except swift.SwiftUnavailable as error:
            if os.environ.get("CI", "").lower() not in ("", "0", "false"):
                raise
            pytest.skip(str(error))
        yield server


@pytest.fixture
def s3_store(s3_server: swift.Swift) -> S3Store:
    """An empty bucket."""
    return S3Store(s3_server.make_bucket(f"test-{uuid.uuid4().hex}"), **s3_server.settings)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store in turn, empty, with its links served over HTTP."""
    if request.param == "s3":
        yield request.getfixturevalue("s3_store")
    else:
        with folder_server.running(tmp_path / "store") as folder:
            yield folder
