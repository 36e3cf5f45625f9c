"""`/media`: the folder store's signed links, and playback links for either store.

The link is the authority here: nobody signs in, any page may read the answers, and refusals are one plain
sentence (the phone app shows the text of a refused PUT as it is).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from flask import Blueprint, Response, redirect, request, send_file

import config
from popoff.adapters import storage
from popoff.adapters.storage import FolderStore, ObjectNotFound, StoredFile
from popoff.adapters.storage.signing import rewrite_playlist
from popoff.kernel.errors import DomainError, NotFound
from popoff.web.access import public
from popoff.web.errors import status_of

blueprint = Blueprint("store", __name__, url_prefix="/media")

PLAYLIST_SECONDS = 10
"""A playlist changes once, when the rest of the ladder joins the first rendition."""

MAX_PLAYLIST_BYTES = 1024**2
SEND_ATTEMPTS = 3


def _folder() -> FolderStore:
    """The folder store; where a bucket is set these links do not exist."""
    store = storage.store()
    if not isinstance(store, FolderStore):
        raise NotFound
    return store


@blueprint.errorhandler(DomainError)
def _refused(error: DomainError) -> Response:
    """Answered at once, however much is still to come: the web server reads on for a client that is sending."""
    return Response(error.text, status_of(error), mimetype="text/plain", headers={"X-Error-Code": error.error_code})


@blueprint.after_request
def _for_everybody(answer: Response) -> Response:
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Expose-Headers"] = "ETag, X-Error-Code"
    if request.method == "OPTIONS":
        answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "GET")
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type, Range"
        answer.headers["Access-Control-Max-Age"] = "86400"
    return answer


@blueprint.route("/store/<path:key>", methods=["PUT"])
@public
def put(key: str) -> Response:
    """Take an upload on a signed link: one object, or one part of a multipart upload."""
    request.max_content_length = sys.maxsize  # the link says how much it takes
    if "part" in request.args:
        part = _folder().accept_part(key, request.args, request.content_length, request.stream)
        return _etag(part.etag)
    stored = _folder().accept_put(key, request.args, request.content_type, request.content_length, request.stream)
    return _etag(stored.etag)


def _etag(etag: str) -> Response:
    return Response(status=200, headers={"ETag": f'"{etag}"'})


@blueprint.route("/store/<path:key>")
@public
def get(key: str) -> Response:
    """Read an object on a signed link."""
    return _send(lambda: _folder().verify_get(key, request.args))


@blueprint.route("/play/<grant>/<path:key>")
@public
def play(grant: str, key: str) -> Response:
    """Playback: the grant in the path covers the playlists, segments and pictures below its folder."""
    prefix = storage.check_grant(grant, key)
    store = storage.store()
    if isinstance(store, FolderStore):
        return _send(lambda: store.locate(key))
    if key.endswith(".m3u8"):
        folder = key.rpartition("/")[0]
        text = store.read(key, MAX_PLAYLIST_BYTES).decode()
        return _playlist(rewrite_playlist(text, lambda name: _presigned(f"{folder}/{name}", prefix)))
    return redirect(_presigned(key, prefix))  # type: ignore[return-value]


def _presigned(key: str, prefix: str) -> str:
    if not key.startswith(f"{prefix}/"):
        raise ObjectNotFound
    return storage.store().sign_get(key, expires_seconds=config.current().link_expiry_seconds)


def _playlist(text: str) -> Response:
    answer = Response(text, mimetype="application/vnd.apple.mpegurl")
    answer.cache_control.max_age = PLAYLIST_SECONDS
    return answer


def _send(find: Callable[[], StoredFile]) -> Response:
    """The file that `find` finds; found again when it was replaced before it could be opened."""
    for _ in range(SEND_ATTEMPTS):
        file = find()
        with contextlib.suppress(FileNotFoundError):
            return _file_answer(file)
    raise ObjectNotFound


def _file_answer(file: StoredFile) -> Response:
    """A stored file with ranges and conditions; never rendered by a browser as a page of ours."""
    answer = send_file(
        file.path,
        mimetype=file.info.content_type,
        download_name=file.info.key.rpartition("/")[2],
        conditional=True,
        etag=file.info.etag,
        last_modified=file.info.modified,
    )
    answer.headers.update(file.headers)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if file.info.key.endswith(".m3u8"):
        answer.headers["Cache-Control"] = f"max-age={PLAYLIST_SECONDS}"
    return answer
