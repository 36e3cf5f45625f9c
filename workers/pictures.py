"""The thumbnail a person chose themselves: any bytes at all, until it has been drawn anew here.

What people see is always a picture of our making: of sensible size, and without the place and the camera that
phones write into theirs.
"""

from __future__ import annotations

from pathlib import Path

from popoff.media.failures import FailureCode, MediaFailure
from workers import sandbox
from workers.encode import find_tool

LONGEST_SIDE = 1280
MAX_PIXELS = 50_000_000

_JPEG = b"\xff\xd8\xff"
_LIMITS = sandbox.Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=1024**3, file_bytes=16 * 1024**2)


def redrawn(source: Path, target: Path) -> Path:
    """Draw the JPEG `source` anew as `target` in the same folder, at most LONGEST_SIDE pixels long.

    Raises MediaFailure: `not_media` for anything that is not one whole JPEG, `resource_limit`, `timeout`.
    """
    with source.open("rb") as file:
        if file.read(len(_JPEG)) != _JPEG:
            raise MediaFailure(FailureCode.NOT_MEDIA, "not a JPEG")
    finished = sandbox.run(_command(source, target), folder=target.parent, limits=_LIMITS)
    if finished.returncode != 0 or not target.exists():
        raise MediaFailure(FailureCode.NOT_MEDIA, finished.stderr)
    return target


def _command(source: Path, target: Path) -> list[str]:
    tool = find_tool()
    box = f"w='min({LONGEST_SIDE},iw)':h='min({LONGEST_SIDE},ih)'"
    fitted = f"scale={box}:force_original_aspect_ratio=decrease:force_divisible_by=2:out_range=pc,format=yuvj420p"
    return [
        *(tool.path, "-y", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-threads", "1", "-xerror"),
        *("-protocol_whitelist", "file", "-format_whitelist", "jpeg_pipe", "-codec_whitelist", "mjpeg"),
        *("-err_detect", "explode", "-max_pixels", str(MAX_PIXELS), "-f", "jpeg_pipe", "-i", str(source)),
        *("-map", "0:v:0", "-frames:v", "1", "-vf", fitted, "-map_metadata", "-1"),
        *("-c:v", "mjpeg", "-q:v", "3", "-f", "image2", "-update", "1", str(target)),
    ]
