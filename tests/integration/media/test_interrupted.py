"""Transcoding again, cut off, overtaken, and with the post deleted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

import config
from popoff.adapters.storage import FolderStore, StoreUnavailable, store
from popoff.kernel import clock
from popoff.media import pipeline, queries
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.rules import Stage
from popoff.media.service import retry
from tests.integration.media.films import PICTURES, TINY, Film, leaks_nothing
from tests.support.outbox import jobs_of, run_due
from workers import lifecycle, scratch, transcode

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
    assert list(scratch.work_root().iterdir()) == []
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


def test_a_run_that_begins_again_does_not_set_the_percentage_back(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.note_progress(film.post_id, Stage.TRANSCODING, 50)
    percents: list[int] = []
    note = pipeline._note
    monkeypatch.setattr(
        pipeline, "_note", lambda *of, **what: (note(*of, **what), percents.append(film.now["progress"]))
    )
    film.run()
    assert (min(percents), percents[-1]) == (50, 100)


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
    assert list(scratch.work_root().iterdir()) == []
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
    published: list[Any] = []
    put_all = transcode._put_all
    monkeypatch.setattr(transcode, "_put_all", lambda *put: (published.append(put), put_all(*put)))

    def overtaken(run: Any, found: Any) -> None:
        monkeypatch.setattr(transcode._Run, "_on_probe", probe)
        film.run()
        probe(run, found)

    monkeypatch.setattr(transcode._Run, "_on_probe", overtaken)
    film.run()
    assert film.now["stage"] == "ready"
    assert len(published) == 2, "segments and playlist, by one of the two"
    assert film.files == TINY | PICTURES


def test_a_dead_job_of_a_deleted_post_is_no_trouble(film: Film) -> None:
    film.delete()
    transcode.given_up("timeout", film.post_id)
    assert queries.by_id(film.post_id).stage == "received"  # type: ignore[union-attr]
