"""The folder store behind a real socket: the least that a web edge has to do for its links."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from popoff.adapters.storage import FolderStore, LengthRequired, signing
from popoff.kernel import errors

SECRET = "a secret of the tests"
STATUS = {
    LengthRequired: 411,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.Invalid: 400,
    errors.Unavailable: 503,
}


@contextlib.contextmanager
def running(root: Path) -> Iterator[FolderStore]:
    """A folder store under `root` whose links are served on a free loopback port."""
    server = make_server("127.0.0.1", 0, lambda *call: application(*call), threaded=True, request_handler=_Quiet)
    store = FolderStore(root, SECRET, lambda: f"http://127.0.0.1:{server.server_port}")

    @Request.application
    def application(request: Request) -> Response:
        try:
            return _answer(store, request)
        except errors.DomainError as error:
            status = next(code for family, code in STATUS.items() if isinstance(error, family))
            return Response(error.text, status)

    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(store: FolderStore, request: Request) -> Response:
    key = request.path.removeprefix(signing.STORE_PATH + "/")
    if request.method == "PUT" and "upload" in request.args:
        part = store.accept_part(key, request.args, request.content_length, request.stream)
        return Response(headers={"ETag": f'"{part.etag}"'})
    if request.method == "PUT":
        info = store.accept_put(
            key, request.args, request.headers.get("Content-Type"), request.content_length, request.stream
        )
        return Response(headers={"ETag": f'"{info.etag}"'})
    if request.method != "GET":
        return Response(status=405)
    file = store.verify_get(key, request.args)
    response = send_file(
        file.path,
        request.environ,
        mimetype=file.info.content_type,
        download_name=key.rpartition("/")[2],
        etag=file.info.etag,
        last_modified=file.info.modified,
    )
    response.headers.update(file.headers)
    return response


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass
