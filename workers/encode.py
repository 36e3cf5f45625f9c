"""From one hostile source to everything a player needs, in a private folder. No database, no store.

    encoded = encode(FileSource(path), workdir, on_progress=..., on_probe=..., on_playable=...)

The callbacks run in the calling thread. One that raises stops the work: the running child is killed and the error
goes on to the caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

import config
from popoff.media.failures import FailureCode, MediaFailure
from workers import ffmpeg, hls, playlist, sandbox
from workers.ffmpeg import Rendition, Tool
from workers.hls import MadeRendition
from workers.loudness import Loudness, parse_summary
from workers.probe import Probe, probe

MOST_THREADS = 16
# What ffmpeg ends with when more than two thirds of what it decoded was broken.
_MOSTLY_UNDECODABLE = 69


@dataclass(frozen=True)
class FileSource:
    """One uploaded file, whatever its name."""

    path: Path


@dataclass(frozen=True)
class PackageSource:
    """An HLS package of a phone. `files` maps the names its playlist uses to local files."""

    playlist: Path
    files: Mapping[str, Path]


Source = FileSource | PackageSource


class Step(StrEnum):
    PROBING = "probing"
    SOUND = "sound"
    FIRST = "first"
    LADDER = "ladder"


# Where each step begins and ends in the whole, about as their times are.
_SHARES = {Step.PROBING: (0.0, 0.03), Step.SOUND: (0.03, 0.08), Step.FIRST: (0.08, 0.33), Step.LADDER: (0.33, 1.0)}


@dataclass(frozen=True)
class Encoded:
    """What is there so far; `renditions` the largest first. All paths lie in the private folder."""

    probe: Probe
    renditions: tuple[MadeRendition, ...]
    thumbnail: Path
    strip: Path
    strip_frames: int
    loudness: Loudness | None
    complete: bool

    @property
    def duration_ms(self) -> int:
        return self.renditions[0].duration_ms

    @property
    def master_playlist(self) -> str:
        return hls.master_playlist(self.renditions)


def encode(
    source: Source,
    workdir: Path,
    *,
    on_progress: Callable[[Step, float], None] = lambda step, done: None,
    on_probe: Callable[[Probe], None] = lambda probe: None,
    on_playable: Callable[[Encoded], None] = lambda so_far: None,
) -> Encoded:
    """Make the whole ladder of `source` in the existing, empty folder `workdir`.

    `on_progress(step, done)` hears what is being done and the part of the whole that is done (0..1, never less than
    before), about twice a second. `on_probe` hears the facts once. `on_playable` is called once, when the first
    rendition, the thumbnail and the strip are there. The answer holds everything.
    Raises MediaFailure: what `probe` and `playlist.join` raise, `truncated` also when most pictures turn out to be
    undecodable, `resource_limit`, `timeout`, `encode_failed`.
    What is in `workdir` afterwards is the caller's to delete.
    """
    return _Encoding(source, workdir.resolve(), on_progress).run(on_probe, on_playable)


def find_tool() -> Tool:
    """The ffmpeg of this installation."""
    settings = config.current()
    threads = settings.ffmpeg_threads or min(os.cpu_count() or 1, MOST_THREADS)
    return Tool(settings.ffmpeg_path or imageio_ffmpeg.get_ffmpeg_exe(), threads)


class _Encoding:
    """One run: its folder, its tool, and how far it is."""

    def __init__(self, source: Source, workdir: Path, on_progress: Callable[[Step, float], None]) -> None:
        self._source = source
        self._workdir = workdir
        self._on_progress = on_progress
        self._tool = find_tool()

    def run(self, on_probe: Callable[[Probe], None], on_playable: Callable[[Encoded], None]) -> Encoded:
        self._report(Step.PROBING, 0.0)
        path = self._local_file()
        found = probe(path, folder=self._workdir)
        on_probe(found)
        renditions = ffmpeg.ladder(found)
        first = ffmpeg.first_rendition(renditions)
        rest = tuple(rendition for rendition in renditions if rendition != first)
        found, loudness = self._sound(path, found)
        so_far = replace(self._first(path, found, first), loudness=loudness, complete=not rest)
        on_playable(so_far)
        if not rest:
            self._report(Step.FIRST, 1.0, whole=True)
            return so_far
        made = (*so_far.renditions, *self._ladder(path, found, rest))
        check_alike(made)
        largest_first = sorted(made, key=lambda rendition: -rendition.width * rendition.height)
        self._report(Step.LADDER, 1.0)
        return replace(so_far, renditions=tuple(largest_first), complete=True)

    def _local_file(self) -> Path:
        if isinstance(self._source, FileSource):
            return self._source.path.resolve()
        joined = self._workdir / "joined"
        limit = config.current().max_upload_bytes
        playlist.join(self._source.playlist, self._source.files, joined, max_bytes=limit)
        return joined

    def _sound(self, path: Path, found: Probe) -> tuple[Probe, Loudness | None]:
        """Make the shared sound. Where nearly none of it can be decoded, the film goes on as one without sound."""
        if not found.has_audio:
            return found, None
        measure = ffmpeg.measure_command(self._tool, path, found)
        try:
            measured = parse_summary(self._ffmpeg(Step.SOUND, measure, found, 0.5))
            make = ffmpeg.audio_command(self._tool, path, found, measured)
            self._ffmpeg(Step.SOUND, make, found, 0.5, begun=0.5)
        except MediaFailure as failure:
            if failure.code is not FailureCode.TRUNCATED:
                raise
            return replace(found, audio=None), None
        return found, measured

    def _first(self, path: Path, found: Probe, rendition: Rendition) -> Encoded:
        folder = self._folder(rendition)
        self._ffmpeg(Step.FIRST, ffmpeg.first_command(self._tool, path, found, rendition), found)
        made = hls.measure(folder, rendition, has_audio=found.has_audio)
        check_whole(made, found)
        return Encoded(
            probe=found,
            renditions=(made,),
            thumbnail=self._workdir / ffmpeg.THUMBNAIL_FILE,
            strip=self._workdir / ffmpeg.STRIP_FILE,
            strip_frames=ffmpeg.strip_frames(found, rendition.frame_rate),
            loudness=None,
            complete=False,
        )

    def _ladder(self, path: Path, found: Probe, renditions: Sequence[Rendition]) -> list[MadeRendition]:
        folders = [self._folder(rendition) for rendition in renditions]
        self._ffmpeg(Step.LADDER, ffmpeg.ladder_command(self._tool, path, found, renditions), found)
        return [
            hls.measure(folder, rendition, has_audio=found.has_audio)
            for folder, rendition in zip(folders, renditions, strict=True)
        ]

    def _folder(self, rendition: Rendition) -> Path:
        folder = self._workdir / rendition.name
        folder.mkdir()
        return folder

    def _ffmpeg(self, step: Step, command: list[str], found: Probe, share: float = 1.0, *, begun: float = 0.0) -> str:
        """Run one command that is `share` of a step. Answers the end of its standard error."""
        length = float(found.shown_duration)
        self._report(step, begun)
        finished = sandbox.run(
            command,
            folder=self._workdir,
            limits=limits_for(found),
            on_progress=lambda seconds: self._report(step, begun + share * min(1.0, seconds / length)),
        )
        if finished.returncode == _MOSTLY_UNDECODABLE:
            raise MediaFailure(FailureCode.TRUNCATED, finished.stderr)
        if finished.returncode != 0:
            raise MediaFailure(FailureCode.ENCODE_FAILED, f"ffmpeg ended with {finished.returncode}: {finished.stderr}")
        return finished.stderr

    def _report(self, step: Step, done: float, *, whole: bool = False) -> None:
        begin, end = _SHARES[step]
        self._on_progress(step, 1.0 if whole else begin + (end - begin) * done)


def limits_for(found: Probe) -> sandbox.Limits:
    """What one ffmpeg may take for this source: several times what it needs where it was measured."""
    pixels_a_second = found.width * found.height * min(float(found.frame_rate), 240.0)
    cpu = 120 + float(found.shown_duration) * (4 + pixels_a_second / 4_000_000)
    if found.hdr:
        cpu *= 3
    return sandbox.Limits(cpu_seconds=round(cpu), wall_seconds=2 * cpu, memory_bytes=config.current().job_memory_bytes)


def check_whole(made: MadeRendition, found: Probe) -> None:
    """Raises MediaFailure `encode_failed` when much less was made than the source promised."""
    missing = found.shown_duration - made.duration
    if missing > Fraction(1, 2) and missing > found.shown_duration / 20:
        raise MediaFailure(
            FailureCode.ENCODE_FAILED, f"made {float(made.duration):.2f} of {float(found.shown_duration):.2f} s"
        )


def check_alike(made: Sequence[MadeRendition]) -> None:
    """Raises MediaFailure `encode_failed` when renditions differ by more than a frame, so that none can stand for
    another in the middle of playing."""
    durations = [rendition.duration for rendition in made]
    if max(durations) - min(durations) > 1 / made[0].frame_rate:
        lengths = {rendition.name: float(rendition.duration) for rendition in made}
        raise MediaFailure(FailureCode.ENCODE_FAILED, f"the renditions differ in length: {lengths}")
