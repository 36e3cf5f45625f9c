"""The quality of films, by the trained model: watched in a confined child, stored beside the scores by the rules.

May run twice: the second answer takes the place of the first. A post is on show before, whatever happens here: a film
that cannot be watched is "not scored" with its reason; a child that dies, or a model that is missing, is logged, and
the scores by the rules stay. What one version of the model was tried on is tried again only by another.
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
from popoff.media import queries as media
from popoff.media import rules
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.rules import Stage
from popoff.scoring import queries, service
from popoff.scoring.rules import Film, QualityInputs
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
    """What a run has to know of its post. `rendition`: the folder of the best one; `written`: a digest of its words."""

    rendition: str
    caption: str
    tags: tuple[str, ...]
    written: str


def run(post_id: int) -> None:
    """Watch the film of one post, and store what comes of it."""
    model = models.in_use(MODEL, NEEDS)
    with transaction():
        task = _task(post_id)
    if model is None or task is None:
        return
    try:
        film = _watched(task, model.version)
    except MediaFailure as failure:
        log.error("film_not_watched", post_id=post_id, reason=failure.code, detail=failure.detail[-2000:])
        film = Film(model.version, task.written)
    if film is not None:
        with transaction():
            service.note_film(post_id, film)


def ask(post_id: int) -> None:
    """Have the film of a post watched, unless the model in use has seen it with these words."""
    model = models.in_use(MODEL, NEEDS)
    if model is None:
        return
    inputs = queries.quality_inputs([post_id]).get(post_id)
    if inputs and not inputs.missing and not _seen(inputs, model.version):
        _send(post_id)


def watch_again() -> None:
    """Send films to be watched on which the model in use was not tried, a few at a time."""
    model = models.in_use(MODEL, NEEDS)
    if model is None:
        return
    with transaction():
        for post_id in queries.unwatched(model.version, BATCH):
            _send(post_id)


def _seen(inputs: QualityInputs, version: str) -> bool:
    return inputs.film is not None and (inputs.film.model, inputs.film.written) == (version, inputs.written)


def _send(post_id: int) -> None:
    jobs.stage("scoring.film", unique_key=f"film:{post_id}", post_id=post_id)


def _task(post_id: int) -> _Task | None:
    """None for a post that is gone, has no film here, or is not ready (yet)."""
    post = media.by_id(post_id)
    if post is None or post.deleted_at is not None or post.stage != Stage.READY.value or not post.renditions:
        return None
    best = max(post.renditions, key=lambda made: int(made["width"]) * int(made["height"]))
    folder = f"{rules.prefix(post.user_id, post.upload_id)}{rules.HLS_FOLDER}/{best['name']}/"
    caption = "\n".join(part for part in (post.title, post.description) if part)
    return _Task(folder, caption, tuple(post.tags), queries.written(post))


def _watched(task: _Task, version: str) -> Film | None:
    """What the model says of a film; None when there is no model after all. Raises MediaFailure when the child died."""
    with scratch.private_folder() as folder:
        file = renditions.join(task.rendition, folder / "film.mp4")
        finished = sandbox.run(_command(task, file), folder=folder, limits=_limits())
    said = finished.stderr.strip().splitlines()
    match finished.returncode:
        case 0:
            return _understood(json.loads(finished.stdout), task)
        case quality.UNREADABLE if said:
            return Film(version, task.written, reason=said[-1].rstrip("."))
        case quality.NO_MODEL:
            log.error("model_missing", model=MODEL, reason=said[-1] if said else "")
            return None
        case _:
            raise MediaFailure(FailureCode.ENCODE_FAILED, f"ended with {finished.returncode}: {finished.stderr}")


def _command(task: _Task, file: Path) -> list[str]:
    told = [f"--caption={task.caption}", *(f"--tag={tag}" for tag in task.tags)]
    stores = [f"--store={store.resolve()}" for store in models.stores()]
    return [sys.executable, "-I", "-c", _START, str(config.PROJECT), str(file), *told, *stores]


def _limits() -> sandbox.Limits:
    memory = config.current().job_memory_bytes
    return sandbox.Limits(cpu_seconds=180, wall_seconds=240, memory_bytes=memory, file_bytes=1024**2, niceness=10)


def _understood(answer: dict[str, Any], task: _Task) -> Film:
    """The answer of the child. A film of which nothing could be told has a reason and no parts."""
    parts = {name: {"score": score, "feedback": answer["feedback"][name]} for name, score in answer["scores"].items()}
    if answer["scores"]["audioVisual"] is None:
        reason = parts["audioVisual"]["feedback"].removeprefix("Not scored: ").rstrip(".")
        return Film(answer["model"], task.written, reason=reason)
    return Film(answer["model"], task.written, parts=parts, measurements=answer["measurements"])
