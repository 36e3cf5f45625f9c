"""The pipeline: an uploaded source becomes an HLS ladder that plays.

May run twice and may be cut off anywhere: each run works in a folder of its own, writes objects under fixed
keys (a second run writes the same ones again), and changes the post only in short transactions between the
long steps. ffmpeg runs outside any transaction. What the source is at fault for ends the post as failed(code)
at once; trouble of ours is tried again by the job's retries. A run whose post was deleted meanwhile takes away
what it has put up: the purge of the post may have come before.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

import config
from popoff.adapters.storage import IMMUTABLE, ObjectNotFound, store
from popoff.kernel.errors import TooLarge, Unavailable
from popoff.media import pipeline, queries, rules, service
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.pipeline import NotWanted
from popoff.media.rules import FileRole, Stage
from workers import encode, pictures, scratch
from workers.base import transaction
from workers.encode import Encoded, FileSource, PackageSource, Source, Step
from workers.hls import MadeRendition
from workers.probe import Probe

log = structlog.get_logger()

REPORT_SECONDS = 1.0
PUTS_AT_ONCE = 4
TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class _Task:
    """What one run has to know of its post. `segments`: the client's name of each, and its key."""

    post_id: int
    user_id: int
    upload_id: str
    is_package: bool
    source_key: str
    segments: tuple[tuple[str, str], ...]
    thumbnail_key: str | None

    @property
    def prefix(self) -> str:
        return rules.prefix(self.user_id, self.upload_id)


def run(post_id: int) -> None:
    """Take one post through the pipeline. Raises Unavailable and whatever else may pass: the job is tried again."""
    with transaction():
        task = _task(post_id)
    if task is None:
        return
    try:
        with scratch.private_folder() as folder:
            _Run(task, folder).run()
    except NotWanted:
        _clear(task)


def given_up(error: str, post_id: int) -> None:
    """The tries are used up: the owner reads so. `error` begins with the code of what went wrong."""
    try:
        code = FailureCode(error.partition(":")[0])
    except ValueError:
        code = FailureCode.ENCODE_FAILED
    with contextlib.suppress(NotWanted):
        pipeline.note_failed(post_id, code)


def _task(post_id: int) -> _Task | None:
    post = queries.by_id(post_id)
    if post is None or post.deleted_at is not None or post.stage not in rules.UNFINISHED:
        return None
    upload = queries.upload(post.user_id, post.upload_id)
    thumbnail = service.thumbnail_file(upload)
    return _Task(
        post_id=post_id,
        user_id=post.user_id,
        upload_id=post.upload_id,
        is_package=service.source_file(upload).role == FileRole.PLAYLIST,
        source_key=post.source_key,
        segments=tuple((file.label, file.key) for file in upload.files if file.role == FileRole.SEGMENT),
        thumbnail_key=thumbnail.key if thumbnail else None,
    )


def _clear(task: _Task) -> None:
    """Nobody waits for this run. Of a post that is gone nothing stays, not even what came after its purge."""
    with transaction():
        post = queries.by_id(task.post_id)
        gone = post is None or post.deleted_at is not None
    log.info("run_not_wanted", gone=gone)
    if gone:
        service.purge_objects(task.user_id, task.upload_id)


