"""The existing phone app, replayed from Node with its own HTTP library, lives with the running platform."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.support.node import NodeUnavailable, PhoneNode, phone_node

STORY_SECONDS = 280
PACKAGE_SECONDS = 8
CLIP_SECONDS = 3


def _ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, timeout=60)


def _what_a_phone_has(folder: Path) -> dict[str, Path]:
    """An HLS package as the app makes it (5 s segments), a single file and a thumbnail, upright 360x640."""
    package, clip, thumbnail = folder / "package", folder / "clip.mp4", folder / "thumbnail.jpg"
    package.mkdir()
    picture = ["-f", "lavfi", "-i", "testsrc2=size=360x640:rate=24"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "48", "-c:a", "aac"]
    segments = ["-hls_time", "5", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments"]
    names = ["-hls_segment_filename", str(package / "segment_%03d.ts"), str(package / "playlist.m3u8")]
    _ffmpeg(*picture, *sound, "-t", str(PACKAGE_SECONDS), *codecs, *segments, *names)
    _ffmpeg(*picture, *sound, "-t", str(CLIP_SECONDS), *codecs, str(clip))
    _ffmpeg("-ss", "1", "-i", str(clip), "-frames:v", "1", "-update", "1", "-q:v", "2", str(thumbnail))
    return {"--hls-package": package, "--clip": clip, "--thumbnail": thumbnail}


@pytest.fixture(scope="module")
def node() -> PhoneNode:
    try:
        return phone_node()
    except NodeUnavailable as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _what_a_phone_has(tmp_path_factory.mktemp("phone"))


@pytest.mark.timeout(STORY_SECONDS + 20)
@pytest.mark.parametrize("style", ["android", "ios"])
def test_the_phone_app_tells_its_whole_story(
    live_platform: Any, node: PhoneNode, files: dict[str, Path], style: str
) -> None:
    arguments = ["--base", f"{live_platform.base_url}/api", "--style", style]
    for option, path in files.items():
        arguments += [option, str(path)]
    try:
        done = node.run("flows.mjs", *arguments, timeout=STORY_SECONDS)
    except subprocess.TimeoutExpired as stuck:
        said = (stuck.stdout or b"").decode() if isinstance(stuck.stdout, bytes) else stuck.stdout or ""
        pytest.fail(f"the story did not end within {STORY_SECONDS} s; it got as far as:\n{said}", pytrace=False)
    print(done.stdout)
    if done.returncode != 0:
        pytest.fail(_what_went_wrong(done), pytrace=False)


def _what_went_wrong(done: subprocess.CompletedProcess[str]) -> str:
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    broken = next((line for line in lines if line.get("ok") is False), None)
    if broken is None:
        return f"the replay itself failed:\n{done.stderr}"
    request = json.dumps(broken["request"], indent=2, ensure_ascii=False)
    return (
        f"step {broken['step']}, {broken['name']}\n"
        f"  expected: {broken['expected']}\n  got: {broken['got']}\n  request: {request}\n{done.stderr}"
    )
