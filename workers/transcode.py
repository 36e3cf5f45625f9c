"""The pipeline: an uploaded source becomes an HLS ladder that plays.

May run twice and may be cut off anywhere: each run works in a folder of its own, writes objects under fixed
keys (a second run writes the same ones again), and changes the post only in short transactions between the
long steps. ffmpeg runs outside any transaction. What the source is at fault for ends the post as failed(code)
at once; trouble of ours is tried again by the job's retries.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

import config
from popoff.adapters.storage import IMMUTABLE, ObjectNotFound, store
from popoff.kernel import clock
from popoff.kernel.errors import TooLarge
from popoff.media import queries, rules, service
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.rules import FileRole, Stage
from workers import encode
from workers.base import transaction
from workers.encode import Encoded, FileSource, PackageSource, Source, Step
from workers.hls import MadeRendition
from workers.probe import Probe

log = structlog.get_logger()

REPORT_SECONDS = 1.0
TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4"}


class PostGone(Exception):
    """The post was deleted while we worked on it."""


def run(post_id: int) -> None:
    """Take one post through the pipeline."""
    with transaction():
        post = queries.by_id(post_id)
        if post is None or post.deleted_at is not None or post.stage == Stage.READY:
            return
        upload = queries.upload(post.user_id, post.upload_id)
        files = [(file.role, file.label, file.key) for file in upload.files]
        prefix = rules.prefix(post.user_id, post.upload_id)
        key = post.source_key
    pipeline = _Pipeline(post_id, prefix)
    try:
        with _private_folder() as folder:
            source = _fetch(folder / "source", key, files)
            work = folder / "work"
            work.mkdir()
            pipeline.finish(encode.encode(source, work, **pipeline.callbacks()))
    except MediaFailure as failure:
        _settle(post_id, failure)
    except PostGone:
        log.info("post_gone")


def given_up(_error: str, post_id: int) -> None:
    """The tries are used up: the owner reads so."""
    service.set_failed(post_id, FailureCode.ENCODE_FAILED)


def _settle(post_id: int, failure: MediaFailure) -> None:
    """A fault of the source is final; one that may pass is left to the job's retries."""
    log.info("media_failure", code=failure.code, detail=failure.detail[-2000:])
    if failure.code.worth_retrying:
        raise failure
    with transaction():
        service.set_failed(post_id, failure.code)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for one run, gone afterwards; what a killed run left is swept at the next start of a worker."""
    root = work_root()
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="transcode-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work_root() -> Path:
    return config.current().home / "work"


def sweep_work(older_than_seconds: float = 2 * 3600) -> None:
    """Remove folders of runs that were killed: a living run touches its own all the time."""
    for folder in work_root().glob("transcode-*"):
        newest = max((file.stat().st_mtime for file in folder.rglob("*") if file.exists()), default=0.0)
        if clock.timestamp() - max(newest, folder.stat().st_mtime) > older_than_seconds:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch(folder: Path, key: str, files: list[tuple[str, str, str]]) -> Source:
    """Copy the source next to us. Raises MediaFailure when it is not (all) there or is larger than allowed."""
    folder.mkdir()
    limit = config.current().max_upload_bytes
    if not any(role == FileRole.PLAYLIST for role, _, _ in files):
        _download(key, folder / "source", limit, FailureCode.LOST_SOURCE)
        return FileSource(folder / "source")
    local: dict[str, Path] = {}
    for number, (role, label, file_key) in enumerate(files):
        if role == FileRole.SEGMENT and store().stat(file_key):
            local[label] = folder / f"{number:05}.ts"
            limit -= _download(file_key, local[label], limit, FailureCode.MISSING_SEGMENT)
    _download(key, folder / "playlist.m3u8", rules.MAX_PLAYLIST_BYTES, FailureCode.LOST_SOURCE)
    return PackageSource(folder / "playlist.m3u8", local)


def _download(key: str, path: Path, limit: int, missing: FailureCode) -> int:
    try:
        return store().download(key, path, max_bytes=max(limit, 1)).size
    except ObjectNotFound:
        raise MediaFailure(missing, key) from None
    except TooLarge:
        raise MediaFailure(FailureCode.FILE_TOO_LARGE, key) from None


class _Pipeline:
    """What the database and the store hear of one encoding."""

    def __init__(self, post_id: int, prefix: str) -> None:
        self._post_id = post_id
        self._prefix = prefix
        self._reported = 0.0
        self._uploaded: set[str] = set()

    def callbacks(self) -> dict[str, Any]:
        return {"on_progress": self._on_progress, "on_probe": self._on_probe, "on_playable": self._on_playable}

    def _on_progress(self, step: Step, done: float) -> None:
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        stage = Stage.PROBING if step is Step.PROBING else Stage.TRANSCODING
        with transaction():
            if not service.set_stage(self._post_id, stage, int(done * 100)):
                raise PostGone

    def _on_probe(self, found: Probe) -> None:
        with transaction():
            service.set_facts(
                self._post_id,
                _source_facts(found),
                width=found.width,
                height=found.height,
                duration_ms=found.duration_ms,
            )

    def _on_playable(self, so_far: Encoded) -> None:
        pictures = f"{self._prefix}{rules.PICTURES_FOLDER}"
        thumbnail, strip = f"{pictures}/thumbnail.jpg", f"{pictures}/strip.jpg"
        store().put_file(thumbnail, so_far.thumbnail, rules.THUMBNAIL_TYPE, IMMUTABLE)
        store().put_file(strip, so_far.strip, rules.THUMBNAIL_TYPE, IMMUTABLE)
        self._publish(so_far)
        with transaction():
            service.set_pictures(self._post_id, thumbnail_key=thumbnail, preview_key=strip)
            self._note(so_far)

    def finish(self, encoded: Encoded) -> None:
        """Put up the rest and let the post be ready."""
        self._publish(encoded)
        with transaction():
            self._note(encoded)
            service.set_ready(self._post_id)

    def _publish(self, encoded: Encoded) -> None:
        """Upload what is not up yet. The master playlist comes last: whoever reads it finds all it names."""
        hls = f"{self._prefix}{rules.HLS_FOLDER}"
        for made in encoded.renditions:
            if made.name not in self._uploaded:
                for file in made.files:
                    store().put_file(f"{hls}/{made.name}/{file.name}", file, TYPES[file.suffix], IMMUTABLE)
                self._uploaded.add(made.name)
        master = encoded.master_playlist.encode()
        store().put_bytes(f"{hls}/{rules.MASTER_PLAYLIST}", master, TYPES[".m3u8"])

    def _note(self, encoded: Encoded) -> None:
        service.set_renditions(
            self._post_id,
            [_facts(made) for made in encoded.renditions],
            duration_ms=encoded.duration_ms,
            loudness=asdict(encoded.loudness) if encoded.loudness else None,
        )


def _facts(made: MadeRendition) -> dict[str, Any]:
    return {
        "name": made.name,
        "width": made.width,
        "height": made.height,
        "frame_rate": round(float(made.frame_rate), 3),
        "bandwidth": made.peak_bandwidth,
        "average_bandwidth": made.average_bandwidth,
        "codecs": made.codecs,
        "bytes": made.size,
    }


def _source_facts(found: Probe) -> dict[str, Any]:
    return {
        "container": found.container,
        "video_codec": found.video_codec,
        "frame_rate": round(float(found.frame_rate), 3),
        "variable_frame_rate": found.variable_frame_rate,
        "rotation": found.rotation,
        "bit_depth": found.bit_depth,
        "transfer": found.transfer,
        "has_audio": found.has_audio,
    }
