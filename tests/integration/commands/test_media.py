"""Conversion of posts that exist, and moving and relinking of their objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import config
from popoff.adapters.jobs import Job
from popoff.adapters.storage import FolderStore, store
from popoff.cli import main
from popoff.commands import base
from popoff.commands import media as commands
from popoff.embedded import Services
from popoff.kernel.db import db
from popoff.media import pipeline, relink, service
from popoff.media.failures import FailureCode
from popoff.media.models import Post, UploadFile
from popoff.media.rules import FileRole, Stage
from popoff.web.transaction import transaction
from tests.support.command_line import popoff
from tests.support.people import People
from tests.support.posts import make_post

RENDITIONS = [{"name": "360p"}]
FILM = b"a film" * 100


@pytest.fixture
def post(people: People, tmp_path: Path, settings: config.Settings) -> Any:
    """A post of ada's without renditions, in an empty store."""
    people.ada  # noqa: B018
    with config.override(home=tmp_path / "home"):
        yield db.session.get_one(Post, make_post("ada", "Guitar"))


def prefix_of(post: Post) -> str:
    return f"users/{post.user_id}/{post.upload_id}/"


def put(key: str, data: bytes = FILM, content_type: str = "video/mp4") -> str:
    store().put_bytes(key, data, content_type)
    return key


def add_file(post: Post, key: str, role: FileRole) -> None:
    name = key.rpartition("/")[2]
    db.session.add(UploadFile(key=key, upload_id=post.upload_id, label=name, content_type="x/y", role=role.value))
    db.session.flush()


def files_of(post: Post) -> dict[str, str]:
    """Key -> label."""
    db.session.expire_all()
    rows = db.session.scalars(sa.select(UploadFile).where(UploadFile.upload_id == post.upload_id))
    return {file.key: file.label for file in rows}


def transcodes() -> list[int]:
    return list(
        db.session.scalars(
            sa.select(Job.args["post_id"].as_integer()).where(Job.name == "media.transcode").order_by(Job.id)
        )
    )


def stored() -> dict[str, int]:
    return {info.key: info.size for info in store().list()}


# --- retry ----------------------------------------------------------------------------------------------------------


def fail(post_id: int, code: FailureCode) -> None:
    service.retry(post_id)
    pipeline.note_failed(post_id, code)
    db.session.execute(sa.delete(Job))


def test_posts_that_failed_by_our_fault_are_tried_again(post: Post) -> None:
    by_us, by_itself, named = post.id, make_post("ada"), make_post("ada")
    fail(by_us, FailureCode.ENCODE_FAILED)
    fail(by_itself, FailureCode.NO_VIDEO)
    dead = Job(name="feed.trending", args={}, state="dead")
    db.session.add(dead)
    db.session.flush()
    assert popoff("media", "retry", named, "--all-failed").output == "2 posts and 1 jobs will be tried again\n"
    assert sorted(transcodes()) == sorted([by_us, named])
    db.session.refresh(dead)
    assert dead.state == "ready"


def test_an_unknown_post_is_not_tried(post: Post) -> None:
    popoff("media", "retry", post.id, 10**9, fails=True)
    assert transcodes() == []


# --- convert --------------------------------------------------------------------------------------------------------


def test_converting_takes_posts_without_renditions(post: Post) -> None:
    put(post.source_key)
    done, failed, gone = (db.session.get_one(Post, make_post("ada")) for _ in range(3))
    done.renditions = RENDITIONS
    fail(failed.id, FailureCode.NO_VIDEO)
    service.delete_post(gone.user_id, gone.id)
    assert popoff("media", "convert", "--all").output == "1 posts go through the pipeline\n"
    assert transcodes() == [post.id]
    assert popoff("media", "convert", "--all").output == "0 posts go through the pipeline\n"
    db.session.refresh(post)
    assert post.stage == Stage.RECEIVED
    assert post.playable_at is not None


def test_by_force_posts_with_renditions_are_converted_too(post: Post) -> None:
    put(post.source_key)
    post.renditions = RENDITIONS
    db.session.flush()
    assert "--force makes them anew" in popoff("media", "convert", post.id).output
    assert transcodes() == []
    popoff("media", "convert", "--all", "--force")
    assert transcodes() == [post.id]


