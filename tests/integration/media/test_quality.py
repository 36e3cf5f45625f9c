"""A film is watched by the trained model once it is ready; whatever comes of that, its post stays on show."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import config
from models_ml import registry
from models_ml.quality import __main__ as command
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.media import service as media
from popoff.media.failures import FailureCode, MediaFailure
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.scoring import queries, rules, service
from popoff.scoring.models import QualityScore
from popoff.scoring.rules import Film
from tests.support import clips
from tests.support.outbox import jobs_of, run_due
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.wire import Wire, posted
from workers import quality, renditions, sandbox

pytestmark = pytest.mark.usefixtures("worker")

SHIPPED = registry.in_use("quality")


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of two seconds with a tone, of a few kilobytes."""
    path = tmp_path_factory.mktemp("film") / "two.mp4"
    clips.ffmpeg(
        *clips.picture("320x180", "15", 2),
        *clips.sound(2),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-shortest",
        path,
    )
    return path.read_bytes()


@pytest.fixture
def post_id(people: People, two_seconds: bytes, session: orm.Session, monkeypatch: pytest.MonkeyPatch) -> int:
    """A post that is ready and scored by the rules, and whose film waits to be watched."""
    made = make_post(people.ada.username, "How to tie a knot", "diy", indexed=False)
    session.get_one(Post, made).renditions = [{"name": "180", "width": 320, "height": 180}]
    session.commit()
    holds(monkeypatch, two_seconds)
    service.ask(made)
    session.commit()
    run_due("scoring.rescore")
    return made


