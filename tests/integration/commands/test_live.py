"""Commands given beside a platform that runs."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest

import config
from popoff.adapters.storage import FolderStore
from tests.support import clips, live

pytestmark = pytest.mark.xdist_group("live")


def popoff(platform: live.Platform, *arguments: str | int) -> str:
    engines = ("DATABASE_URL", "REDIS_URL", "S3_BUCKET")
    environment = {name: value for name, value in os.environ.items() if name not in engines}
    done = subprocess.run(
        [sys.executable, "-m", "popoff.cli", *map(str, arguments)],
        env={**environment, "POPOFF_HOME": str(platform.home)},
        cwd=config.PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_imported_film_is_moved_and_converted(live_platform: live.Platform) -> None:
    FolderStore(live_platform.home / "media", "", str).put_file("videos/old.mp4", clips.clip("tiny.mp4"), "video/mp4")
    url = live_platform.services()["database"].replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(url) as connection:
        (user_id,) = connection.execute(
            "INSERT INTO users (username, username_key, email, email_key, password_hash)"
            " VALUES ('importer', 'importer', 'importer@people.example', 'importer@people.example', '!') RETURNING id"
        ).fetchone() or (0,)
        connection.execute(
            "INSERT INTO uploads (id, user_id, kind, claimed) VALUES ('imported-1', %s, 'single', true)", [user_id]
        )
        (post_id,) = connection.execute(
            "INSERT INTO posts (user_id, upload_id, source_key, stage)"
            " VALUES (%s, 'imported-1', 'videos/old.mp4', 'ready') RETURNING id",
            [user_id],
        ).fetchone() or (0,)

    assert f"post {post_id}: videos/old.mp4 -> users/{user_id}/imported-1/source" in popoff(
        live_platform, "media", "relink", "--delete"
    )
    assert popoff(live_platform, "media", "convert", post_id, "--wait").splitlines()[-1] == f"post {post_id}: ready"
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT playable_at, renditions FROM posts WHERE id = %s", [post_id]).fetchone()
    assert row is not None
    assert row[0] is not None
    assert row[1]
