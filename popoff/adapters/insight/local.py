"""The embedding that is always there: no download, no key, the same numbers in every process.

A post becomes a sparse bag of features: words, pairs of neighbouring words, the 3- to 5-letter pieces of
each word (so that inflections and misspellings stay near), 1- to 3-character pieces of runs without
spaces, and the concepts of the topic lexicon. Each feature is hashed (BLAKE2b) to eight signed coordinates
out of 256: a sparse random projection (Kane and Nelson 2014) of the 2**72 possible features in one step,
without a table. To this text part, of length `sqrt(1 - a)`, comes a topic part of length `sqrt(a)` in
which every topic has a direction of its own, exactly orthogonal to the others (rows of a Hadamard matrix).
`a` grows with the evidence to at most TOPIC_SHARE. So captions of one topic have a cosine of about 0.6
without sharing a word (above the 0.55 at which an interest takes up a post) and more when they do; captions
of different topics have one near 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from popoff.adapters.insight import topics
from popoff.adapters.insight.text import Passage, PostText, is_dense, is_emoji, passages, says_something

DIMENSION = 256
VERSION = 1
"""Raised with every change that moves a vector, of this file, `text.py`, lexicon or stop words (a test watches)."""

TOPIC_SHARE = 0.7
TOPIC_EVIDENCE = 0.1  # evidence at which half of TOPIC_SHARE is reached; one word of a caption has 0.69

WORD, PAIR, PIECES, CONCEPT = 1.0, 0.5, 0.9, 1.4
_COORDINATES = 8

Features = dict[str, float]
Vector = npt.NDArray[np.float64]


class LocalInsight:
    """Embeds with the features above; knows no speech."""

    model = f"popoff-local-{VERSION}"
    dimension = DIMENSION

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows (n, 256), one for each text; a zero row where a text has no content."""
        return self.embed_posts([PostText(description=text) for text in texts])

    def embed_posts(self, posts: Sequence[PostText]) -> npt.NDArray[np.float32]:
        """Unit rows (n, 256), one for each post; a zero row where a post says nothing."""
        rows = np.zeros((len(posts), DIMENSION), dtype=np.float32)
        for row, post in zip(rows, posts, strict=True):
            row[:] = _embed(passages(post))
        return rows

    def transcribe(self, path: Path) -> str | None:
        """None: speech needs a provider."""
        return None


def _embed(found: Sequence[Passage]) -> Vector:
    concepts = topics.concepts(found)
    text = _normalised(_project({**_text_features(found), **_concept_features(concepts)}))
    about = topics.topics(concepts)
    if not about:
        return text
    evidence = sum(about.values())
    share = TOPIC_SHARE * evidence / (evidence + TOPIC_EVIDENCE)
    return _normalised(math.sqrt(1 - share) * text + math.sqrt(share) * _topic_direction(about))


def _text_features(found: Sequence[Passage]) -> Features:
    """Feature -> weight: its kind's weight times a sublinear count of the passages' weights it stands in."""
    counts: dict[tuple[str, float], float] = defaultdict(float)
    for passage in found:
        words = [word for word in passage.words if says_something(word)]
        for word in words:
            for feature, weight in _of_word(word):
                counts[feature, weight] += passage.weight
        for left, right in itertools.pairwise(words):
            counts[f"2 {left} {right}", PAIR] += passage.weight
    return {feature: weight * math.log1p(count) for (feature, weight), count in counts.items()}


def _concept_features(found: Mapping[topics.Concept, float]) -> Features:
    return {f"c {topic} {line}": CONCEPT * strength for (topic, line), strength in found.items()}


@functools.lru_cache(maxsize=8192)
def _of_word(word: str) -> tuple[tuple[str, float], ...]:
    """Features of one word with their weights. All pieces of a word together weigh PIECES, however long it is."""
    if is_dense(word):
        return tuple(
            (f"d {word[at : at + size]}", weight)
            for size, weight in ((1, 0.3), (2, 0.8), (3, 0.5))
            for at in range(len(word) - size + 1)
        )
    whole = (f"1 {word}", WORD)
    if is_emoji(word):
        return (whole,)
    edged = f"<{word}>"
    pieces = [edged[at : at + size] for size in (3, 4, 5) for at in range(len(edged) - size + 1)]
    return (whole, *((f"p {piece}", PIECES / math.sqrt(len(pieces))) for piece in pieces))


def _project(features: Features) -> Vector:
    """The sum of the features' directions, each times its weight: (256,)."""
    if not features:
        return np.zeros(DIMENSION)
    digests = np.frombuffer(b"".join(map(_digest, features)), dtype=np.uint8).reshape(-1, _COORDINATES + 1)
    signs = 1.0 - 2.0 * np.unpackbits(digests[:, _COORDINATES:], axis=1)
    values = signs * np.fromiter(features.values(), dtype=np.float64)[:, None]
    return np.bincount(digests[:, :_COORDINATES].ravel(), values.ravel(), DIMENSION).astype(np.float64)


@functools.lru_cache(maxsize=65536)
def _digest(feature: str) -> bytes:
    """Eight coordinates, one byte each, and one byte of eight signs."""
    return blake2b(feature.encode(), digest_size=_COORDINATES + 1).digest()


def _topic_direction(about: Mapping[str, float]) -> Vector:
    """Unit vector (256,); strengths are squared, so that the main topic leads clearly."""
    direction = np.zeros(DIMENSION)
    for label, strength in about.items():
        direction += strength**2 * _axis(topics.LABELS.index(label))
    return _normalised(direction)


@functools.cache
def _axis(topic: int) -> Vector:
    """Row topic + 1 of the 256 x 256 Hadamard matrix: +-1 by the parity of the bits two indices share."""
    parity = np.bitwise_count(np.arange(DIMENSION) & (topic + 1)) & 1
    return np.where(parity, -1.0, 1.0)


def _normalised(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
