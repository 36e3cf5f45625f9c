from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.adapters.storage import BadSignature, InvalidKey, LinkExpired, signing
from popoff.kernel import clock

SECRET = "a secret of the tests"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PREFIX = "users/42/8f14"
KEY = f"{PREFIX}/720p/v0_001.m4s"


def later(seconds: float) -> int:
    return int((NOON + timedelta(seconds=seconds)).timestamp())


def test_a_query_gives_its_conditions_back() -> None:
    fields = {"expires": str(later(60)), "type": "video/mp4", "name": "a&b=c é"}
    with clock.at(NOON):
        query = dict(parse_qsl(signing.sign_query(SECRET, "PUT", KEY, fields)))
        assert signing.verify_query(SECRET, "PUT", KEY, query) == fields


@pytest.mark.parametrize(
    "change",
    [{"type": "text/html"}, {"expires": str(later(999))}, {"max": "1"}, {"signature": ""}, {"signature": "é\ud800"}],
)
def test_an_altered_query_is_refused(change: dict[str, str]) -> None:
    fields = {"expires": str(later(60)), "type": "video/mp4"}
    with clock.at(NOON):
        query = dict(parse_qsl(signing.sign_query(SECRET, "PUT", KEY, fields)))
        with pytest.raises(BadSignature):
            signing.verify_query(SECRET, "PUT", KEY, query | change)
        for secret, method, key in (("other", "PUT", KEY), (SECRET, "GET", KEY), (SECRET, "PUT", KEY + "x")):
            with pytest.raises(BadSignature):
                signing.verify_query(secret, method, key, query)
        with pytest.raises(BadSignature):
            signing.verify_query(SECRET, "PUT", KEY, {})


def test_a_query_ends_when_it_says() -> None:
    query = dict(parse_qsl(signing.sign_query(SECRET, "GET", KEY, {"expires": str(later(60))})))
    with clock.at(NOON + timedelta(seconds=59)):
        signing.verify_query(SECRET, "GET", KEY, query)
    with clock.at(NOON + timedelta(seconds=60)), pytest.raises(LinkExpired):
        signing.verify_query(SECRET, "GET", KEY, query)


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError):
        signing.grant(PREFIX, later(60), "")


def test_a_grant_opens_all_of_its_prefix_and_nothing_else() -> None:
    grant = signing.grant(PREFIX + "/", later(60), SECRET)
    assert grant == signing.grant(PREFIX, later(60), SECRET)
    with clock.at(NOON):
        for key in (KEY, f"{PREFIX}/master.m3u8"):
            assert signing.check_grant(grant, key, SECRET) == PREFIX
        for key in ("users/43/8f14/master.m3u8", "users/42/8f141/x", "users/42/x", PREFIX, "users", "x/" + KEY):
            with pytest.raises(BadSignature):
                signing.check_grant(grant, key, SECRET)
        with pytest.raises(InvalidKey):
            signing.check_grant(grant, f"{PREFIX}/../9/master.m3u8", SECRET)
        with pytest.raises(BadSignature):
            signing.check_grant(grant, KEY, "other")
    with clock.at(NOON + timedelta(seconds=60)), pytest.raises(LinkExpired):
        signing.check_grant(grant, KEY, SECRET)


def test_a_grant_cannot_be_altered() -> None:
    expires, depth, signature = signing.grant(PREFIX, later(60), SECRET).split(".")
    other_end = signature[:-1] + ("A" if signature[-1] != "A" else "E")
    with clock.at(NOON):
        for forged in (
            f"{int(expires) + 1}.{depth}.{signature}",
            f"{expires}.2.{signature}",
            f"{expires}.0.{signature}",
            f"{expires}.99.{signature}",
            f"{expires}.{depth}.{other_end}",
            f"{expires}.{depth}",
            f"0{expires}.{depth}.{signature[:-1]}",
            "",
        ):
            with pytest.raises(BadSignature):
                signing.check_grant(forged, KEY, SECRET)


def test_links_are_the_same_within_a_window() -> None:
    with clock.at(NOON + timedelta(seconds=1)):
        first = signing.window_expiry(3600)
    with clock.at(NOON + timedelta(seconds=600)):
        assert signing.window_expiry(3600) == first == later(3600 + 600)
    with clock.at(NOON + timedelta(seconds=601)):
        assert signing.window_expiry(3600) == first + 600


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.integers(1, 3600))
def test_a_link_lives_at_least_as_long_as_asked(offset: int, lifetime: int, window: int) -> None:
    with clock.at(NOON + timedelta(seconds=offset)):
        left = signing.window_expiry(lifetime, window) - clock.timestamp()
    assert lifetime <= left < lifetime + window


def test_a_play_link_carries_the_grant_before_the_key() -> None:
    link = signing.play_link("http://host:8000/", f"{PREFIX}/master.m3u8", PREFIX, later(60), SECRET)
    base, grant, key = link.split("/", 5)[3], link.split("/")[5], link.split("/", 6)[6]
    assert link.startswith("http://host:8000/media/play/") and base == "media"
    with clock.at(NOON):
        assert signing.check_grant(grant, key, SECRET) == PREFIX
    with pytest.raises(ValueError):
        signing.play_link("http://host", "users/43/x", PREFIX, later(60), SECRET)


MEDIA = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"
#EXTINF:2.000,

v0_001.m4s
#EXTINF:1.500,URI="title.ts"
part/v0_002.m4s\r
#EXT-X-ENDLIST"""


def test_segments_and_initialisation_are_rewritten() -> None:
    assert signing.rewrite_playlist(MEDIA, lambda name: f"https://s3/{name}?sig=1&x=2") == (
        MEDIA.replace('"init.mp4"', '"https://s3/init.mp4?sig=1&x=2"')
        .replace("v0_001.m4s", "https://s3/v0_001.m4s?sig=1&x=2")
        .replace("part/v0_002.m4s", "https://s3/part/v0_002.m4s?sig=1&x=2")
    )


def test_variant_playlists_stay_relative() -> None:
    master = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="audio.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n'
    assert signing.rewrite_playlist(master, lambda name: pytest.fail(name)) == master


@pytest.mark.parametrize(
    "line",
    [
        "../x.ts",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "//host/x.m3u8",
        '#EXT-X-MAP:URI="../x"',
        "a b",
    ],
)
def test_a_name_that_leads_elsewhere_is_never_signed(line: str) -> None:
    with pytest.raises(InvalidKey):
        signing.rewrite_playlist(f"#EXTM3U\n{line}\n", lambda name: name)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("clip.mp4", "attachment; filename=\"clip.mp4\"; filename*=UTF-8''clip.mp4"),
        ('a"\r\nX: y/../b', "attachment; filename=\"a'X: y_.._b\"; filename*=UTF-8''a%22X%3A%20y_.._b"),
        ("猫", "attachment; filename=\"file\"; filename*=UTF-8''%E7%8C%AB"),
        ("", "attachment; filename=\"file\"; filename*=UTF-8''file"),
    ],
)
def test_download_names_cannot_break_the_header(name: str, header: str) -> None:
    assert signing.content_disposition(name) == header
