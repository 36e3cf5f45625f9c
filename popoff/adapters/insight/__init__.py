"""Insight into what a post is about: embeddings of its words, and the words spoken in it.

`insight()` gives the provider the settings ask for: an OpenAI-compatible server when a key or an address
is set, otherwise `LocalInsight`, which needs neither. Both give vectors of DIMENSION numbers. Vectors are
only comparable within one model: keep `model` beside each vector, and embed anew when it differs.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

import config
from popoff.adapters.insight.local import DIMENSION, LocalInsight
from popoff.adapters.insight.openai_compatible import InsightUnavailable, OpenAICompatible
from popoff.adapters.insight.text import PostText

__all__ = ["DIMENSION", "Insight", "InsightUnavailable", "PostText", "insight"]


class Insight(Protocol):
    """A provider. Calls may take seconds and belong outside any transaction."""

    @property
    def model(self) -> str:
        """Name and version of what made the vectors, at most 200 characters."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector: DIMENSION."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows (n, dimension) for texts such as search words; a zero row where a text has no content.

        Raises InsightUnavailable when the provider does not answer; nothing else takes its place.
        """

    def embed_posts(self, posts: Sequence[PostText]) -> npt.NDArray[np.float32]:
        """Unit rows (n, dimension) for posts, in which tags weigh more than captions; otherwise as `embed`."""

    def transcribe(self, path: Path) -> str | None:
        """What is said in an audio file ("" for nothing); None when no speech model is configured.

        Raises InsightUnavailable, and OSError when the file cannot be read.
        """


def insight() -> Insight:
    """The provider of the present settings."""
    settings = config.current()
    if not (settings.openai_api_key or settings.openai_base_url):
        return _LOCAL
    return _remote(
        os.getpid(),
        settings.openai_base_url,
        settings.openai_api_key,
        settings.openai_embedding_model,
        settings.openai_speech_model,
    )


_LOCAL = LocalInsight()


@functools.lru_cache(maxsize=4)
def _remote(_process: int, base_url: str, api_key: str, embedding_model: str, speech_model: str) -> OpenAICompatible:
    """One for each process, because connections must not be shared with a forked worker."""
    return OpenAICompatible(
        base_url=base_url, api_key=api_key, embedding_model=embedding_model, speech_model=speech_model
    )
