"""The demo: people, clips and what happened between them, made through the same services as the real thing."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import sqlalchemy as sa

import config
from popoff.accounts import queries as accounts
from popoff.accounts import service as account_service
from popoff.accounts.rules import Role
from popoff.adapters.storage import store
from popoff.feed import service as feed
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Stage
from popoff.moderation import service as moderation
from popoff.social import service as social
from popoff.web.transaction import transaction

PASSWORD = "popoff-demo-1"  # noqa: S105 - known to everybody on purpose, and only on embedded databases
STAFF = {"boss": Role.ADMIN, "mo": Role.MODERATOR}
CREATORS = ("ada", "bela", "chen", "dina")
VIEWERS = ("eve", "farid", "gus", "hana")
SIGN_INS = "ada (creator), eve (viewer), mo (moderator) or boss (admin)"
_MARK = "hana"
_SEED = 20


@dataclass(frozen=True)
class Clip:
    """A clip that ffmpeg draws and plays by itself: a source filter, a tone, and a caption."""

    author: str
    picture: str
    tone_hz: int
    description: str
    tags: str


_LIFE = "life=s=270x480:r=20:mold=12:ratio=0.12:death_color=#400040:life_color=#40ffb0,scale=540:960:flags=neighbor"
_DUSK = "gradients=s=270x480:r=30:c0=#ff5f6d:c1=#ffc371:n=4:speed=0.02,scale=540:960"
_SEA = "gradients=s=270x480:r=30:c0=#0f2027:c1=#2c5364:c2=#7fd1ae:n=3:type=radial:speed=0.03,scale=540:960"
_DIVE = "mandelbrot=s=270x480:r=20:start_scale=2.5:maxiter=2000,scale=540:960"
_RULE = "cellauto=s=540x960:r=20:rule=110:random_fill_ratio=0.4"
CLIPS = (
    Clip("ada", _DIVE, 220, "Diving into the Mandelbrot set", "math,science"),
    Clip("ada", _LIFE, 262, "The game of life playing itself. One rule, endless shapes", "math,games,science"),
    Clip("ada", "sierpinski=s=540x960:r=30:type=triangle", 330, "Drawing a Sierpinski triangle", "math,art,tutorial"),
    Clip("bela", _DUSK, 392, "Sunset colours to relax to", "art,relax,nature"),
    Clip("bela", _SEA, 196, "Breathing with the ocean at night", "relax,nature,music"),
    Clip("chen", "testsrc2=s=960x540:r=30", 440, "Setting up the camera with a test card", "tutorial,tech,camera"),
    Clip("chen", "smptehdbars=s=960x540:r=30", 1000, "Colour bars explained in four seconds", "tutorial,tech"),
    Clip("dina", _RULE, 523, "Rule 110 knitting pattern", "crafts,math,art"),
    Clip("dina", "rgbtestsrc=s=540x960:r=30", 294, "Three stripes, one dance challenge", "dance,music,comedy"),
)
_SECONDS = 4


def is_loaded() -> bool:
    return accounts.by_login(_address(_MARK)) is not None


def load(say: Callable[[str], None], *, drain_jobs: Callable[[], subprocess.Popen[bytes]]) -> None:
    """Make the demo and wait until its clips can be played.

    Told again after it was cut short, it goes on where it was. `drain_jobs` starts a worker that ends when no job
    is left. Raises Invalid (code `account_exists`) when a real person has one of the names.
    """
    say(f"Loading the demo, once: {len(CREATORS) + len(VIEWERS) + len(STAFF)} people, {len(CLIPS)} clips")
    with transaction():
        _people()
    _post_clips(say)
    _transcode(say, drain_jobs)
    with transaction():
        _register(_MARK, Role.CONSUMER)
        _engage()


def _address(name: str) -> str:
    return f"{name}@demo.example"


def _people() -> None:
    roles = {**dict.fromkeys((*CREATORS, *VIEWERS), Role.CONSUMER), **STAFF}
    for name, role in roles.items():
        if name != _MARK and accounts.by_login(_address(name)) is None:
            _register(name, role)


def _register(name: str, role: Role) -> None:
    account_service.register(name, _address(name), PASSWORD, role=role)


def _post_clips(say: Callable[[str], None]) -> None:
    with transaction():
        posted = set(db.session.scalars(sa.select(Post.description).where(_is_ours())))
    missing = [clip for clip in CLIPS if clip.description not in posted]
    if missing:
        say("  drawing the clips")
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(missing):
            file = Path(folder) / f"{number}.mp4"
            _draw(clip, file)
            with transaction():
                _post(clip, file)


def _post(clip: Clip, file: Path) -> None:
    user = accounts.visible_by_username(clip.author)
    ticket = media.begin_single(user.id, file.name, "video/mp4", file.stat().st_size)
    store().put_file(ticket.source_key, file, "video/mp4")
    media.create_post(user.id, ticket.source_key, "", clip.description, clip.tags)


def _is_ours() -> sa.ColumnElement[bool]:
    return Post.user_id.in_([accounts.visible_by_username(name).id for name in CREATORS])


def _draw(clip: Clip, file: Path) -> None:
    ffmpeg = config.current().ffmpeg_path or imageio_ffmpeg.get_ffmpeg_exe()
    command = [
        ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
        "-f", "lavfi", "-i", clip.picture,
        "-f", "lavfi", "-i", f"sine=frequency={clip.tone_hz}:beep_factor=2,volume=0.2",
        "-t", str(_SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(file),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _transcode(say: Callable[[str], None], drain_jobs: Callable[[], subprocess.Popen[bytes]]) -> None:
    worker = drain_jobs()
    try:
        shown = 0
        running = True
        while running:
            running = worker.poll() is None  # asked before counting: the last count comes after the end
            ready = _ready()
            if ready > shown:
                say(f"  {ready} of {len(CLIPS)} clips can be played")
                shown = ready
            time.sleep(0.2 if running else 0)
    finally:
        worker.terminate()
        worker.wait()
    if shown < len(CLIPS):
        say("  the others are tried again while PopOff runs")


def _ready() -> int:
    with transaction():
        ready = sa.select(sa.func.count()).where(_is_ours(), Post.stage == Stage.READY.value)
        return db.session.scalar(ready) or 0


def _engage() -> None:
    """Tastes with a little chance, the same in every demo."""
    dice = random.Random(_SEED)  # noqa: S311 - a demo, not a secret
    playable = sa.select(Post).where(_is_ours(), Post.playable_at.is_not(None)).order_by(Post.id)
    posts = db.session.scalars(playable).all()
    names = (*VIEWERS, *CREATORS)
    ids = {name: accounts.visible_by_username(name).id for name in names}
    for name in names:
        for creator in dice.sample([c for c in CREATORS if c != name], 2):
            social.follow(ids[name], creator, True)
        for post in posts:
            if post.user_id != ids[name] and dice.random() < 0.6:
                _watch(ids[name], post, dice)
    if posts:
        _talk(ids, posts)


def _watch(user_id: int, post: Post, dice: random.Random) -> None:
    seconds = dice.uniform(1, _SECONDS)
    liked = seconds > _SECONDS / 2
    counted = social.record_view(user_id, post.id, seconds)
    if liked:
        social.set_like(user_id, post.id, True)
    feed.learn(user_id, post.id, watch_ms=counted, liked=liked)


def _talk(ids: dict[str, int], posts: Sequence[Post]) -> None:
    first, last = posts[0], posts[-1]
    social.add_comment(ids["eve"], first.id, "I could watch this for hours")
    social.add_comment(ids["farid"], first.id, "What is the formula?")
    social.add_comment(ids["gus"], last.id, "My stripes are crooked")
    moderation.report_post(ids["gus"], last.id, "Flashing colours without a warning")