def test_a_post_without_its_source_is_left_alone(post: Post) -> None:
    output = popoff("media", "convert", post.id).output
    assert "popoff media relink" in output
    assert "0 posts go through the pipeline" in output
    db.session.refresh(post)
    assert post.stage == Stage.READY


def test_converting_wants_to_know_what(post: Post) -> None:
    result = CliRunner().invoke(main, ["media", "convert"])
    assert result.exit_code == 2
    assert "Name posts, or give --all." in result.output
    popoff("media", "convert", 10**9, fails=True)


def test_waiting_shows_how_far_posts_are(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    other = db.session.get_one(Post, make_post("ada"))
    for each in (post, other):
        put(each.source_key)
    steps = iter(
        [
            lambda: pipeline.note_progress(post.id, Stage.TRANSCODING, 40),
            lambda: pipeline.note_ready(post.id),
            lambda: None,
            lambda: pipeline.note_failed(other.id, FailureCode.NO_VIDEO),
        ]
    )
    monkeypatch.setattr(commands.time, "sleep", lambda _: next(steps)())
    result = popoff("media", "convert", post.id, other.id, "--wait", fails=True)
    assert result.stdout.splitlines() == [
        "2 posts go through the pipeline",
        f"post {post.id}: received 0 %",
        f"post {other.id}: received 0 %",
        f"post {post.id}: transcoding 40 %",
        f"post {post.id}: ready",
        f"post {other.id}: failed (no_video)",
    ]
    assert result.stderr == "Error: 1 of 2 posts could not be converted.\n"


def test_waiting_is_refused_where_nobody_works(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.current()

    class Alone:
        def __enter__(self) -> Services:
            return Services(settings.database_url, settings.redis_url, lock_fd=7)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(base.embedded, "platform", lambda *_, **__: Alone())
    assert "popoff run" in popoff("media", "convert", post.id, "--wait", fails=True).stderr
    assert transcodes() == []


# --- relink ---------------------------------------------------------------------------------------------------------


def test_an_imported_post_is_moved_to_its_own_prefix(post: Post) -> None:
    post.source_key, post.thumbnail_key = put("videos/old.mp4"), put("thumbs/old.jpg", b"jpeg", "image/jpeg")
    db.session.flush()
    source, thumbnail = f"{prefix_of(post)}source", f"{prefix_of(post)}thumbnail"
    output = popoff("media", "relink", "--dry-run").output
    assert f"post {post.id}: videos/old.mp4 -> {source} ({len(FILM)} bytes)" in output
    assert "1 of 1 posts would be put right" in output
    assert set(stored()) == {"videos/old.mp4", "thumbs/old.jpg"}

    assert "1 of 1 posts were put right" in popoff("media", "relink").output
    assert files_of(post) == {source: "old.mp4", thumbnail: "old.jpg"}
    assert (post.source_key, post.thumbnail_key) == (source, None)
    assert stored() == {"videos/old.mp4": 600, "thumbs/old.jpg": 4, source: 600, thumbnail: 4}
    info = store().stat(source)
    assert info is not None
    assert info.content_type == "video/mp4"
    assert popoff("media", "relink").output == "0 of 1 posts were put right\n"


def test_an_imported_package_keeps_the_names_its_playlist_uses(post: Post) -> None:
    post.source_key = put("hls/IMG_1/playlist.m3u8")
    add_file(post, post.source_key, FileRole.PLAYLIST)
    for number in range(3):
        add_file(post, put(f"hls/IMG_1/segment_{number}.ts", b"x" * number), FileRole.SEGMENT)
    popoff("media", "relink", "--delete")
    prefix = prefix_of(post)
    assert files_of(post) == {
        f"{prefix}package/playlist.m3u8": "playlist.m3u8",
        f"{prefix}package/00000.ts": "segment_0.ts",
        f"{prefix}package/00001.ts": "segment_1.ts",
        f"{prefix}package/00002.ts": "segment_2.ts",
    }
    assert stored() == {key: len(FILM) if "playlist" in key else int(key[-4]) for key in files_of(post)}
    assert post.source_key == f"{prefix}package/playlist.m3u8"


@pytest.mark.parametrize("kind", ["prefix", "store", "files"])
def test_missing_objects_are_found_elsewhere(post: Post, tmp_path: Path, kind: str) -> None:
    post.renditions = RENDITIONS
    post.thumbnail_key = f"{prefix_of(post)}pictures/thumbnail.jpg"
    add_file(post, post.source_key, FileRole.SOURCE)
    prefix = prefix_of(post)
    sizes = {f"{prefix}source": 5, f"{prefix}hls/master.m3u8": 6, f"{prefix}hls/360p/0.m4s": 7, post.thumbnail_key: 8}
    old = tmp_path / "old"
    before = FolderStore(old, "", str)
    for key, size in sizes.items():
        if kind == "prefix":
            put(f"backup/2026/{key}", b"x" * size)
        elif kind == "store":
            before.put_bytes(key, b"x" * size, "video/mp4")
        else:
            (old / key).parent.mkdir(parents=True, exist_ok=True)
            (old / key).write_bytes(b"x" * size)
    missing = popoff("media", "relink", fails=True)
    assert missing.stderr == "Error: Objects of 1 posts were found nowhere.\n"
    assert f"post {post.id}: {prefix}source was found nowhere" in missing.stdout

    place = ("--from-prefix", "backup/2026") if kind == "prefix" else ("--from", old)
    popoff("media", "relink", *place, "--delete")
    assert stored() == sizes
    assert not [path for path in old.rglob("*") if path.is_file()] if kind != "prefix" else True
    assert popoff("media", "relink", *(place if kind == "prefix" else ())).output == "0 of 1 posts were put right\n"


def test_what_is_found_nowhere_stays_as_it_is(post: Post) -> None:
    post.source_key = "videos/lost.mp4"
    db.session.flush()
    result = popoff("media", "relink", "--delete", fails=True)
    assert f"post {post.id}: videos/lost.mp4 was found nowhere" in result.stdout
    db.session.refresh(post)
    assert post.source_key == "videos/lost.mp4"


def test_an_object_that_another_post_names_is_not_deleted(post: Post) -> None:
    other = db.session.get_one(Post, make_post("ada"))
    service.delete_post(other.user_id, other.id)
    post.source_key = other.source_key = put("videos/shared.mp4")
    db.session.flush()
    popoff("media", "relink", "--delete")
    assert set(stored()) == {"videos/shared.mp4", f"{prefix_of(post)}source"}


def test_a_move_that_was_cut_short_is_finished_the_next_time(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.source_key = put("videos/old.mp4")
    db.session.flush()

    def breaks(_: relink.Plan) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(relink, "repoint", breaks)
        with pytest.raises(RuntimeError):
            popoff("media", "relink")
    db.session.refresh(post)
    assert post.source_key == "videos/old.mp4"
    popoff("media", "relink", "--delete")
    db.session.refresh(post)
    assert post.source_key == f"{prefix_of(post)}source"
    assert stored() == {post.source_key: len(FILM)}


def test_a_copy_that_differs_changes_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.source_key = put("videos/old.mp4")
    db.session.flush()
    monkeypatch.setattr(relink.Here, "bring", lambda _here, _key, target: put(target, b"short"))
    assert "differs" in popoff("media", "relink", "--delete", fails=True).stderr
    db.session.refresh(post)
    assert post.source_key == "videos/old.mp4"
    assert "videos/old.mp4" in stored()


def test_a_post_that_changes_meanwhile_is_not_overwritten(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.source_key = put("videos/old.mp4")
    db.session.flush()
    bring = relink.bring

    def meanwhile(plan: relink.Plan) -> None:
        bring(plan)
        with transaction():
            db.session.execute(sa.update(Post).values(source_key="videos/new.mp4"))

    monkeypatch.setattr(relink, "bring", meanwhile)
    assert "changed meanwhile" in popoff("media", "relink", fails=True).stderr
    db.session.refresh(post)
    assert post.source_key == "videos/new.mp4"


def test_a_post_deleted_meanwhile_is_skipped(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relink, "post_ids", lambda: [10**9, post.id])
    put(post.source_key)
    assert popoff("media", "relink").output == "0 of 2 posts were put right\n"


@pytest.mark.parametrize("key", ["../../secret.txt", "/etc/passwd", "a name with blanks.mp4"])
def test_a_name_cannot_lead_out_of_the_folder(post: Post, tmp_path: Path, key: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    plain, kept = tmp_path / "a" / "plain", tmp_path / "a" / "kept"
    plain.mkdir(parents=True)
    (kept / "objects").mkdir(parents=True)
    post.source_key = key
    db.session.flush()
    popoff("media", "relink", "--from", plain, "--from", kept, fails=True)
    assert stored() == {}