def holds(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """What the store gives for a rendition from now on."""
    monkeypatch.setattr(quality.renditions, "join", lambda _, file: file.write_bytes(body) and file)


def waiting() -> int:
    return sum(job.state == "ready" for job in jobs_of("scoring.film"))


def test_a_film_is_watched_and_its_scores_take_the_place_of_the_rules(
    people: People, wire: Wire, two_seconds: bytes, session: orm.Session
) -> None:
    post_id = posted(people.ada, wire, two_seconds, description="How to tie a knot", tags="diy")
    run_due()
    assert queries.quality(post_id).model == rules.MODEL
    assert run_due("scoring.film") == ["scoring.film"]
    found = queries.quality(post_id)
    assert found.model == f"{rules.MODEL}+{SHIPPED}"
    assert found.score is not None
    assert found.reason is None
    film = found.inputs["film"]
    assert {name: part["score"] for name, part in film["parts"].items()} == {
        name: part.score for name, part in found.parts.items()
    }
    assert "never a decision" in found.parts["communityGuidelines"].feedback
    assert film["measurements"]["seconds"] == pytest.approx(2, abs=0.2)
    assert film["measurements"]["loudness_lufs"] is not None
    quality.ask(post_id)
    quality.watch_again()
    assert waiting() == 0


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_what_cannot_be_watched_is_not_scored_and_says_why(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds(monkeypatch, b"no film")
    run_due("scoring.film")
    found = queries.quality(post_id)
    assert found.score is None
    assert "cannot be read" in (found.reason or "")
    assert found.parts["length"].feedback == f"Not scored: {found.reason}."
    assert found.parts["education"].score is not None


def test_a_child_that_dies_leaves_the_scores_of_the_rules(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = queries.quality(post_id)
    little = sandbox.Limits(cpu_seconds=60, wall_seconds=60, memory_bytes=20 * 1024**2)
    monkeypatch.setattr(quality, "_limits", lambda: little)
    with config.override(job_attempts=1):
        assert run_due("scoring.film") == ["scoring.film"]
    after = queries.quality(post_id)
    assert (after.parts, after.score, after.reason) == (before.parts, before.score, None)
    quality.watch_again()
    assert waiting() == 0


@pytest.mark.parametrize("trouble", [FailureCode.TIMEOUT, FailureCode.ENCODE_FAILED, FailureCode.LOST_SOURCE])
def test_trouble_of_ours_is_tried_again_and_costs_no_scores(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch, trouble: FailureCode
) -> None:
    def fail(*_: object) -> None:
        raise MediaFailure(trouble)

    noted(post_id, SHIPPED, delivery=12.0)
    monkeypatch.setattr(quality, "_watched", fail)
    assert run_due("scoring.film") == ["scoring.film"]
    (job,) = jobs_of("scoring.film")
    assert (job.state, str(job.last_error).partition(":")[0]) == ("ready", trouble)
    with config.override(job_attempts=2), clock.shifted(timedelta(minutes=1)):
        assert run_due("scoring.film") == ["scoring.film"]
    (job,) = jobs_of("scoring.film")
    assert job.state == "dead"
    assert queries.quality(post_id).parts["delivery"].score == 12
    quality.watch_again()
    assert waiting() == 0


def test_a_machine_that_is_too_busy_says_nothing_about_a_film(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_time(*_: object, **__: object) -> sandbox.Finished:
        return sandbox.Finished(command.OUT_OF_TIME, b"", "The film could not be measured in time.\n")

    monkeypatch.setattr(sandbox, "run", out_of_time)
    run_due("scoring.film")
    (job,) = jobs_of("scoring.film")
    assert (job.state, str(job.last_error).partition(":")[0]) == ("ready", FailureCode.TIMEOUT)
    assert queries.quality(post_id).reason is None


def test_a_store_without_a_film_says_nothing_about_it(tmp_path: Path) -> None:
    with pytest.raises(MediaFailure) as failed:
        renditions.join("users/1/nothing/hls/180/", tmp_path / "film.mp4")
    assert failed.value.code.worth_retrying


def test_without_a_model_the_rules_have_the_say(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = queries.quality(post_id)
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    assert run_due("scoring.film") == ["scoring.film"]
    quality.ask(post_id)
    quality.watch_again()
    assert waiting() == 0
    assert queries.quality(post_id).parts == before.parts


# --- again ----------------------------------------------------------------------------------------------------------


def noted(post_id: int, version: str, **parts: float) -> None:
    """Store what a version of the model made of a film, told the words of now."""
    shown = queries.quality_inputs([post_id])[post_id]
    scored = {name: {"score": score, "feedback": "By the model."} for name, score in parts.items()}
    service.note_film(post_id, Film(version, shown.written, shown.encoded, parts=scored))


def test_another_version_of_the_model_watches_a_few_films_at_a_time(
    post_id: int, session: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(post_id, "quality-before", delivery=12.0)
    session.execute(sa.delete(Job))
    quality.watch_again()
    quality.watch_again()
    assert waiting() == 1
    session.execute(sa.delete(Job))
    monkeypatch.setattr(quality, "BATCH", 0)
    quality.watch_again()
    assert waiting() == 0


def test_a_film_on_its_way_to_be_watched_is_not_sent_again(post_id: int, session: orm.Session) -> None:
    session.execute(sa.update(Job).where(Job.name == "scoring.film").values(unique_key=None))  # as once it was taken
    quality.watch_again()
    assert waiting() == 1


def test_other_words_that_no_model_was_told_are_watched_with_later(post_id: int, session: orm.Session) -> None:
    noted(post_id, SHIPPED, delivery=12.0)
    session.execute(sa.delete(Job))
    quality.watch_again()
    assert waiting() == 0
    session.get_one(Post, post_id).description = "How to untie a knot"
    session.flush()
    service.rescore_quality([post_id])
    quality.watch_again()
    assert waiting() == 1


def test_a_film_that_was_encoded_again_is_watched_again(post_id: int, session: orm.Session) -> None:
    noted(post_id, SHIPPED, delivery=12.0)
    session.execute(sa.delete(Job))
    session.get_one(Post, post_id).renditions = [{"name": "180", "width": 320, "height": 180, "bytes": 4711}]
    session.commit()
    service.ask(post_id)
    session.commit()
    run_due("scoring.rescore")
    assert waiting() == 1
    assert queries.quality(post_id).parts["delivery"].score == 12
    session.execute(sa.delete(Job))
    quality.watch_again()
    assert waiting() == 1


def test_a_model_that_was_trained_here_is_used_before_the_shipped_one(post_id: int, settings: config.Settings) -> None:
    shutil.copytree(registry.SHIPPED / "quality", settings.models_folder / "quality")
    run_due("scoring.film")
    assert queries.quality(post_id).inputs["film"]["model"] == SHIPPED


def test_what_is_too_short_to_be_judged_is_not_watched_for_ever_beside_a_damaged_model(
    post_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = tmp_path / "short.mp4"
    clips.ffmpeg(*clips.picture("64x64", "10", 0.3), short)
    holds(monkeypatch, short.read_bytes())
    with config.override(home=tmp_path / "home") as settings:
        pointer = settings.models_folder / "quality" / "current"
        pointer.parent.mkdir(parents=True)
        pointer.write_text("quality-of-nowhere")
        run_due("scoring.film")
    assert "is not scored" in (queries.quality(post_id).reason or "")
    assert queries.unwatched(SHIPPED, 10) == []


def test_other_words_are_judged_by_the_rules_until_the_film_is_watched_with_them(
    people: People, post_id: int, session: orm.Session
) -> None:
    noted(post_id, SHIPPED, delivery=12.0, education=99.0)
    session.execute(sa.delete(Job))
    author = session.scalars(sa.text(f"SELECT user_id FROM posts WHERE id = {post_id}")).one()
    media.edit_post(author, post_id, "kys, free money", None)
    session.commit()
    run_due("scoring.rescore")
    found = queries.quality(post_id)
    assert (found.parts["delivery"].score, found.parts["delivery"].feedback) == (12.0, "By the model.")
    assert found.parts["education"].score != 99.0
    assert (found.parts["communityGuidelines"].score or 0) < 60
    assert waiting() == 1


def test_what_a_moderator_removed_stays_at_nothing(post_id: int, session: orm.Session) -> None:
    noted(post_id, SHIPPED, communityGuidelines=100.0)
    assert queries.quality(post_id).parts["communityGuidelines"].score == 100
    media.set_visibility(post_id, Visibility.REMOVED)
    service.rescore_quality([post_id])
    assert queries.quality(post_id).parts["communityGuidelines"].score == 0


def test_the_rules_leave_alone_what_the_model_has_scored(post_id: int, session: orm.Session) -> None:
    noted(post_id, SHIPPED, delivery=12.0)
    assert queries.unjudged(0, 10) == []
    session.execute(sa.update(QualityScore).values(model=f"rules-0+{SHIPPED}"))
    assert queries.unjudged(0, 10) == [post_id]
    service.rescore_quality([post_id])
    assert queries.quality(post_id).parts["delivery"].score == 12
