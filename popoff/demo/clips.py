"""Clips that ffmpeg draws and plays by itself, and their way into the platform."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import sqlalchemy as sa

import config
from popoff.accounts import queries as accounts
from popoff.adapters.storage import store
from popoff.demo.past import OPENING, on
from popoff.demo.people import CREATORS
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.media.models import Post

SECONDS: float = 4


@dataclass(frozen=True)
class Clip:
    """What to draw (a source filter), the tone to it, and the caption."""

    author: str
    picture: str
    tone_hz: int
    description: str
    tags: str


_CELLS = "life=s=270x480:r=20:mold=12:ratio=0.12:random_seed=7:death_color=#400040:life_color=#40ffb0"
_LIFE = f"{_CELLS},scale=540:960:flags=neighbor"
_DUSK = "gradients=s=270x480:r=30:c0=#ff5f6d:c1=#ffc371:c2=#c471ed:n=3:speed=0.02:seed=7,scale=540:960"
_SEA = "gradients=s=270x480:r=30:c0=#0f2027:c1=#2c5364:c2=#7fd1ae:n=3:type=radial:speed=0.03:seed=7,scale=540:960"
_DIVE = "mandelbrot=s=270x480:r=20:start_scale=2.5:maxiter=2000,scale=540:960"
_SIEVE = "sierpinski=s=540x960:r=30:type=triangle:seed=7"
_RULE = "cellauto=s=540x960:r=20:rule=110:random_fill_ratio=0.4:random_seed=7"
CLIPS = (
    Clip("ada", _DIVE, 220, "Diving into the Mandelbrot set", "math,science"),
    Clip("ada", _LIFE, 262, "The game of life playing itself. One rule, endless shapes", "math,games,science"),
    Clip("ada", _SIEVE, 330, "Drawing a Sierpinski triangle", "math,art,tutorial"),
    Clip("bela", _DUSK, 392, "Sunset colours to relax to", "art,relax,nature"),
    Clip("bela", _SEA, 196, "Breathing with the ocean at night", "relax,nature,music"),
    Clip("chen", "testsrc2=s=960x540:r=30", 440, "Setting up the camera with a test card", "tutorial,tech,camera"),
    Clip("chen", "smptehdbars=s=960x540:r=30", 1000, "Colour bars explained in four seconds", "tutorial,tech"),
    Clip("dina", _RULE, 523, "Rule 110 knitting pattern", "crafts,math,art"),
    Clip("dina", "rgbtestsrc=s=540x960:r=30", 294, "Three stripes, one dance challenge", "dance,music,comedy"),
)


def is_ours() -> sa.ColumnElement[bool]:
    """Whether a post is one of the creators here."""
    return Post.user_id.in_([accounts.visible_by_username(name).id for name in CREATORS])


def missing() -> list[Clip]:
    """The clips that nobody has posted yet."""
    posted = set(db.session.scalars(sa.select(Post.description).where(is_ours())))
    return [clip for clip in CLIPS if clip.description not in posted]


@contextlib.contextmanager
def drawn(clip: Clip) -> Iterator[Path]:
    """The clip as a file, for the length of a `with` block."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        draw(clip, file)
        yield file


def draw(clip: Clip, file: Path) -> None:
    ffmpeg = config.current().ffmpeg_path or imageio_ffmpeg.get_ffmpeg_exe()
    command = [
        ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
        "-f", "lavfi", "-i", clip.picture,
        "-f", "lavfi", "-i", f"sine=frequency={clip.tone_hz}:beep_factor=2,volume=0.2",
        "-t", str(SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(file),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def post(clip: Clip, file: Path) -> None:
    """Upload and post it, an hour after the one before it."""
    user = accounts.visible_by_username(clip.author)
    with on(OPENING - 1, 8 + CLIPS.index(clip)):
        ticket = media.begin_single(user.id, file.name, "video/mp4", file.stat().st_size)
        store().put_file(ticket.source_key, file, "video/mp4")
        media.create_post(user.id, ticket.source_key, "", clip.description, clip.tags)
