"""What a post is about: caption, tags and speech become a vector and a category.

May run twice: the second result takes the place of the first. The provider is asked outside any transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

import config
from popoff.adapters.insight import PostText, insight
from popoff.feed import service as feed
from popoff.feed.categories import categorise
from popoff.media import queries, rules
from popoff.media.failures import FailureCode, MediaFailure
from workers import renditions, sandbox, scratch
from workers.base import transaction
from workers.encode import find_tool

log = structlog.get_logger()

_LIMITS = sandbox.Limits(cpu_seconds=60, wall_seconds=120, memory_bytes=1024**3)


@dataclass(frozen=True)
class _Words:
    description: str
    tags: tuple[str, ...]


def run(post_id: int) -> None:
    """Index one post for the feed. Raises InsightUnavailable when the provider is away (the job is tried again)."""
    with transaction():
        words, audible = _words(post_id), _audible(post_id)
    if words is None:
        return
    transcript = _transcript(audible) if audible else ""
    provider = insight()
    vector = provider.embed_posts([PostText(words.description, words.tags, transcript)])[0]
    category = categorise(words.description, words.tags, transcript)
    with transaction():
        if _words(post_id) == words:  # else the caption was changed meanwhile, and that change has a job of its own
            feed.index_post(post_id, vector if vector.any() else None, category, provider.model)


def _words(post_id: int) -> _Words | None:
    """What the author wrote; None for a post that is gone or cannot be played (yet)."""
    post = queries.by_id(post_id)
    if post is None or post.deleted_at is not None or post.playable_at is None:
        return None
    return _Words(post.description, tuple(post.tags))


def _audible(post_id: int) -> str:
    """The folder of the smallest rendition with sound; empty when there is none."""
    post = queries.by_id(post_id)
    heard = [made for made in post.renditions if "mp4a" in made["codecs"]] if post else []
    if post is None or not heard:
        return ""
    smallest = min(heard, key=lambda made: int(made["bytes"]))
    return f"{rules.prefix(post.user_id, post.upload_id)}{rules.HLS_FOLDER}/{smallest['name']}/"


def _transcript(rendition: str) -> str:
    """What is said in the video; nothing when no speech model is configured."""
    if not config.current().openai_speech_model:
        return ""
    with scratch.private_folder() as folder:
        return insight().transcribe(_sound(rendition, folder)) or ""


def _sound(rendition: str, folder: Path) -> Path:
    """The sound of a rendition as a file of its own: a few megabytes, which is what speech services take."""
    joined, sound = renditions.join(rendition, folder / "joined.mp4"), folder / "sound.m4a"
    command = [find_tool().path, "-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", "file"]
    copied = ["-f", "mov", "-i", joined.name, "-map", "0:a:0", "-c", "copy", "-f", "mp4", sound.name]
    finished = sandbox.run([*command, *copied], folder=folder, limits=_LIMITS)
    if finished.returncode != 0:
        raise MediaFailure(FailureCode.ENCODE_FAILED, finished.stderr)
    return sound
