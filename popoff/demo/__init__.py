"""The demo: people, clips, and a week of what happened between them, made through the same services as the real thing.

`people`, `clips`, `life` and `money` have what there is of each; `past` says when it happened. Nothing here is by
chance: every demo is the same, counted from the day on which it is loaded.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import sqlalchemy as sa

from popoff.demo import clips, life, money, people
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.rules import Stage
from popoff.scoring import service as scoring
from popoff.web.transaction import transaction

PASSWORD, SIGN_INS = people.PASSWORD, people.SIGN_INS


def is_loaded() -> bool:
    return people.exists(people.MARK)


def load(say: Callable[[str], None], *, drain_jobs: Callable[[], subprocess.Popen[bytes]]) -> None:
    """Make the demo and wait until its clips can be played.

    Told again after it was cut short, it goes on where it was: what people did is one transaction, which ends it.
    `drain_jobs` starts a worker that ends when no job is left that somebody waits for: the clips are watched later.
    Raises Invalid (code `account_exists`) when a real person has one of the names.
    """
    say(f"Loading the demo, once: {len(people.ROLES)} people, {len(clips.CLIPS)} clips")
    with transaction():
        people.register()
    _post_clips(say)
    _transcode(say, drain_jobs)
    with transaction():
        people.register_mark()
        _live()


def _post_clips(say: Callable[[str], None]) -> None:
    with transaction():
        missing = clips.missing()
    if missing:
        say("  drawing the clips")
    for clip in missing:
        with clips.drawn(clip) as file, transaction():
            clips.post(clip, file)


def _transcode(say: Callable[[str], None], drain_jobs: Callable[[], subprocess.Popen[bytes]]) -> None:
    worker = drain_jobs()
    try:
        shown = 0
        running = True
        while running:
            running = worker.poll() is None  # asked before counting: the last count comes after the end
            ready = _ready()
            if ready > shown:
                say(f"  {ready} of {len(clips.CLIPS)} clips can be played")
                shown = ready
            time.sleep(0.2 if running else 0)
    finally:
        worker.terminate()
        worker.wait()
    if shown < len(clips.CLIPS):
        say("  the others are tried again while PopOff runs")


def _ready() -> int:
    with transaction():
        ready = sa.select(sa.func.count()).where(clips.is_ours(), Post.stage == Stage.READY.value)
        return db.session.scalar(ready) or 0


def _live() -> None:
    playable = sa.select(Post).where(clips.is_ours(), Post.playable_at.is_not(None)).order_by(Post.id)
    posts = db.session.scalars(playable).all()
    everybody = people.everybody()
    life.go_on(everybody, posts)
    scoring.rescore([post.id for post in posts])  # what a period pays is by the scores
    money.change_hands(everybody, posts)
