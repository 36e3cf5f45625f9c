"""Scores as they are stored: with what they were made of, kept present, and gone with their post."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from models_ml import registry
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import pipeline
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import PostKind, Stage, Visibility
from popoff.scoring import queries, rules, service
from popoff.scoring.models import EngagementScore, QualityScore, Reputation
from popoff.scoring.rules import QualityInputs
from popoff.social import service as social
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.races import at_once
from workers import base, engagement, rescore


@pytest.fixture
def post_id(people: People) -> int:
    """A post of ada that can be played and was measured."""
    made = make_post(people.ada.username, "How to tie a knot, step by step", "diy,tutorial", indexed=False)
    post = db.session.get_one(Post, made)
    post.source_facts = {"frame_rate": 29.97, "has_audio": True, "variable_frame_rate": False}
    post.loudness = {"integrated": -18.2, "threshold": -28.0, "range": 5.5, "true_peak": -2.0}
    post.source_bytes = 4_000_000
    db.session.flush()
    return made


def id_of(people: People, name: str) -> int:
    from popoff.accounts import queries as accounts

    user = accounts.by_login(people[name].username)
    assert user is not None
    return user.id


def due() -> Sequence[int]:
    """The posts whose engagement the model in use is to score."""
    return queries.moved(0, 10, engagement.scorer().model)


def like(people: People, name: str, post_id: int) -> None:
    social.set_like(id_of(people, name), post_id, True)


def test_a_score_is_kept_with_model_inputs_and_feedback(people: People, post_id: int) -> None:
    like(people, "eve", post_id)
    service.rescore([post_id])
    engagement, quality = queries.engagement(post_id), queries.quality(post_id)
    assert engagement.model == quality.model == rules.MODEL
    assert (engagement.inputs.likes, engagement.inputs.length_ms, engagement.inputs.reputation) == (1, 10_000, 1)
    assert engagement.score == rules.engagement(engagement.inputs)
    assert rules.quality(QualityInputs(**quality.inputs)).parts == quality.parts
    assert "-18.2 LUFS" in quality.parts["delivery"].feedback
    assert "29.97 frames" in quality.parts["audioVisual"].feedback
    found = queries.overall([post_id])[post_id]
    assert found.overall == 0.5 * engagement.score + 0.5 * (quality.score or 0)
    assert found.reason is None


def test_scoring_again_gives_the_same(people: People, post_id: int) -> None:
    service.rescore([post_id])
    first = queries.overall([post_id])
    service.rescore([post_id, post_id])
    assert queries.overall([post_id]) == first


def test_posts_that_were_never_looked_at_say_so(post_id: int) -> None:
    found = queries.overall([post_id, 10**9])
    assert {score.reason for score in found.values()} == {queries.NOT_YET}
    assert {score.overall for score in found.values()} == {None}
    service.rescore_engagement([post_id])
    half = queries.overall([post_id])[post_id]
    assert half.engagement is not None and (half.overall, half.reason) == (None, queries.NOT_YET)


def test_what_was_not_measured_is_not_scored(people: People, post_id: int) -> None:
    post = db.session.get_one(Post, post_id)
    post.stage, post.failure_code, post.playable_at = Stage.FAILED.value, "not_media", None
    link = media.create_link(post.user_id, "https://live.example/", "", "", title="Live", kind=PostKind.LIVE)
    service.rescore([post_id, link.id])
    found = queries.overall([post_id, link.id])
    assert found[post_id].reason == "the film could not be processed"
    assert found[link.id].reason == "the film is kept elsewhere, and was not measured"
    assert found[post_id].overall is found[link.id].overall is None
    assert queries.averages([post.user_id]) == {post.user_id: (0.0, 0.0)}


def test_what_was_measured_of_silence_is_no_number(post_id: int) -> None:
    post = db.session.get_one(Post, post_id)
    post.loudness = {"integrated": None, "range": "loud", "true_peak": True}
    service.rescore_quality([post_id])
    assert queries.quality(post_id).score is not None


def test_the_database_keeps_no_score_that_is_none(post_id: int) -> None:
    service.rescore([post_id])
    for value in ("'NaN'", "-1", "100.1", "'Infinity'"):
        for table in ("engagement_scores", "quality_scores"):
            with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
                db.session.execute(sa.text(f"UPDATE {table} SET score = {value}"))


def test_reputation_counts_people_not_clicks_and_not_oneself(people: People, post_id: int) -> None:
    other = make_post("ada", indexed=False)
    for name in ("eve", "farid"):
        for liked in (post_id, other):
            like(people, name, liked)
            social.share(id_of(people, name), liked)
    like(people, "ada", post_id)
    social.add_comment(id_of(people, "gus"), other, "Hello")
    assert queries.count_people(id_of(people, "ada")) == 3
    service.rescore_engagement([post_id])
    assert queries.engagement(post_id).inputs.reputation == 3


def test_reputation_is_counted_again_after_an_hour(people: People, post_id: int) -> None:
    service.rescore_engagement([post_id])
    like(people, "eve", post_id)
    service.rescore_engagement([post_id])
    assert queries.engagement(post_id).inputs.reputation == 0
    with clock.shifted(timedelta(hours=1, minutes=1)):
        service.rescore_engagement([post_id])
    assert queries.engagement(post_id).inputs.reputation == 1


# --- keeping them present -------------------------------------------------------------------------------------------


def test_posts_are_scored_when_their_counters_moved_enough(people: People, post_id: int) -> None:
    rescore.rescore_moved()
    assert due() == [] == queries.unjudged(0, 10)
    social.record_view(id_of(people, "eve"), post_id, 5.0)
    rescore.rescore_moved()
    before = queries.engagement(post_id)
    like(people, "eve", post_id)
    assert due() == [post_id]
    rescore.rescore_moved()
    assert queries.engagement(post_id).score > before.score
    assert due() == []


def test_a_little_more_of_much_is_not_worth_it(people: People, post_id: int) -> None:
    social._count_post(post_id, views=1000, likes=100, watch_ms=1_000_000)
    rescore.run(post_id)
    social._count_post(post_id, views=20, likes=2, watch_ms=20_000)
    assert due() == []
    social._count_post(post_id, likes=1)
    assert due() == [post_id]


def test_a_new_model_scores_everything_anew(people: People, post_id: int) -> None:
    rescore.run(post_id)
    assert due() == []
    db.session.execute(sa.update(EngagementScore).values(model="engagement-0"))
    db.session.execute(sa.update(QualityScore).values(model="rules-0"))
    assert due() == [post_id] == queries.unjudged(0, 10)
    rescore.rescore_moved()
    assert queries.overall([post_id])[post_id].engagement_model == registry.load("engagement").version


def test_a_film_that_is_kept_elsewhere_is_scored_anew_too(people: People, post_id: int) -> None:
    rescore.run(post_id)
    elsewhere = {"playable_at": None, "link": "https://live.example/roof"}
    db.session.execute(sa.update(Post).where(Post.id == post_id).values(**elsewhere))
    db.session.execute(sa.update(EngagementScore).values(model="rules-0"))
    assert due() == [post_id]


def test_many_posts_are_scored_in_batches(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [make_post(people.ada.username, indexed=False) for _ in range(7)]
    monkeypatch.setattr(rescore, "BATCH", 3)
    rescore.rescore_moved()
    assert all(score.overall is not None for score in queries.overall(posts).values())


def staged() -> set[tuple[str, int]]:
    jobs = db.session.execute(sa.select(Job.name, Job.args).where(Job.name == "scoring.rescore")).all()
    return {(name, args["post_id"]) for name, args in jobs}


def test_a_post_is_scored_when_it_is_ready_reworded_or_judged(people: People, post_id: int) -> None:
    post = db.session.get_one(Post, post_id)
    post.stage = Stage.TRANSCODING.value
    db.session.flush()
    pipeline.note_ready(post_id)
    assert staged() == {("scoring.rescore", post_id)}
    db.session.execute(sa.delete(Job))
    media.edit_post(post.user_id, post_id, "Other words", None)
    assert staged() == {("scoring.rescore", post_id)}
    db.session.execute(sa.delete(Job))
    media.set_visibility(post_id, Visibility.REMOVED)
    assert staged() == {("scoring.rescore", post_id)}
    rescore.run(post_id)
    assert queries.quality(post_id).parts["communityGuidelines"].score == 0


def test_scores_go_with_their_post(people: People, post_id: int) -> None:
    service.rescore([post_id])
    db.session.execute(sa.delete(Post).where(Post.id == post_id))
    for model in (EngagementScore, QualityScore):
        assert db.session.scalar(sa.select(sa.func.count()).select_from(model)) == 0
    rescore.run(post_id)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Reputation)) == 1


def test_scoring_races_with_scoring_and_with_deletion(platform_db: Flask) -> None:
    people = People(platform_db.test_client())
    with platform_db.app_context(), base.transaction():
        posts = [make_post(people.ada.username, indexed=False) for _ in range(12)]

    def score(order: list[int]) -> None:
        with platform_db.app_context(), base.transaction():
            service.rescore(order)

    def erase(post_id: int) -> None:
        with platform_db.app_context(), base.transaction():
            db.session.execute(sa.delete(Post).where(Post.id == post_id))

    at_once([*(lambda order=order: score(order) for order in (posts, posts[::-1], posts[3:])), lambda: erase(posts[5])])
    with platform_db.app_context():
        scored = {id_ for id_, found in queries.overall(posts).items() if found.overall is not None}
        assert scored == set(posts) - {posts[5]}
