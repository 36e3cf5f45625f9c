"""The quality of films, by the trained model: watched in a confined child, stored beside the scores by the rules.

May run twice: the second answer takes the place of the first. A post is on show before, whatever happens here: a film
that cannot be watched is "not scored" with its reason. Trouble that may be ours (a child that dies, a store that is
away, a machine too busy) is tried again by the job's retries; after them, and without a model, the scores that are
there stay. What a version of the model was tried on is tried again by another, or when its words or renditions change.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

import config
from models_ml.quality import __main__ as quality
from models_ml.quality.score import NEEDS
from popoff.adapters import jobs
from popoff.kernel.errors import Unavailable
from popoff.media import queries as media
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.rules import HLS_FOLDER, Stage, prefix
from popoff.scoring import queries, rules, service
from popoff.scoring.rules import Film
from workers import models, renditions, sandbox, scratch
from workers.base import transaction

log = structlog.get_logger()

MODEL = "quality"
BATCH = 25
"""So many films at most are sent to be watched again in one round: transcoding goes first."""

# Isolated, Python looks for no modules where it stands: the child is told where we are.
_START = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("models_ml.quality", run_name="__main__")
"""


@dataclass(frozen=True)
class _Task:
    """What a run has to know of its post. `rendition`: the folder of the best one; `shown`: digests as in Film."""

    rendition: str
    caption: str
    tags: tuple[str, ...]
    shown: tuple[str, str]


def run(post_id: int) -> None:
    """Watch the film of one post, and store what comes of it. Raises Unavailable when another try may go better."""
    model = models.in_use(MODEL, NEEDS)
    with transaction():
        task = _task(post_id)
    if model is None or task is None:
        return
    try:
        film = _watched(task, model.version)
    except MediaFailure as failure:
        log.warning("film_not_watched", post_id=post_id, reason=failure.code, detail=failure.detail[-2000:])
        if failure.code.worth_retrying:
            raise Unavailable(failure.code.sentence, code=failure.code) from failure
        with transaction():
            service.note_in_vain(post_id, model.version)
        return
    if film is not None:
        with transaction():
            service.note_film(post_id, film)


def given_up(_error: str, post_id: int | None = None) -> None:
    """The tries are used up. (The other job of this module is about no post.)"""
    model = models.in_use(MODEL, NEEDS)
    if model is not None and post_id is not None:
        service.note_in_vain(post_id, model.version)


def ask(post_id: int) -> None:
    """Have the film of a post watched, unless the model in use has seen it as it is now."""
    model = models.in_use(MODEL, NEEDS)
    if model is None:
        return
    inputs = queries.quality_inputs([post_id]).get(post_id)
    if inputs and not inputs.missing and not rules.seen(inputs, model.version):
        _send(post_id)


def watch_again() -> None:
    """Send films to be watched on which the model in use was not tried as they are now, a few at a time."""
    model = models.in_use(MODEL, NEEDS)
    if model is None:
        return
    with transaction():
        for post_id in queries.unwatched(model.version, BATCH):
            _send(post_id)


def _send(post_id: int) -> None:
    jobs.stage("scoring.film", unique_key=f"film:{post_id}", post_id=post_id)


def _task(post_id: int) -> _Task | None:
    """None for a post that is gone, has no film here, or is not ready (yet)."""
    post = media.by_id(post_id)
    if post is None or post.deleted_at is not None or post.stage != Stage.READY.value or not post.renditions:
        return None
    best = max(post.renditions, key=lambda made: int(made["width"]) * int(made["height"]))
    folder = f"{prefix(post.user_id, post.upload_id)}{HLS_FOLDER}/{best['name']}/"
    caption = "\n".join(part for part in (post.title, post.description) if part)
    return _Task(folder, caption, tuple(post.tags), (queries.written(post), queries.encoded(post)))


def _watched(task: _Task, version: str) -> Film | None:
    """What the model says of a film; None when there is no model after all. Raises MediaFailure when nothing is known
    about the film: the child died or ran out of time, the film is not there."""
    with scratch.private_folder() as folder:
        file = renditions.join(task.rendition, folder / "film.mp4")
        finished = sandbox.run(_command(task, file), folder=folder, limits=_limits())
    said = finished.stderr.strip().splitlines()
    match finished.returncode:
        case 0:
            return _understood(json.loads(finished.stdout), task, version)
        case quality.UNREADABLE if said:
            return Film(version, *task.shown, reason=said[-1].rstrip("."))
        case quality.NO_MODEL:
            log.error("model_missing", model=MODEL, reason=said[-1] if said else "")
            return None
        case quality.OUT_OF_TIME:
            raise MediaFailure(FailureCode.TIMEOUT, finished.stderr)
        case _:
            raise MediaFailure(FailureCode.ENCODE_FAILED, f"ended with {finished.returncode}: {finished.stderr}")


def _command(task: _Task, file: Path) -> list[str]:
    told = [f"--caption={task.caption}", *(f"--tag={tag}" for tag in task.tags)]
    stores = [f"--store={store.resolve()}" for store in models.stores()]
    return [sys.executable, "-I", "-c", _START, str(config.PROJECT), str(file), *told, *stores]


def _limits() -> sandbox.Limits:
    memory = config.current().job_memory_bytes
    return sandbox.Limits(cpu_seconds=180, wall_seconds=240, memory_bytes=memory, file_bytes=1024**2, niceness=10)


def _understood(answer: dict[str, Any], task: _Task, version: str) -> Film:
    """The answer of the child. A film of which nothing could be told has a reason and no parts, and no model was asked:
    the one that would have been, is said to have been."""
    parts = {name: {"score": score, "feedback": answer["feedback"][name]} for name, score in answer["scores"].items()}
    if answer["scores"]["audioVisual"] is None:
        reason = parts["audioVisual"]["feedback"].removeprefix("Not scored: ").rstrip(".")
        return Film(version, *task.shown, reason=reason)
    return Film(answer["model"], *task.shown, parts=parts, measurements=answer["measurements"])
