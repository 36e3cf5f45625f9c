"""The trained feed behind a page: snapshots, new posts, and everything that can be wrong with them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import config
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import Ranker
from popoff.feed import engine, queries, recent, wishes
from popoff.feed import service as feed
from popoff.kernel import clock
from popoff.media.models import Post
from popoff.social import service as social
from popoff.social.models import Like
from tests.integration.feed.conftest import Register
from tests.integration.feed.test_filters import World
from tests.support.crowd import people
from tests.support.crowd import posts as posts_at_once
from tests.support.faults import until
from tests.support.posts import make_post
from tests.support.rankers import put_ranker
from workers import feed as jobs_of_feed

RANKER = "ranking-2026-01-01-test"


@pytest.fixture
def models(settings: config.Settings, tmp_path: Path) -> Iterator[Path]:
    with config.override(models_path=str(tmp_path / "models")):
        put_ranker(tmp_path / "models", RANKER, goes_by="near_sum", reach=0.2, used=True)
        yield tmp_path / "models"


@pytest.fixture
def posts(register: Register) -> list[int]:
    """Forty posts of ten creators; no caption tells which of two crowds likes it: the even or the odd places."""
    creators = [f"creator{number}" for number in range(10)]
    for creator in creators:
        register(creator)
    return [make_post(creators[place % 10], "", age=timedelta(days=20)) for place in range(40)]


def snapshot(models: Path, posts: Sequence[int], version: str = "20260101T000000") -> None:
    """What two crowds of a dozen each like, written and loaded."""
    crowd = people(24)
    start = clock.now().timestamp() - 86400
    events = [
        {
            "user_id": user,
            "item_id": posts[(2 * (place + step) + place % 2) % 40],
            "ts": start + 60 * step,
            "like": True,
        }
        for place, user in enumerate(crowd)
        for step in range(8)
    ]
    made = FeedModel().fit(pd.DataFrame(events), pd.DataFrame({"item_id": posts}), ranker=Ranker())
    engine.write(made, models, version, seconds=0.1)
    engine.current().load()


def crowd_of(posts: Sequence[int], shown: Sequence[int]) -> list[int]:
    return [posts.index(post_id) % 2 for post_id in shown]


def shown(viewer: int, number: int = 5, seed: int = 1, **options) -> list[int]:
    page = feed.choose(viewer, number, rng=np.random.default_rng(seed), **options)
    return [place.post_id for place in page.places if place.pool is None]


def test_a_page_has_what_others_liked_around_what_one_liked_and_says_so(
    models: Path, posts: list[int], register: Register
) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    for post_id in posts[:4:2]:
        feed.learn(viewer, post_id, watch_ms=10_000)
    page = feed.choose(viewer, 5, exclude=posts[:4:2], rng=np.random.default_rng(1))
    assert page.ranker == RANKER
    assert set(crowd_of(posts, [place.post_id for place in page.places if place.pool is None])) == {0}
    reasons = [item["reason"] for item in feed.shown(viewer, page.places)]
    assert any(reason.startswith("Because you watched a video of creator") for reason in reasons)


def test_one_event_changes_the_next_page(models: Path, posts: list[int], register: Register) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    for place in (0, 2):
        feed.learn(viewer, posts[place], liked=True)
    before = shown(viewer)
    for place in (1, 3):
        feed.learn(viewer, posts[place], liked=True)
        feed.learn(viewer, posts[place - 1], rejected=True)
    after = shown(viewer)
    assert set(crowd_of(posts, before)) == {0}
    assert crowd_of(posts, after).count(1) > 2


def test_a_post_that_came_after_the_snapshot_is_known_within_seconds(
    models: Path, posts: list[int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    shown(viewer)
    late = make_post("creator1", "Guitar", age=timedelta())
    monkeypatch.setattr(engine, "CATCH_UP_EVERY_S", 0.0)
    assert late in [place.post_id for place in feed.choose(viewer, 41).places]
    until(lambda: is_known(viewer, late), 10, "the new post is known")


def is_known(viewer: int, post_id: int) -> bool:
    visit = engine.current().visit(viewer, recent.unpack(b""), clock.now(), [])
    assert visit is not None
    return bool(np.isfinite(visit.log_odds([post_id])).all())


def test_however_many_posts_come_at_once_the_newest_are_known_and_no_page_waits_for_them(
    models: Path, posts: list[int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    (author,) = people(1, "importer")
    many = posts_at_once(author, ["Guitar"] * 501, [clock.now()] * 501)
    last = make_post("creator1", "Guitar", age=timedelta())
    busy = threading.Event()
    monkeypatch.setattr(engine, "_item", lambda post, read=engine._item: busy.wait(30) and read(post))
    assert len(feed.choose(viewer, 5).places) == 5, "while the first of them is being looked at"
    assert engine.current().wants_posts() is None, "one lot after the other"
    busy.set()
    until(lambda: is_known(viewer, last), 10, "the newest is known")
    until(lambda: not engine.current()._adding.locked(), 10, "all are looked at")
    assert sum(is_known(viewer, post_id) for post_id in many) == 499


def test_without_a_snapshot_the_rules_make_the_page(models: Path, posts: list[int], register: Register) -> None:
    page = feed.choose(register("viewer"), 5)
    assert (len(page.places), page.ranker) == (5, feed.RULES)


def damage_arrays(folder: Path) -> None:
    for path in folder.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    "damage",
    [
        damage_arrays,
        lambda folder: (folder / "feed.json").write_text("{"),
        lambda folder: (folder.parent / "current").write_text("../elsewhere"),
        lambda folder: (folder.parent / "current").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_snapshot_is_refused_and_the_rules_make_the_page(
    models: Path, posts: list[int], register: Register, damage: Callable[[Path], None]
) -> None:
    snapshot(models, posts)
    damage(models / "feed" / "20260101T000000")
    engine._ENGINES.clear()
    engine.current().load()
    page = feed.choose(register("viewer"), 5)
    assert (len(page.places), page.ranker) == (5, feed.RULES)


@pytest.mark.parametrize("name", ["near.ids", "next.ids", "alike.ids", "about.ids", "likes", "fans"])
def test_a_snapshot_with_numbers_that_cannot_be_costs_nobody_their_page(
    models: Path, posts: list[int], register: Register, name: str
) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    array = np.lib.format.open_memmap(models / "feed" / "20260101T000000" / f"{name}.npy", mode="r+")
    array[:] = 123456789
    array.flush()
    engine._ENGINES.clear()
    engine.current().load()
    for post_id in posts[:4:2]:
        feed.learn(viewer, post_id, watch_ms=10_000)
    assert len(feed.choose(viewer, 5).places) == 5


def test_a_damaged_snapshot_does_not_take_the_place_of_a_good_one(
    models: Path, posts: list[int], register: Register
) -> None:
    snapshot(models, posts)
    (models / "feed" / "later").mkdir()
    (models / "feed" / "current").write_text("later")
    engine.current().load()
    assert feed.choose(register("viewer"), 5).ranker == RANKER


def test_a_version_on_trial_answers_for_those_who_try_it(models: Path, posts: list[int], register: Register) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    challenger = put_ranker(models, "ranking-2026-01-02-test", goes_by="likes")
    engine.current().load(challenger)
    assert feed.choose(viewer, 5, ranker=challenger).ranker == challenger
    assert feed.choose(viewer, 5, ranker="ranking-that-is-gone").ranker == RANKER


def test_old_snapshots_go_and_rest_follows_work(models: Path, posts: list[int]) -> None:
    assert engine.is_due(models, 0.0)
    for version in ("20260101T000000", "20260102T000000", "20260103T000000"):
        snapshot_folder = models / "feed" / version
        engine.write(FeedModel(), models, version, seconds=30.0)
    kept = sorted(path.name for path in (models / "feed").iterdir() if path.is_dir())
    assert kept == ["20260102T000000", "20260103T000000"]
    made = snapshot_folder.stat().st_mtime
    assert not engine.is_due(models, made + 299)
    assert engine.is_due(models, made + 301)


def test_one_snapshot_is_made_at_a_time_and_what_a_killed_process_left_goes(models: Path, posts: list[int]) -> None:
    with engine.turn(models) as ours, engine.turn(models) as theirs:
        assert ours and not theirs
        jobs_of_feed.snapshot()
        assert not (models / "feed" / "current").exists()
        (models / "feed" / ".20260101T000000-abc").mkdir()
        for version in ("20260103T000000", "20260101T000000", "20260102T000000"):
            engine.write(FeedModel(), models, version, seconds=1.0)
    kept = sorted(path.name for path in (models / "feed").iterdir() if path.is_dir())
    assert kept == ["20260102T000000", "20260103T000000"]


def test_where_nothing_can_be_written_nothing_is_worked_out(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "feed").write_text("in the way")
    monkeypatch.setattr(jobs_of_feed.FeedModel, "fit", lambda *_, **__: pytest.fail("it was worked out"))
    with pytest.raises(OSError):
        jobs_of_feed.snapshot()


def test_a_ranker_that_could_not_be_read_is_looked_at_again_with_the_next_snapshot(
    models: Path, posts: list[int], register: Register
) -> None:
    viewer, trees = register("viewer"), models / "ranking" / RANKER / "model.ubj"
    whole = trees.read_bytes()
    trees.write_bytes(b"")
    snapshot(models, posts)
    engine.current().load()
    assert feed.choose(viewer, 5).ranker == feed.RULES
    trees.write_bytes(whole)
    shutil.copytree(models / "feed" / "20260101T000000", models / "feed" / "20260102T000000")
    (models / "feed" / "current").write_text("20260102T000000")
    for _ in range(2):
        engine.current().load()
    assert feed.choose(viewer, 5).ranker == RANKER


def test_a_page_is_full_though_all_that_the_model_proposes_was_watched(
    models: Path, posts: list[int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    monkeypatch.setattr(engine.Engine, "wants_posts", lambda _: None)
    for post_id in posts:
        social.record_view(viewer, post_id, 5.0)
    late = {make_post(f"creator{place % 10}", "", age=timedelta(days=20)) for place in range(60)}
    page = feed.choose(viewer, 50)
    assert len(page.places) == 50
    assert {place.post_id for place in page.places} <= late


@pytest.mark.parametrize("wish", ["creator", "word"])
def test_a_reason_does_not_name_what_one_muted(models: Path, posts: list[int], register: Register, wish: str) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    feed.db.session.execute(sa.update(Post).where(Post.id == posts[0]).values(description="A song on my guitar"))
    feed.learn(viewer, posts[0], liked=True)
    page = feed.choose(viewer, 5, exclude=posts[:1], rng=np.random.default_rng(1))
    told = " ".join(item["reason"] for item in feed.shown(viewer, page.places))
    assert "guitar" in told
    wishes.mute_creator(viewer, "creator0") if wish == "creator" else wishes.mute_word(viewer, "guitar")
    page = feed.choose(viewer, 5, exclude=posts[:1], rng=np.random.default_rng(1))
    assert "guitar" not in " ".join(item["reason"] for item in feed.shown(viewer, page.places))


@pytest.mark.parametrize("seed", range(6))
def test_with_the_model_as_without_nothing_is_shown_that_may_not_be(
    models: Path, register: Register, seed: int
) -> None:
    world = World(register, seed)
    snapshot(models, (sorted(world.posts) * 40)[:40])
    page = feed.choose(world.viewer, 50)
    assert page.ranker == RANKER
    assert {place.post_id for place in page.places} == world.allowed([])


def test_many_threads_get_the_answers_that_one_gets(models: Path, posts: list[int], register: Register) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    for post_id in posts[:6:2]:
        feed.learn(viewer, post_id, liked=True)
    _, met = queries.person(viewer, "")
    now = clock.now()

    def ask() -> tuple[list[int], list[float]]:
        visit = engine.current().visit(viewer, met, now, [])
        assert visit is not None
        return sorted(visit.proposed), visit.log_odds(posts).tolist()

    alone, answers = ask(), []
    threads = [threading.Thread(target=lambda: answers.extend(ask() for _ in range(10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 80
    assert all(answer == alone for answer in answers)


def test_followed_people_alone_need_no_model(models: Path, posts: list[int], register: Register) -> None:
    viewer = register("viewer")
    snapshot(models, posts)
    social.follow(viewer, "creator1", True)
    page = feed.choose(viewer, 50, following_only=True)
    assert {place.post_id for place in page.places} == set(posts[1::10])


def test_the_job_makes_a_snapshot_of_what_happened_here(
    models: Path, posts: list[int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = register("viewer")
    crowd = people(6)
    for place in range(5):
        for user in crowd:
            feed.db.session.execute(sa.insert(Like).values(user_id=user, post_id=posts[place], created_at=clock.now()))
    monkeypatch.setattr(jobs_of_feed, "transaction", contextlib.nullcontext)
    jobs_of_feed.snapshot()
    engine.current().load()
    feed.learn(viewer, posts[0], liked=True)
    _, met = queries.person(viewer, "")
    visit = engine.current().visit(viewer, met, clock.now(), [])
    assert visit is not None
    assert set(posts[1:5]) <= set(visit.proposed)
    assert visit.because([posts[3], posts[30]]) == [posts[0], None]
    before = (models / "feed" / "current").read_text()
    (models / "feed" / before / engine.MADE_IN).write_text("60")
    jobs_of_feed.snapshot()
    assert (models / "feed" / "current").read_text() == before, "it rests"