class _Run:
    """One run: what the database and the store hear of one encoding."""

    def __init__(self, task: _Task, folder: Path) -> None:
        self._task = task
        self._folder = folder
        self._stage = Stage.RECEIVED
        self._reported = 0.0
        self._up: set[str] = set()

    def run(self) -> None:
        """Raises NotWanted, and Unavailable with the code of a failure that may pass."""
        try:
            source = self._fetch()
            work = self._folder / "work"
            work.mkdir()
            encoded = encode.encode(
                source,
                work,
                on_progress=self._on_progress,
                on_probe=self._on_probe,
                on_playable=self._on_playable,
            )
            self._finish(encoded)
        except MediaFailure as failure:
            log.info("media_failure", code=failure.code, detail=failure.detail[-2000:])
            if failure.code.worth_retrying:
                raise Unavailable(failure.code.sentence, code=failure.code) from failure
            with transaction():
                pipeline.note_failed(self._task.post_id, failure.code)

    # the source

    def _fetch(self) -> Source:
        """Copy the source next to us. Raises MediaFailure when it is not there or is larger than allowed."""
        limit = config.current().max_upload_bytes
        try:
            if not self._task.is_package:
                return FileSource(self._download(self._task.source_key, "source", limit))
            playlist = self._download(self._task.source_key, "playlist.m3u8", rules.MAX_PLAYLIST_BYTES)
        except ObjectNotFound:
            raise MediaFailure(FailureCode.LOST_SOURCE, self._task.source_key) from None
        local: dict[str, Path] = {}
        for number, (label, key) in enumerate(self._task.segments):
            with contextlib.suppress(ObjectNotFound):  # which matters only where the playlist names it
                local[label] = self._download(key, f"{number:05}.ts", limit)
                limit -= local[label].stat().st_size
        return PackageSource(playlist, local)

    def _download(self, key: str, name: str, limit: int) -> Path:
        path = self._folder / name
        try:
            store().download(key, path, max_bytes=limit)
        except TooLarge:
            raise MediaFailure(FailureCode.FILE_TOO_LARGE, key) from None
        return path

    # what the encoding says

    def _on_progress(self, step: Step, done: float) -> None:
        stage = Stage.PROBING if step is Step.PROBING else Stage.TRANSCODING
        if stage is self._stage and time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._stage, self._reported = stage, time.monotonic()
        with transaction():
            pipeline.note_progress(self._task.post_id, stage, int(done * 100))

    def _on_probe(self, found: Probe) -> None:
        with transaction():
            pipeline.note_facts(
                self._task.post_id,
                _source_facts(found),
                width=found.width,
                height=found.height,
                duration_ms=found.duration_ms,
            )

    def _on_playable(self, so_far: Encoded) -> None:
        folder = f"{self._task.prefix}{rules.PICTURES_FOLDER}"
        thumbnail, strip = f"{folder}/thumbnail.jpg", f"{folder}/strip.jpg"
        store().put_file(thumbnail, self._thumbnail(so_far), rules.THUMBNAIL_TYPE, IMMUTABLE)
        store().put_file(strip, so_far.strip, rules.THUMBNAIL_TYPE, IMMUTABLE)
        self._publish(so_far)
        with transaction():
            pipeline.note_pictures(self._task.post_id, thumbnail_key=thumbnail, preview_key=strip)
            self._note(so_far)

    def _thumbnail(self, so_far: Encoded) -> Path:
        """The picture that the person chose, where it is one; else ours."""
        if self._task.thumbnail_key is None:
            return so_far.thumbnail
        own = self._folder / "thumbnail"
        try:
            store().download(self._task.thumbnail_key, own, max_bytes=rules.MAX_THUMBNAIL_BYTES)
            return pictures.redrawn(own, self._folder / "thumbnail.jpg")
        except (ObjectNotFound, TooLarge, MediaFailure) as refused:
            log.info("thumbnail_refused", reason=str(refused)[-500:])
            return so_far.thumbnail

    # what the world sees

    def _finish(self, encoded: Encoded) -> None:
        """Put up the rest and let the post be ready."""
        self._publish(encoded)
        with transaction():
            self._note(encoded)
            pipeline.note_ready(self._task.post_id)

    def _publish(self, encoded: Encoded) -> None:
        """Upload what is not up yet. Playlists come last: whoever reads one finds all it names."""
        hls = f"{self._task.prefix}{rules.HLS_FOLDER}"
        for made in encoded.renditions:
            if made.name not in self._up:
                *segments, playlist = made.files
                _put_all(f"{hls}/{made.name}", segments)
                _put_all(f"{hls}/{made.name}", [playlist])
                self._up.add(made.name)
        master = encoded.master_playlist.encode()
        store().put_bytes(f"{hls}/{rules.MASTER_PLAYLIST}", master, TYPES[".m3u8"])

    def _note(self, encoded: Encoded) -> None:
        pipeline.note_renditions(
            self._task.post_id,
            [_facts(made) for made in encoded.renditions],
            duration_ms=encoded.duration_ms,
            loudness=_finite(asdict(encoded.loudness)) if encoded.loudness else None,
        )


def _put_all(folder: str, files: Sequence[Path]) -> None:
    """Upload files a few at a time: most of a PUT is waiting."""
    place = store()

    def put(file: Path) -> None:
        place.put_file(f"{folder}/{file.name}", file, TYPES[file.suffix], IMMUTABLE)

    with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
        for _ in pool.map(put, files):
            pass


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no infinity, which is how far below everything else silence is."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


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
