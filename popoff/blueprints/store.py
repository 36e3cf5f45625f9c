"""`/media`: the folder store's signed links, and playback links for either store."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, send_file

import config
from popoff.adapters import storage
from popoff.adapters.storage import FolderStore, ObjectNotFound, StoredFile
from popoff.adapters.storage.signing import rewrite_playlist
from popoff.kernel.errors import NotFound
from popoff.web.access import public

blueprint = Blueprint("store", __name__, url_prefix="/media")

PLAYLIST_SECONDS = 10
"""A playlist changes once, when the rest of the ladder joins the first rendition."""

MAX_PLAYLIST_BYTES = 1024**2


def _folder() -> FolderStore:
    """The folder store; where a bucket is set these links do not exist."""
    store = storage.store()
    if not isinstance(store, FolderStore):
        raise NotFound
    return store


@blueprint.route("/store/<path:key>", methods=["PUT"])
@public
def put(key: str) -> Response:
    """Take an upload on a signed link: one object, or one part of a multipart upload."""
    request.max_content_length = config.current().max_upload_bytes
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
    return _send(_folder().verify_get(key, request.args))


@blueprint.route("/play/<grant>/<path:key>")
@public
def play(grant: str, key: str) -> Response:
    """Playback: the grant in the path covers the playlists, segments and pictures below its folder."""
    prefix = storage.check_grant(grant, key)
    store = storage.store()
    if isinstance(store, FolderStore):
        return _send(store.locate(key))
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


def _send(file: StoredFile) -> Response:
    """A stored file with ranges and conditions; never rendered by a browser as a page of ours."""
    answer = send_file(
        file.path,
        mimetype=file.info.content_type,
        conditional=True,
        etag=file.info.etag,
        last_modified=file.info.modified,
    )
    answer.headers.update(file.headers)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    if file.info.key.endswith(".m3u8"):
        answer.headers["Cache-Control"] = f"max-age={PLAYLIST_SECONDS}"
    return answer
