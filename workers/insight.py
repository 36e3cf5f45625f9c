"""What a post is about: caption, tags and speech become a vector and a category.

May run twice: the second result takes the place of the first. The provider is asked outside any transaction.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import structlog

import config
from popoff.adapters.insight import PostText, insight
from popoff.adapters.storage import store
from popoff.feed import service as feed
from popoff.feed.categories import categorise
from popoff.media import queries
from workers.base import transaction

log = structlog.get_logger()


def run(post_id: int) -> None:
    """Index one post for the feed. Raises InsightUnavailable when the provider is away (the job is tried again)."""
    with transaction():
        post = queries.by_id(post_id)
        if post is None or post.deleted_at is not None or post.playable_at is None:
            return
        description, tags, key = post.description, list(post.tags), post.source_key
        has_audio = bool(post.source_facts.get("has_audio"))
    transcript = _transcript(key) if has_audio else ""
    provider = insight()
    vector = provider.embed_posts([PostText(description, tuple(tags), transcript)])[0]
    with transaction():
        feed.index_post(post_id, vector if vector.any() else None, categorise(description, tags), provider.model)


def _transcript(key: str) -> str:
    """What is said in the video; nothing when no speech model is configured."""
    if not config.current().openai_speech_model:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        store().download(key, source, max_bytes=config.current().max_upload_bytes)
        return insight().transcribe(source) or ""
