"""A feed on disk: mapped and private, with room for what is new, and refused when it is damaged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking import store
from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather
from models_ml.ranking.features import describe
from models_ml.ranking.model import FeedModel
from models_ml.ranking.people import WINDOW, People, Person
from models_ml.ranking.ranker import Ranker

START = 1_700_000_000.0
POSTS = 60


@pytest.fixture(scope="module")
def fitted() -> FeedModel:
    chance = np.random.default_rng(3)
    rows = [
        (person, int(post), START + 100 * step + person, True)
        for person in range(30)
        for step, post in enumerate(chance.permutation(POSTS)[:12])
    ]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "like"])
    titles = [" ".join(chance.choice(["sea", "sun", "sand", "snow", "ski"], 3)) for _ in range(POSTS)]
    items = pd.DataFrame({"item_id": range(POSTS), "title": titles, "author_id": [post % 7 for post in range(POSTS)]})
    return FeedModel().fit(events, items)


@pytest.fixture
def folder(fitted: FeedModel, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "feed")
    return tmp_path / "feed"


def test_posts_find_room_without_a_table_being_copied(folder: Path) -> None:
    feed = FeedModel.load(folder)
    tables = feed.memory.next.ids, feed.memory.topic, feed.memory.trends.sums, feed.memory.fans
    feed.add(pd.DataFrame({"item_id": range(1000, 1000 + store.ROOM), "title": "sun and sea", "author_id": 3}))
    assert tables[0] is feed.memory.next.ids
    assert all(
        before is now
        for before, now in zip(tables[1:], (feed.memory.topic, feed.memory.trends.sums, feed.memory.fans), strict=True)
    )
    assert 1000 + store.ROOM - 1 in feed.recommend([1], 2000)[0]
    feed.add(pd.DataFrame({"item_id": ["one more"]}))
    assert "one more" in feed.memory.post_of


def test_what_is_learnt_from_a_mapped_feed_stays_with_who_learnt_it(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    one, other = FeedModel.load(folder), FeedModel.load(folder)
    for post in range(20):
        one.observe({"user_id": 5, "item_id": post, "ts": START + 5000 + post, "like": True})
    assert one.memory.liked[:20].sum() == other.memory.liked[:20].sum() + 20
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_who_has_a_feed_mapped_keeps_it_when_it_is_replaced(fitted: FeedModel, folder: Path) -> None:
    feed = FeedModel.load(folder)
    FeedModel().fit(pd.DataFrame({"user_id": ["a"], "item_id": ["b"]}), pd.DataFrame({"item_id": ["b"]})).save(folder)
    assert (feed.recommend([1, 2], 10) == fitted.recommend([1, 2], 10)).all()
    assert FeedModel.load(folder).memory.post_ids == ["b"]
    assert [path.name for path in folder.parent.iterdir()] == ["feed"]


def test_a_failed_save_leaves_what_was_there(fitted: FeedModel, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space"):
        fitted.save(folder)
    assert FeedModel.load(folder).memory.posts == POSTS
    assert [path.name for path in folder.parent.iterdir()] == ["feed"]


def test_another_ranker_may_be_given(fitted: FeedModel, folder: Path) -> None:
    rule = Ranker()
    feed = FeedModel.load(folder, ranker=rule)
    assert feed.ranker is rule
    again = Ranker.of(fitted.ranker.dump())
    assert (FeedModel.load(folder, ranker=again).recommend([1, 2], 10) == fitted.recommend([1, 2], 10)).all()


def test_with_a_ranker_given_none_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models_ml.ranking.model.rehearse", lambda *_: pytest.fail("it rehearsed"))
    events = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 1]})
    given = Ranker()
    assert FeedModel().fit(events, pd.DataFrame({"item_id": [1, 2, 3]}), given).ranker is given


@pytest.mark.parametrize("name", [store.SUMMARY, store.TREES, "topic.npy", "next.ids.npy", "people.times.npy"])
@pytest.mark.parametrize("harm", ["gone", "empty", "short", "noise", "pickled", "folder"])
def test_a_damaged_feed_is_refused(folder: Path, name: str, harm: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm != "gone":
        noise = np.random.default_rng(1).bytes(len(whole))
        pickled = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
        path.write_bytes({"empty": b"", "short": whole[: len(whole) // 2], "noise": noise, "pickled": pickled}[harm])
    with pytest.raises((OSError, ValueError, KeyError)):
        FeedModel.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"posts": 5},
        {"posts": ["x"] * 5000},
        {"people": None},
        {"hints": {"900": [1]}},
        {"arrays": {}},
        {"clock": []},
        {"owed": 3},
        {"tags": [[]]},
    ],
)
def test_a_summary_that_does_not_fit_is_refused(folder: Path, change: dict) -> None:
    summary = json.loads((folder / store.SUMMARY).read_text())
    (folder / store.SUMMARY).write_text(json.dumps({**summary, **change}))
    with pytest.raises((OSError, ValueError, KeyError)):
        FeedModel.load(folder)


def test_bytes_changed_at_random_in_the_head_of_an_array_are_refused_or_harmless(folder: Path) -> None:
    chance, path = np.random.default_rng(4), folder / "people.ends.npy"
    whole = path.read_bytes()
    for _ in range(200):
        changed = bytearray(whole)
        for place in chance.integers(0, 128, 3):
            changed[place] = chance.integers(256)
        path.write_bytes(changed)
        try:
            FeedModel.load(folder)
        except (OSError, ValueError, KeyError):
            continue


def test_people_are_taken_from_arrays_as_they_were_put_there() -> None:
    people = People()
    for number in range(5):
        person = people.add()
        for event in range(number):
            person.meet(event, START + event, 0.5)
    again = People.of(people.arrays())
    again.add().meet(7, START, 1.0)
    assert len(again) == 6
    assert [person.posts.tolist() for person in again] == [list(range(number)) for number in range(5)] + [[7]]
    assert again[4].times.tolist() == people[4].times.tolist()
    with pytest.raises(IndexError):
        again[6]


def test_only_the_latest_events_of_a_person_tell_anything(fitted: FeedModel) -> None:
    """Who is known by these alone gets the same posts, told the same of them, as who is known from the beginning."""
    long, short = Person(), Person()
    for post in range(40):
        long.meet(post, START + post, -1.0 if post % 2 else 1.0)
    for event in range(WINDOW):
        for person in (long, short):
            person.meet(40 + event % 10, START + 1000 + event, (1.0, 0.0, -1.0)[event % 3])
    visits = [Visit.of(person, START + 5000) for person in (long, short)]
    found = [gather(fitted.memory, visit, np.arange(50, dtype=np.int32)) for visit in visits]
    order = [np.argsort(posts) for posts, _ in found]
    np.testing.assert_array_equal(*(posts[rows] for (posts, _), rows in zip(found, order, strict=True)))
    posts, marks = found[0]
    assert len(posts)
    np.testing.assert_array_equal(*(describe(fitted.memory, visit, posts, marks) for visit in visits))
