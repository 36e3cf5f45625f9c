"""What a post is about is worked out after it is ready, and anew when its caption changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import av
import numpy as np
import pytest
from sqlalchemy import orm

import config
from popoff.adapters.insight import insight, openai_compatible
from popoff.feed.categories import categorise
from popoff.feed.models import PostVector
from popoff.kernel import clock
from tests.support import clips
from tests.support.openai_server import Fault, OpenAIServer, openai_server
from tests.support.outbox import jobs_of, run_due
from tests.support.people import People
from tests.support.wire import Wire, post, posted, status, upload_package
from workers import insight as job

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def provider(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server that speaks the protocol, set as the provider, with a speech model."""
    monkeypatch.setattr(openai_compatible, "FIRST_PAUSE_SECONDS", 0.01)
    with openai_server() as server, config.override(openai_base_url=server.url, openai_speech_model="whisper-1"):
        yield server


def vector(session: orm.Session, post_id: int) -> PostVector | None:
    found = session.get(PostVector, post_id, populate_existing=True)
    session.commit()
    return found


def test_a_ready_post_gets_a_vector_and_a_category(
    people: People, wire: Wire, tiny: bytes, session: orm.Session
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Three chords on the guitar", tags="music,guitar")
    assert run_due() == ["media.transcode", "media.insight", "scoring.rescore"]
    found = vector(session, post_id)
    assert found is not None
    assert found.category == categorise("Three chords on the guitar", ["music", "guitar"]) != categorise("")
    assert found.model == insight().model
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-3)


def test_a_post_without_words_has_no_vector_and_is_found_all_the_same(
    people: People, wire: Wire, tiny: bytes, session: orm.Session
) -> None:
    post_id = posted(people.ada, wire, tiny)
    run_due()
    found = vector(session, post_id)
    assert found is not None
    assert found.vector is None
    assert [card["id"] for card in people.eve.get("/api/media/get_feed/").json["feed"]] == [post_id]


def test_posts_that_cannot_be_watched_are_not_looked_at(
    people: People, wire: Wire, tiny: bytes, session: orm.Session, provider: OpenAIServer
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Guitar")
    job.run(post_id)
    people.ada.delete("/api/media/delete_post/", data={"video_id": post_id})
    job.run(post_id)
    job.run(10**9)
    assert vector(session, post_id) is None
    assert provider.requests == []


def test_what_is_said_counts_and_only_sound_is_sent(
    people: People, wire: Wire, session: orm.Session, provider: OpenAIServer, tmp_path: Any
) -> None:
    provider.transcript = "hello and welcome to my kitchen today we bake bread"
    body = clips.clip("mono_8khz.mp4").read_bytes()
    post_id = posted(people.ada, wire, body, description="Look")
    run_due()
    speech, embedding = provider.requests
    name, sound = speech.files["file"]
    assert name.endswith(".m4a")
    assert speech.fields["model"] == "whisper-1"
    heard = tmp_path / "heard.m4a"
    heard.write_bytes(sound)
    with av.open(str(heard)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        length = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert length == pytest.approx(2, abs=0.1)
    assert "bake bread" in embedding.json["input"][0]
    found = vector(session, post_id)
    assert found is not None
    assert found.category == categorise("Look", [], provider.transcript) != categorise("Look")
    assert found.model.endswith("/text-embedding-3-small@256")


def test_the_sound_of_a_package_is_heard_too(people: People, wire: Wire, provider: OpenAIServer, tmp_path: Any) -> None:
    post(people.ada, upload_package(people.ada, wire, clips.hls_package(tmp_path, seconds=1)), description="Look")
    run_due()
    assert [request.path.rpartition("/")[2] for request in provider.requests] == ["transcriptions", "embeddings"]


def test_silent_films_and_providers_without_speech_are_not_asked_to_listen(
    people: People, wire: Wire, tiny: bytes, provider: OpenAIServer
) -> None:
    posted(people.ada, wire, clips.clip("anamorphic.mp4").read_bytes(), description="Silent")
    run_due()
    with config.override(openai_speech_model=""):
        posted(people.ada, wire, tiny, description="With sound")
        run_due()
    assert [request.path.rpartition("/")[2] for request in provider.requests] == ["embeddings", "embeddings"]


def test_a_provider_that_is_away_costs_a_try_and_the_post_plays(
    people: People, wire: Wire, tiny: bytes, session: orm.Session, provider: OpenAIServer
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Guitar", tags="music")
    provider.faults += [Fault(401)]
    run_due()
    (tried,) = jobs_of("media.insight", post_id=post_id)
    assert (tried.state, tried.attempts) == ("ready", 1)
    assert str(tried.last_error).startswith("insight_unavailable")
    shown = status(people.ada, post_id)
    assert (shown["stage"], shown["playable"]) == ("ready", True)
    assert {piece.status for piece in wire.play(shown["link"]).values()} == {200}
    assert vector(session, post_id) is None
    with clock.shifted(timedelta(minutes=1)):
        assert run_due() == ["media.insight"]
    found = vector(session, post_id)
    assert found is not None
    assert found.vector is not None


def test_a_provider_that_stays_away_leaves_a_dead_job_and_a_playing_post(
    people: People, wire: Wire, tiny: bytes, provider: OpenAIServer
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Guitar")
    provider.faults += [Fault(401)] * 2
    with config.override(job_attempts=2):
        run_due()
        with clock.shifted(timedelta(minutes=1)):
            run_due()
    (given_up,) = jobs_of("media.insight", post_id=post_id)
    assert given_up.state == "dead"
    assert status(people.ada, post_id)["stage"] == "ready"


def test_a_caption_changed_while_the_old_one_is_understood_wins(
    people: People, wire: Wire, tiny: bytes, session: orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Guitar", tags="music")
    run_due()
    assert vector(session, post_id).category == categorise("Guitar", ["music"])  # type: ignore[union-attr]
    understand = job.categorise

    def changed_meanwhile(*words: Any) -> str:
        monkeypatch.setattr(job, "categorise", understand)
        changed = {"description": "Baking bread in my kitchen", "tags": "food"}
        assert people.ada.patch(f"/api/media/post/{post_id}/", json=changed).status_code == 200
        run_due()
        return understand(*words)

    monkeypatch.setattr(job, "categorise", changed_meanwhile)
    job.run(post_id)
    found = vector(session, post_id)
    assert found is not None
    assert found.category == categorise("Baking bread in my kitchen", ["food"]) != categorise("Guitar", ["music"])
