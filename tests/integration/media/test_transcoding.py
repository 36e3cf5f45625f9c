"""The job that makes a film playable: what it does to the post and the store, also when it is cut off."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest

import config
from popoff.adapters.storage import FolderStore, StoreUnavailable, store
from popoff.kernel import clock
from popoff.media import pipeline, queries, rules
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.service import retry
from tests.support import clips
from tests.support.outbox import jobs_of, run_due
from tests.support.people import People, Person
from tests.support.wire import Wire, folder_of, post, status, stored, upload, upload_package
from workers import lifecycle, transcode

TINY = {"source", "hls/master.m3u8", "hls/90/playlist.m3u8", "hls/90/init.mp4", "hls/90/seg_00000.m4s"}
PICTURES = {"pictures/thumbnail.jpg", "pictures/strip.jpg"}


@dataclass
class Film:
    """A posted upload and where it lies."""

    person: Person
    wire: Wire
    post_id: int
    folder: str

    @property
    def now(self) -> dict[str, Any]:
        return status(self.person, self.post_id)

    @property
    def files(self) -> set[str]:
        return set(stored(self.folder))

    def run(self) -> None:
        transcode.run(self.post_id)

    def delete(self) -> None:
        answer = self.person.delete("/api/media/delete_post/", data={"video_id": self.post_id})
        assert answer.status_code == 200


@pytest.fixture
def film(people: People, wire: Wire, tiny: bytes) -> Film:
    return film_of(people, wire, tiny)


def film_of(people: People, wire: Wire, body: bytes, thumbnail: bytes | None = None) -> Film:
    ticket = upload(people.ada, wire, body, thumbnail=thumbnail)
    fields = {"thumbnail_path": ticket["thumb_file_path"]} if thumbnail is not None else {}
    return Film(people.ada, wire, post(people.ada, ticket, **fields), folder_of(ticket))


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


def leaks_nothing(film: Film) -> None:
    """No answer and no object says anything of this machine."""
    said = film.person.get(f"/api/media/post/{film.post_id}/").data + film.person.get("/api/media/post/").data
    secrets = [b"root:", os.fsencode(config.current().home), os.fsencode(config.PROJECT), b"/tmp/", b"ffmpeg"]
    for secret in secrets:
        assert secret not in said
    for name in film.files - {"source"}:
        assert b"root:" not in store().read(film.folder + name, 10**8)


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


# --- the picture that stands for it ---------------------------------------------------------------------------------


def image(answer_body: bytes, folder: Path) -> av.VideoFrame:
    path = folder / "shown.jpg"
    path.write_bytes(answer_body)
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def test_the_picture_a_person_chose_is_drawn_anew(
    people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    film.run()
    shown = wire.get(film.now["thumbnail_link"]).body
    drawn = image(shown, tmp_path)
    assert (drawn.width, drawn.height) == (400, 300)
    red, green, blue = drawn.to_ndarray(format="rgb24")[150, 200]
    assert red > 200 > 60 > max(green, blue)
    assert b"GPS" in picture
    assert b"GPS" not in shown
    assert wire.put(f"{film.now['thumbnail_link']}", picture, "image/jpeg").status == 405


def large_jpeg(picture: bytes) -> bytes:
    return picture + bytes(rules.MAX_THUMBNAIL_BYTES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda picture: picture[: len(picture) // 2],
        lambda picture: b"<html><script>alert(1)</script>",
        lambda picture: b"",
        lambda picture: b"\xff\xd8\xff" + bytes(1000),
        large_jpeg,
    ],
    ids=["cut off", "page", "empty", "noise", "too large"],
)
def test_a_picture_that_is_none_is_replaced_by_ours(
    spoil: Callable[[bytes], bytes], people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    store().put_bytes(f"{film.folder}thumbnail", spoil(picture), "image/jpeg")  # as S3 would take it
    film.run()
    drawn = image(wire.get(film.now["thumbnail_link"]).body, tmp_path)
    assert (film.now["stage"], drawn.width, drawn.height) == ("ready", 120, 90)


def test_a_picture_that_was_not_chosen_is_not_shown(
    people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    ticket = upload(people.ada, wire, tiny, thumbnail=picture)
    film = Film(people.ada, wire, post(people.ada, ticket), folder_of(ticket))
    film.run()
    assert image(wire.get(film.now["thumbnail_link"]).body, tmp_path).width == 120


def test_a_picture_that_went_away_is_replaced_by_ours(people: People, wire: Wire, tiny: bytes, picture: bytes) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    store().delete([f"{film.folder}thumbnail"])
    film.run()
    assert film.now["stage"] == "ready"


# --- again, and cut off ---------------------------------------------------------------------------------------------


def test_running_again_changes_nothing(film: Film) -> None:
    film.run()
    shown, files = film.now, [(info.key, info.etag, info.modified) for info in store().list(film.folder)]
    assert {info[0].removeprefix(film.folder) for info in files} == TINY | PICTURES
    film.run()
    assert film.now == shown
    assert [(info.key, info.etag, info.modified) for info in store().list(film.folder)] == files
    transcode.run(10**9)


def test_going_through_again_on_request_makes_the_same_film(film: Film) -> None:
    film.run()
    shown = film.now
    retry(film.post_id)
    assert (film.now["stage"], film.now["progress"], film.now["playable"]) == ("received", 0, True)
    film.run()
    assert film.now == shown
    assert film.files == TINY | PICTURES


@dataclass
class Cuts:
    """Raises at the chosen one of many calls, once."""

    at: int
    error: BaseException
    calls: list[str] = field(default_factory=list)

    def around(self, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) == self.at:
                raise self.error
            return real(*args, **options)

        monkeypatch.setattr(owner, name, counted)


PLACES = [(FolderStore, "put_file"), (FolderStore, "put_bytes"), (FolderStore, "download"), (pipeline, "_note")]


@pytest.mark.parametrize("at", range(1, 14))
def test_a_run_that_is_cut_off_anywhere_is_made_good_by_the_next(
    at: int, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call to the store and every note on the post is once the one at which the worker is killed."""
    cuts = Cuts(at, KeyboardInterrupt())
    for owner, name in PLACES:
        cuts.around(owner, name, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        film.run()
    assert film.now["stage"] != "ready"
    assert list(transcode.work_root().glob("transcode-*")) == []
    film.run()
    assert (film.now["stage"], film.now["progress"]) == ("ready", 100)
    assert film.files == TINY | PICTURES
    assert {piece.status for piece in film.wire.play(film.now["link"]).values()} == {200}


def test_those_were_all_the_places(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = Cuts(0, KeyboardInterrupt())
    for owner, name in PLACES:
        cuts.around(owner, name, monkeypatch)
    film.run()
    assert len(cuts.calls) <= 16, cuts.calls


@pytest.mark.usefixtures("worker")
def test_a_store_that_is_away_for_a_while_costs_a_try(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as trouble:
        Cuts(3, StoreUnavailable()).around(FolderStore, "put_file", trouble)
        assert run_due("media.transcode") == ["media.transcode"]
    (job,) = jobs_of("media.transcode")
    assert (job.state, job.attempts) == ("ready", 1)
    assert str(job.last_error).startswith("store_unavailable")
    assert film.now["stage"] == "transcoding"
    with clock.shifted(timedelta(minutes=1)):
        run_due("media.transcode")
    assert film.now["stage"] == "ready"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable(), "encode_failed"),
        (RuntimeError("/secret/path"), "encode_failed"),
        (MediaFailure(FailureCode.ENCODE_FAILED, "/secret/path"), "encode_failed"),
        (MediaFailure(FailureCode.TIMEOUT, "/secret/path"), "timeout"),
    ],
)
@pytest.mark.usefixtures("worker")
def test_a_job_that_keeps_failing_is_dead_and_its_owner_reads_why(
    error: Exception, code: str, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with config.override(job_attempts=2), monkeypatch.context() as trouble:
        trouble.setattr(transcode.encode, "encode", fail)
        for minutes in (0, 10):
            with clock.shifted(timedelta(minutes=minutes)):
                assert run_due("media.transcode") == ["media.transcode"]
    (job,) = jobs_of("media.transcode")
    assert (job.state, job.attempts) == ("dead", 2)
    shown = film.now
    assert (shown["stage"], shown["failure_code"]) == ("failed", code)
    assert shown["failure"] == FailureCode(code).sentence
    leaks_nothing(film)
    assert queries.failed_by_us() == [film.post_id]
    retry(film.post_id)
    run_due("media.transcode")
    assert film.now["stage"] == "ready"


# --- deleted meanwhile ----------------------------------------------------------------------------------------------


@pytest.fixture
def purge(worker: None) -> Iterator[Callable[[Film], None]]:
    def delete_and_purge(film: Film) -> None:
        film.delete()
        assert run_due("media.purge") == ["media.purge"]
        assert film.files == set()

    yield delete_and_purge


@pytest.mark.parametrize("at", range(1, 8))
def test_a_post_deleted_while_it_transcodes_leaves_nothing(
    at: int, film: Film, monkeypatch: pytest.MonkeyPatch, purge: Callable[[Film], None]
) -> None:
    """Deleted and purged in the middle, when the run still has objects to put up: they are taken away again."""
    steps: list[str] = []

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*args: Any, **options: Any) -> Any:
            steps.append(name)
            if len(steps) == at:
                purge(film)
            return real(*args, **options)

        monkeypatch.setattr(owner, name, step)

    for owner, name in [
        (transcode._Run, "_on_progress"),
        (transcode._Run, "_on_probe"),
        (transcode._Run, "_on_playable"),
        (transcode, "_put_all"),
        (transcode._Run, "_finish"),
    ]:
        around(owner, name)
    film.run()
    assert at <= len(steps)
    assert film.files == set()
    assert list(transcode.work_root().glob("transcode-*")) == []
    film.run()
    assert film.files == set()


