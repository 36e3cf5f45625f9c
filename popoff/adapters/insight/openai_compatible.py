"""Embeddings and speech from OpenAI, or from any server that speaks its protocol.

Vectors have 256 numbers whatever the server makes of our `dimensions`: one that does not know the
parameter is asked again without it; longer vectors are projected by a fixed matrix of random signs (which
keeps cosines to about 0.06), shorter ones are filled with zeros (which keeps them exactly).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import email.utils
import functools
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from popoff.adapters.insight.local import DIMENSION
from popoff.adapters.insight.text import PostText
from popoff.kernel import clock
from popoff.kernel.errors import Unavailable

DEFAULT_BASE_URL = "https://api.openai.com/v1"
BATCH_TEXTS = 32
MAX_TEXT_CHARACTERS = 3000  # keeps below 8,191 tokens a text also in scripts that cost two or more a character

CONNECT_SECONDS = 5.0
EMBED_SECONDS = 30.0
SPEECH_SECONDS = 120.0
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0

_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

Vectors = npt.NDArray[np.float64]


class InsightUnavailable(Unavailable):
    """The provider does not answer, refuses, or answers nonsense.

    `details`: `status` (HTTP, when there was an answer) and `retry_after` (seconds, when it asked for a pause).
    """

    code = "insight_unavailable"
    message = "The service that reads captions does not answer."


class OpenAICompatible:
    """A client of `/embeddings` and `/audio/transcriptions` under `base_url` (empty: OpenAI's own).

    Busy answers (429, 5xx), timeouts and broken connections are tried again, up to ATTEMPTS in all, after
    the pause the server asks for or a growing, jittered one. `sleep` takes seconds.
    """

    dimension = DIMENSION

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        embedding_model: str,
        speech_model: str,
        sleep: Callable[[float], None] = time.sleep,
    ):
        address = httpx.URL((base_url or DEFAULT_BASE_URL).rstrip("/") + "/")
        # The host is part of the name: servers may call different models alike.
        self.model = f"{address.netloc.decode()}/{embedding_model}@{DIMENSION}"[:200]
        self._embedding_model = embedding_model
        self._speech_model = speech_model
        self._sends_dimensions = True
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(EMBED_SECONDS, connect=CONNECT_SECONDS),
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows (n, 256); a zero row for an empty text, which is not sent. Raises InsightUnavailable."""
        rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        written = [i for i, text in enumerate(texts) if text.strip()]
        for start in range(0, len(written), BATCH_TEXTS):
            batch = written[start : start + BATCH_TEXTS]
            rows[batch] = _fit(self._embed_batch([texts[i].strip()[:MAX_TEXT_CHARACTERS] for i in batch]))
        return rows

    def embed_posts(self, posts: Sequence[PostText]) -> npt.NDArray[np.float32]:
        """As `embed`, of each post's tags, caption and speech in that order."""
        return self.embed([post.plain() for post in posts])

    def transcribe(self, path: Path) -> str | None:
        """The words spoken in an audio file; None without a speech model. Raises InsightUnavailable, OSError.

        OpenAI takes up to 25 MB of mp3, mp4, m4a, wav or webm.
        """
        if not self._speech_model:
            return None

        def send() -> httpx.Response:
            with path.open("rb") as audio:
                return self._http.post(
                    "audio/transcriptions",
                    data={"model": self._speech_model, "response_format": "json"},
                    files={"file": (f"speech{path.suffix}", audio)},
                    timeout=httpx.Timeout(SPEECH_SECONDS, connect=CONNECT_SECONDS),
                )

        text = _json(self._answered(send)).get("text")
        if not isinstance(text, str):
            raise InsightUnavailable("The speech service sent no text.")
        return text.strip()

    def _embed_batch(self, texts: list[str]) -> Vectors:
        body: dict[str, Any] = {"model": self._embedding_model, "input": texts, "encoding_format": "float"}
        if self._sends_dimensions:
            try:
                return self._post_embeddings({**body, "dimensions": DIMENSION})
            except _DimensionsRefused:
                self._sends_dimensions = False
        return self._post_embeddings(body)

    def _post_embeddings(self, body: dict[str, Any]) -> Vectors:
        answer = self._answered(lambda: self._http.post("embeddings", json=body))
        return _read_vectors(_json(answer), len(body["input"]))

    def _answered(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """The first good answer. Raises InsightUnavailable when all attempts fail or more would not help."""
        failure = InsightUnavailable()
        for attempt in range(ATTEMPTS):
            answer = self._attempt(send)
            if isinstance(answer, httpx.Response):
                return answer
            failure = answer
            wait = _wait(failure, attempt)
            if wait is None:
                break
            self._sleep(wait)
        raise failure

    def _attempt(self, send: Callable[[], httpx.Response]) -> httpx.Response | InsightUnavailable:
        try:
            answer = send()
        except httpx.TimeoutException:
            return InsightUnavailable("The service that reads captions took too long.")
        except httpx.RequestError:
            return InsightUnavailable()
        if answer.is_success:
            return answer
        if answer.status_code in (400, 422) and _speaks_of_dimensions(answer):
            raise _DimensionsRefused(status=answer.status_code)
        details: dict[str, Any] = {"status": answer.status_code}
        if (asked := _retry_after(answer.headers.get("Retry-After"))) is not None:
            details["retry_after"] = asked
        return InsightUnavailable(f"The service that reads captions answered {answer.status_code}.", **details)


class _DimensionsRefused(InsightUnavailable):
    """The model makes vectors of one length only."""


def _wait(failure: InsightUnavailable, attempt: int) -> float | None:
    """Seconds to wait before the attempt after this one (counted from 0); None when there should be none."""
    if attempt == ATTEMPTS - 1 or failure.details.get("status", 503) not in _RETRIED:
        return None
    backoff = FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - spreads clients, no secret
    wait: float = failure.details.get("retry_after", backoff)
    return wait if wait <= LONGEST_PAUSE_SECONDS else None


def _retry_after(header: str | None) -> float | None:
    """Seconds from now, of the header's two forms: a number or a date."""
    if not header:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - clock.timestamp())
    return None


def _speaks_of_dimensions(answer: httpx.Response) -> bool:
    text = answer.text.lower()
    return "dimension" in text or "matryoshka" in text


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InsightUnavailable("The service that reads captions sent no JSON object.")
    return body


def _read_vectors(body: dict[str, Any], count: int) -> Vectors:
    """Rows (count, any length) in the order of the request, sent as numbers or as base64 of little-endian float32."""
    try:
        items = sorted(body["data"], key=lambda item: item["index"])
        rows = np.array([_numbers(item["embedding"]) for item in items], dtype=np.float64)
        in_order = [item["index"] for item in items] == list(range(count))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InsightUnavailable("The embedding service sent something else than vectors.") from error
    if not in_order or rows.ndim != 2 or rows.shape[1] == 0 or not np.isfinite(rows).all():
        raise InsightUnavailable("The embedding service sent not one good vector for each text.")
    return rows


def _numbers(embedding: str | list[float]) -> npt.NDArray[Any]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    return np.asarray(embedding, dtype=np.float64)


def _fit(rows: Vectors) -> Vectors:
    """Unit rows (n, 256) of rows (n, d)."""
    if rows.shape[1] > DIMENSION:
        rows = rows @ _signs(rows.shape[1])
    elif rows.shape[1] < DIMENSION:
        rows = np.pad(rows, ((0, 0), (0, DIMENSION - rows.shape[1])))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


@functools.lru_cache(maxsize=4)
def _signs(length: int) -> Vectors:
    """The projection (length, 256): +-1 by the top bit of SplitMix64 of each cell's number, the same for ever."""
    with np.errstate(over="ignore"):
        z = np.arange(1, length * DIMENSION + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.where(z >> np.uint64(63), -1.0, 1.0).reshape(length, DIMENSION)
