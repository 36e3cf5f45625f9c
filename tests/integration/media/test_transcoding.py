"""The job that makes a film playable: what it does to the post and to the store."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import config
from popoff.adapters.storage import store
from popoff.kernel import clock
from popoff.media import pipeline, queries
from popoff.media.failures import FailureCode
from tests.integration.media.films import Film, film_of, leaks_nothing
from tests.support import clips
from tests.support.outbox import run_due
from tests.support.people import People
from tests.support.wire import Wire, folder_of, post, upload_package
from workers import transcode

# --- what does not become a film ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "audio_only.m4a",
        "truncated.mp4",
        "empty.mp4",
        "text_as_mp4.mp4",
        "playlist_etc_passwd.mp4",
        "noise_after_ftyp.mp4",
    ],
)
def test_what_is_no_film_fails_with_its_code(name: str, people: People, wire: Wire) -> None:
    film = film_of(people, wire, clips.clip(name).read_bytes())
    film.run()
    shown = film.now
    assert (shown["stage"], shown["failure_code"]) == ("failed", clips.REFUSED[name])
    assert shown["failure"] == FailureCode(shown["failure_code"]).sentence
    assert (shown["playable"], shown["link"], shown["renditions"]) == (False, "", [])
    assert film.files == {"source"}
    leaks_nothing(film)
    film.run()
    assert film.now == shown, "it is not tried again by itself"


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        (["file:///etc/passwd"], "unsafe_playlist"),
        (["/etc/passwd"], "unsafe_playlist"),
        (["../../../../../../etc/passwd"], "unsafe_playlist"),
        (["http://127.0.0.1:{port}/"], "unsafe_playlist"),
        (["segment_000.ts", "http://127.0.0.1:{port}/x.ts"], "unsafe_playlist"),
        (["concat:/etc/passwd|segment_000.ts"], "unsafe_playlist"),
        (["segment_000.ts", "segment_001.ts"], "missing_segment"),
    ],
)
def test_a_playlist_that_names_what_is_not_its_own_is_refused(
    entries: list[str], code: str, people: People, wire: Wire, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        named = [entry.format(port=listener.getsockname()[1]) for entry in entries]
        ticket = upload_package(people.ada, wire, clips.hostile_package(tmp_path, *named))
        film = Film(people.ada, wire, post(people.ada, ticket), folder_of(ticket))
        film.run()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (film.now["stage"], film.now["failure_code"]) == ("failed", code)
    assert film.files == {"package/playlist.m3u8", "package/00000.ts"}
    leaks_nothing(film)


def test_a_source_that_is_gone_is_looked_for_again_before_the_post_fails(film: Film, worker: None) -> None:
    store().delete([f"{film.folder}source"])
    with config.override(job_attempts=2):
        assert run_due("media.transcode") == ["media.transcode"]
        assert film.now["stage"] == "received"
        with clock.shifted(timedelta(minutes=1)):
            assert run_due("media.transcode") == ["media.transcode"]
    assert film.now["failure_code"] == "lost_source"


def test_a_source_that_grew_after_it_was_posted_is_not_fetched(
    film: Film, people: People, wire: Wire, tmp_path: Path
) -> None:
    """Its link took a larger file in the meantime."""
    package = upload_package(people.ada, wire, clips.hls_package(tmp_path, seconds=1))
    other = Film(people.ada, wire, post(people.ada, package), folder_of(package))
    with config.override(max_upload_bytes=1000):
        film.run()
        other.run()
    assert film.now["failure_code"] == other.now["failure_code"] == "file_too_large"


# --- what does ------------------------------------------------------------------------------------------------------


def test_one_frame_is_a_film(people: People, wire: Wire) -> None:
    film = film_of(people, wire, clips.clip("one_frame.mp4").read_bytes())
    film.run()
    assert (film.now["stage"], film.now["width"], film.now["height"]) == ("ready", 640, 480)
    assert all(piece.status == 200 for piece in wire.play(film.now["link"]).values())


def test_a_film_without_sound_plays(people: People, wire: Wire) -> None:
    film = film_of(people, wire, clips.clip("anamorphic.mp4").read_bytes())
    film.run()
    assert [(made["width"], made["codecs"].count(",")) for made in film.now["renditions"]] == [(854, 0), (640, 0)]


def test_a_film_with_silent_sound_plays(people: People, wire: Wire, tmp_path: Path) -> None:
    """Silence is minus infinity loud, which the database does not take."""
    silence = ("-f", "lavfi", "-i", "anullsrc=sample_rate=48000:duration=1")
    clips.ffmpeg(*clips.picture("120x90", "15", 1), *silence, "-c:v", "libx264", "-c:a", "aac", tmp_path / "silent.mp4")
    film = film_of(people, wire, (tmp_path / "silent.mp4").read_bytes())
    film.run()
    assert film.now["stage"] == "ready"
    assert queries.by_id(film.post_id).loudness["true_peak"] is None  # type: ignore[union-attr, index]


def test_it_can_be_watched_before_it_is_ready_and_progress_never_goes_back(
    people: People, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcode, "REPORT_SECONDS", 0.0)
    film = film_of(people, wire, clips.clip("mono_8khz.mp4").read_bytes())
    seen: list[dict[str, Any]] = []
    note = pipeline._note

    def noted(post_id: int, **values: Any) -> None:
        note(post_id, **values)
        seen.append(queries.status(queries.by_id(post_id)))  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "_note", noted)
    film.run()
    percents = [shown["progress"] for shown in seen]
    assert percents == sorted(percents)
    assert len(set(percents)) > 4
    assert (percents[0], percents[-1]) == (0, 100)
    order = ["received", "probing", "transcoding", "ready"]
    assert [stage for stage in order if stage in [shown["stage"] for shown in seen]] == order[1:]
    assert [order.index(shown["stage"]) for shown in seen] == sorted(order.index(shown["stage"]) for shown in seen)
    early = next(shown for shown in seen if shown["playable"])
    assert (early["stage"], len(early["renditions"])) == ("transcoding", 1)
    assert early["thumbnail_link"]
    assert len(film.now["renditions"]) == 2
    assert queries.by_id(film.post_id).loudness["integrated"] < 0  # type: ignore[union-attr, index]


def test_a_film_in_the_making_is_in_feeds_as_soon_as_it_can_be_watched(
    people: People, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_of(people, wire, clips.clip("mono_8khz.mp4").read_bytes())
    found: list[Any] = []
    finish = transcode._Run._finish

    def look_first(run: Any, encoded: Any) -> None:
        found.extend(people.eve.get("/api/media/get_feed/").json["feed"])
        finish(run, encoded)

    monkeypatch.setattr(transcode._Run, "_finish", look_first)
    film.run()
    assert [card["id"] for card in found] == [film.post_id]
    assert {piece.status for piece in wire.play(found[0]["link"]).values()} == {200}