def test_a_person_who_is_removed_while_a_film_of_theirs_transcodes_leaves_nothing(
    film: Film, monkeypatch: pytest.MonkeyPatch, worker: None
) -> None:
    on_playable = transcode._Run._on_playable

    def leave_first(run: Any, so_far: Any) -> None:
        film.person.delete("/api/user/delete_account/")
        with config.override(deletion_grace_days=0):
            lifecycle.purge_due_accounts()
            assert run_due("accounts.purge") == ["accounts.purge"]
        assert film.files == set()
        on_playable(run, so_far)

    monkeypatch.setattr(transcode._Run, "_on_playable", leave_first)
    film.run()
    assert film.files == set()
    assert jobs_of("media.purge"), "and once more, for a run that cannot be told"


def test_a_run_that_another_has_overtaken_stops_and_takes_nothing_away(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker was thought dead: the next one has finished the post."""
    probe = transcode._Run._on_probe

    def overtaken(run: Any, found: Any) -> None:
        monkeypatch.setattr(transcode._Run, "_on_probe", probe)
        film.run()
        probe(run, found)

    monkeypatch.setattr(transcode._Run, "_on_probe", overtaken)
    film.run()
    assert film.now["stage"] == "ready"
    assert film.files == TINY | PICTURES


def test_a_dead_job_of_a_deleted_post_is_no_trouble(film: Film) -> None:
    film.delete()
    transcode.given_up("timeout", film.post_id)
    assert queries.by_id(film.post_id).stage == "received"  # type: ignore[union-attr]


def test_folders_of_killed_runs_are_swept_and_those_of_living_ones_are_not(settings: config.Settings) -> None:
    old, young = transcode.work_root() / "transcode-old", transcode.work_root() / "transcode-young"
    for folder in (old, young):
        (folder / "work").mkdir(parents=True)
        (folder / "work" / "source").write_bytes(b"film")
    for path in (old, old / "work", old / "work" / "source"):
        os.utime(path, (1, 1))
    os.utime(young, (1, 1))
    transcode.sweep_work()
    assert not old.exists()
    assert young.exists()
    transcode.sweep_work(older_than_seconds=-1)
    assert not young.exists()
