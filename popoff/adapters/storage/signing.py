"""Signatures of links that our own web process serves, as pure functions.

Two kinds. A *store link* (`/media/store/<key>?...&signature=`) allows one method on one key of the folder store.
A *play link* (`/media/play/<grant>/<prefix>/master.m3u8`) allows reading everything under a prefix: the grant sits
in the path, so that the relative names inside HLS playlists lead to links that carry it too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from popoff.adapters.storage import keys
from popoff.adapters.storage.interface import BadSignature, LinkExpired
from popoff.kernel import clock

STORE_PATH = "/media/store"
PLAY_PATH = "/media/play"
WINDOW_SECONDS = 600


def _sign(secret: str, *fields: object) -> str:
    """HMAC-SHA256 over the fields, url-safe. JSON keeps them apart, whatever characters they hold."""
    if not secret:
        raise ValueError("SECRET_KEY is not set: links cannot be signed")
    message = json.dumps(fields, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).rstrip(b"=").decode()


def _matches(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


# store links


def sign_query(secret: str, method: str, key: str, fields: Mapping[str, str]) -> str:
    """The query string of a link that allows `method` on `key` under the conditions in `fields`.

    `fields` has `expires` (seconds since 1970) and whatever else the link is bound to.
    """
    return urlencode({**fields, "signature": _sign(secret, "store", method, key, sorted(fields.items()))})


def verify_query(secret: str, method: str, key: str, query: Mapping[str, str]) -> dict[str, str]:
    """The conditions a link was signed with. Raises BadSignature (also for added parameters) and LinkExpired."""
    fields = {name: value for name, value in query.items() if name != "signature"}
    expected = _sign(secret, "store", method, key, sorted(fields.items()))
    if not _matches(expected, query.get("signature", "")):
        raise BadSignature
    if int(fields["expires"]) <= clock.timestamp():
        raise LinkExpired
    return fields


# play links


def window_expiry(lifetime_seconds: int, window_seconds: int = WINDOW_SECONDS) -> int:
    """Seconds since 1970 at which a link made now ends: at least `lifetime_seconds` away, rounded up to a window.

    Every call within one window gives the same moment, so that players and caches see the same link.
    """
    return math.ceil((clock.timestamp() + lifetime_seconds) / window_seconds) * window_seconds


def grant(prefix: str, expires_at: int, secret: str) -> str:
    """Leave to read every key under `prefix` (a folder) until `expires_at` (seconds since 1970).

    The form is `<expiry>.<number of segments in the prefix>.<signature>`: the number tells `check_grant` where the
    prefix ends in a key. Raises InvalidKey.
    """
    prefix = keys.check(prefix.removesuffix("/"))
    depth = prefix.count("/") + 1
    return f"{expires_at}.{depth}.{_sign(secret, 'play', prefix, expires_at)}"


def check_grant(grant: str, key: str, secret: str) -> str:
    """The granted prefix that `key` lies under, without closing slash.

    Raises InvalidKey, LinkExpired, and BadSignature for a grant of another prefix or one that was tampered with.
    """
    segments = keys.check(key).split("/")
    match = re.fullmatch(r"([0-9]{1,12})\.([0-9]{1,3})\.([A-Za-z0-9_-]{43})", grant, re.ASCII)
    if not match:
        raise BadSignature
    expires_at, depth = int(match[1]), int(match[2])
    prefix = "/".join(segments[:depth])
    if not 0 < depth < len(segments) or not _matches(_sign(secret, "play", prefix, expires_at), match[3]):
        raise BadSignature
    if expires_at <= clock.timestamp():
        raise LinkExpired
    return prefix


def play_link(base_url: str, key: str, prefix: str, expires_at: int, secret: str) -> str:
    """`{base}/media/play/<grant>/<key>`; whoever has it can read all of `prefix`.

    Raises ValueError when `key` does not lie under `prefix`, and InvalidKey.
    """
    if not keys.is_under(keys.check(key), prefix):
        raise ValueError(f"{key} is not under {prefix}")
    return f"{base_url.rstrip('/')}{PLAY_PATH}/{grant(prefix, expires_at, secret)}/{key}"


_URI = re.compile(r'(?<=[:,])URI="([^"]*)"')


def rewrite_playlist(text: str, sign: Callable[[str], str]) -> str:
    """An HLS playlist with what `sign(name)` answers in the place of every segment and initialisation section.

    Names of further playlists (`*.m3u8`) stay as they are: they are fetched under the same grant. Names that are
    not plain relative keys raise InvalidKey, so that nobody can have another's object signed.
    """

    def link(name: str) -> str:
        return name if keys.check(name).endswith(".m3u8") else sign(name)

    def line(raw: str) -> str:
        body = raw.rstrip("\r\n")
        if body.startswith("#EXT-X-MAP:"):
            return _URI.sub(lambda found: f'URI="{link(found[1])}"', raw)
        if body.startswith("#") or not body.strip():
            return raw
        return link(body.strip()) + raw[len(body) :]

    return "".join(line(raw) for raw in re.split(r"(?<=\n)", text))


def content_disposition(name: str) -> str:
    """The header that makes browsers save a file as `name`, in ASCII and in RFC 8187 for the rest."""
    clean = "".join(c for c in name if unicodedata.category(c)[0] != "C").replace("/", "_").replace("\\", "_")
    plain = unicodedata.normalize("NFKD", clean).encode("ascii", "ignore").decode().replace('"', "'").strip()
    return f"attachment; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(clean or 'file', safe='')}"
