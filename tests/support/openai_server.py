"""A small server that speaks the OpenAI protocol for embeddings and transcriptions, with faults on demand.

    with openai_server() as server:
        server.faults += [Fault(429, retry_after="0.01"), Fault(500)]     # the next two answers
        OpenAICompatible(base_url=server.url, ...)

Vectors are made from the words of the text, so that texts with common words are near each other.
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import json
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fault:
    """An answer other than the right one: a status (0: close the connection), a delay in seconds, or a body."""

    status: int = 200
    retry_after: str = ""
    delay: float = 0.0
    body: bytes = b'{"error": {"message": "fault on demand"}}'


@dataclass
class Request:
    """What the client sent; `json` for embeddings, `fields` and `files` for transcriptions."""

    path: str
    headers: dict[str, str]
    json: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass
class OpenAIServer:
    """Switches and records of a running server."""

    url: str = ""
    api_key: str = ""  # when set, requests without it are refused
    native_dimension: int = 1536
    knows_dimensions: bool = True  # honours the parameter; otherwise it is ignored ...
    refuses_dimensions: bool = False  # ... or refused with 400
    always_base64: bool = False
    reversed_order: bool = False
    transcript: str = "hello and welcome to my kitchen"
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def vector(self, text: str, dimension: int) -> np.ndarray:
        total = np.zeros(dimension)
        for word in text.lower().split():
            total += np.random.default_rng(zlib.crc32(word.encode())).normal(size=dimension)
        return (total / (np.linalg.norm(total) or 1.0)).astype("<f4")

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return 401, {"error": {"message": "Incorrect API key provided."}}
        if request.path == "/v1/embeddings":
            return self._embeddings(request.json)
        if request.path == "/v1/audio/transcriptions":
            if "model" not in request.fields or "file" not in request.files:
                return 400, {"error": {"message": "file and model are required"}}
            return 200, {"text": self.transcript}
        return 404, {"error": {"message": "no such route"}}

    def _embeddings(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not texts or any(not text.strip() for text in texts):
            return 400, {"error": {"message": "input cannot be an empty string"}}
        if self.refuses_dimensions and "dimensions" in body:
            return 400, {"error": {"message": "This model does not support specifying dimensions."}}
        dimension = body.get("dimensions", self.native_dimension) if self.knows_dimensions else self.native_dimension
        as_text = self.always_base64 or body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(self.vector(text, dimension), as_text)}
            for i, text in enumerate(texts)
        ]
        return 200, {"object": "list", "model": body["model"], "data": data[::-1] if self.reversed_order else data}


def _encoded(vector: np.ndarray, as_text: bool) -> str | list[float]:
    return base64.b64encode(vector.tobytes()).decode() if as_text else [float(x) for x in vector]


@contextlib.contextmanager
def openai_server(**switches: Any) -> Iterator[OpenAIServer]:
    """A server on a free port of this machine, stopped at the end of the `with` block."""
    state = OpenAIServer(**switches)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = _read(self)
            state.requests.append(request)
            fault = state.faults.pop(0) if state.faults else None
            if fault:
                time.sleep(fault.delay)
            if fault and fault.status == 0:
                self.close_connection = True
                return
            if fault and not fault.delay:
                _send(self, fault.status, fault.body, {"Retry-After": fault.retry_after} if fault.retry_after else {})
                return
            status, body = state.answer(request)
            _send(self, status, json.dumps(body).encode(), {})

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read(handler: BaseHTTPRequestHandler) -> Request:
    raw = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    request = Request(handler.path, {name.lower(): value for name, value in handler.headers.items()})
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        request.json = json.loads(raw)
    elif kind.startswith("multipart/form-data"):
        message = email.message_from_bytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw, policy=email.policy.HTTP
        )
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if part.get_filename():
                request.files[name] = (part.get_filename(), content)
            else:
                request.fields[name] = content.decode()
    return request


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
