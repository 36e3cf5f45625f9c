"""The feed as others use it: frames in, pages out."""

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking.model import FeedModel
from models_ml.ranking.selection import Rules

DAY = 86400.0
START = 1_700_000_000.0
KINDS = ("cook", "climb", "piano")
WORDS = {
    "cook": "cooking soup noodles kitchen recipe",
    "climb": "climbing rock wall rope summit",
    "piano": "piano music sonata keys concert",
}
EACH = 30


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    chance = np.random.default_rng(1)
    rows = []
    for kind in KINDS:
        for number in range(EACH):
            title = " ".join(chance.choice(WORDS[kind].split(), 3, replace=False))
            rows.append((f"{kind}-{number}", title, [kind], 20_000, f"by-{kind}-{number % 6}", START))
    return pd.DataFrame(rows, columns=["item_id", "title", "tags", "duration_ms", "author_id", "created"])


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """60 people, each fond of one kind, who like ten posts of it one after the other."""
    chance = np.random.default_rng(2)
    rows = []
    for person in range(60):
        kind = KINDS[person % 3]
        for step, number in enumerate(chance.permutation(EACH)[:10]):
            rows.append((f"p{person}", f"{kind}-{number}", START + 60 * person + 600 * step, True, False))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "like", "hate"])


@pytest.fixture(scope="module")
def fitted(events: pd.DataFrame, items: pd.DataFrame) -> FeedModel:
    return FeedModel().fit(events, items)


@pytest.fixture
def feed(fitted: FeedModel, tmp_path) -> FeedModel:
    """A feed of the test's own, which may learn."""
    fitted.save(tmp_path / "feed")
    return FeedModel.load(tmp_path / "feed")


def kinds(page) -> list[str]:
    return [item.split("-")[0] for item in page]


def test_people_get_what_they_are_fond_of(fitted: FeedModel) -> None:
    pages = fitted.recommend(["p0", "p1", "p2"], 10)
    assert pages.shape == (3, 10)
    for page, kind in zip(pages, KINDS, strict=True):
        assert kinds(page).count(kind) >= 6


def test_nothing_that_was_seen_comes_again_and_nothing_twice(fitted: FeedModel, events: pd.DataFrame) -> None:
    people = events["user_id"].unique()
    seen = events.groupby("user_id")["item_id"].agg(set)
    for person, page in zip(people, fitted.recommend(list(people), 40), strict=True):
        assert None not in page
        assert len(set(page)) == 40
        assert not seen[person] & set(page)


def test_what_was_seen_may_come_where_that_is_wanted(fitted: FeedModel, events: pd.DataFrame) -> None:
    page = fitted.recommend(["p0"], 90, exclude_seen=False)[0]
    assert set(events.loc[events["user_id"] == "p0", "item_id"]) <= set(page)


def test_when_nothing_is_left_the_page_ends(fitted: FeedModel) -> None:
    page = fitted.recommend(["p0"], 100)[0]
    assert [item is None for item in page] == [False] * 80 + [True] * 20


def test_unknown_people_get_what_is_popular(events: pd.DataFrame, items: pd.DataFrame) -> None:
    late = START + 3 * DAY
    rush = pd.DataFrame({"user_id": [f"q{n}" for n in range(40)], "item_id": ["piano-3", "cook-5"] * 20, "ts": late})
    feed = FeedModel().fit(pd.concat([events, rush.assign(like=True, hate=False)]), items)
    page = feed.recommend(["nobody knows"], 10)[0]
    assert {"piano-3", "cook-5"} <= set(page)
    assert len(set(kinds(page))) > 1


def test_a_newcomer_who_chose_topics_gets_them(feed: FeedModel, tmp_path) -> None:
    unasked = kinds(feed.recommend(["fan"], 10)[0]).count("climb")
    feed.welcome("fan", ["climb"])
    page = feed.recommend(["fan"], 10)[0]
    assert kinds(page).count("climb") > max(unasked, 4)
    feed.save(tmp_path / "again")
    assert (FeedModel.load(tmp_path / "again").recommend(["fan"], 10)[0] == page).all()


def test_one_event_changes_the_next_page(feed: FeedModel) -> None:
    before = kinds(feed.recommend(["new"], 10)[0])
    for number in range(3):
        feed.observe({"user_id": "new", "item_id": f"piano-{number}", "ts": START + DAY + number, "like": True})
    after = feed.recommend(["new"], 10)[0]
    assert kinds(after).count("piano") > before.count("piano")
    assert not {"piano-0", "piano-1", "piano-2"} & set(after)


def test_a_change_of_taste_is_followed(feed: FeedModel) -> None:
    assert kinds(feed.recommend(["p0"], 10)[0]).count("climb") <= 4
    for number in range(8):
        feed.observe({"user_id": "p0", "item_id": f"climb-{number}", "ts": START + DAY + 60 * number, "like": True})
    assert kinds(feed.recommend(["p0"], 10)[0]).count("climb") >= 5


def test_a_saved_feed_gives_the_same_pages_and_learns_the_same(fitted: FeedModel, tmp_path) -> None:
    fitted.save(tmp_path / "one")
    one, two = FeedModel.load(tmp_path / "one"), FeedModel.load(tmp_path / "one")
    people = [f"p{number}" for number in range(20)]
    assert (one.recommend(people, 20) == fitted.recommend(people, 20)).all()
    event = {"user_id": "p1", "item_id": "cook-1", "ts": START + DAY, "like": True}
    one.observe(event)
    one.save(tmp_path / "two")
    two.observe(event)
    assert (FeedModel.load(tmp_path / "two").recommend(people, 20) == two.recommend(people, 20)).all()


def test_training_again_gives_the_same_pages(fitted: FeedModel, events: pd.DataFrame, items: pd.DataFrame) -> None:
    people = [f"p{number}" for number in range(20)]
    assert (FeedModel().fit(events, items).recommend(people, 20) == fitted.recommend(people, 20)).all()


@pytest.mark.parametrize("columns", [["ts"], ["like", "hate"], ["ts", "like", "hate"]])
def test_what_is_not_known_may_be_absent(events: pd.DataFrame, items: pd.DataFrame, columns: list[str]) -> None:
    feed = FeedModel().fit(events.drop(columns=columns), items[["item_id"]])
    assert kinds(feed.recommend(["p0"], 10)[0]).count("cook") >= 8
    feed.observe({"user_id": "p0", "item_id": "cook-0"})
    assert "cook-0" not in feed.recommend(["p0"], 90)[0]


def test_a_feed_without_any_event_still_has_pages(items: pd.DataFrame) -> None:
    feed = FeedModel().fit(pd.DataFrame({"user_id": [], "item_id": []}), items)
    assert len(set(feed.recommend([7], 10)[0])) == 10


def test_posts_that_nobody_saw_reach_people_by_their_words(feed: FeedModel) -> None:
    feed.add(pd.DataFrame({"item_id": ["fresh"], "title": ["piano sonata"], "created": [START + DAY]}))
    reached = dict.fromkeys(KINDS, 0)
    for number, page in enumerate(feed.recommend([f"p{number}" for number in range(60)], 20, now=START + DAY)):
        reached[KINDS[number % 3]] += "fresh" in page
    assert reached["piano"] >= 10


def test_a_post_is_not_shown_before_it_is_made(feed: FeedModel) -> None:
    feed.add(pd.DataFrame({"item_id": ["later"], "title": ["piano sonata"], "created": [START + 9 * DAY]}))
    assert "later" not in feed.recommend(["p2"], 90, now=START + DAY)[0]
    assert "later" in feed.recommend(["p2"], 90, now=START + 9 * DAY)[0]


def test_no_creator_fills_a_page(fitted: FeedModel, items: pd.DataFrame) -> None:
    author = items.set_index("item_id")["author_id"]
    for page in fitted.recommend([f"p{number}" for number in range(30)], 10):
        assert author[page].value_counts().max() <= 2


def test_of_two_things_one_hates_one_gets_fewer(feed: FeedModel) -> None:
    for number in range(4):
        feed.observe({"user_id": "both", "item_id": f"cook-{number}", "ts": START + DAY + number, "like": True})
        feed.observe({"user_id": "both", "item_id": f"climb-{number}", "ts": START + DAY + number, "hate": True})
    page = kinds(feed.recommend(["both"], 10)[0])
    assert page.count("cook") > page.count("climb")


def test_numbers_and_texts_serve_as_ids(events: pd.DataFrame, items: pd.DataFrame, tmp_path) -> None:
    number = {item: place for place, item in enumerate(items["item_id"])}
    counted = events.assign(item_id=events["item_id"].map(number), user_id=events["user_id"].str[1:].astype(int))
    FeedModel().fit(counted, items.assign(item_id=items["item_id"].map(number))).save(tmp_path / "feed")
    page = FeedModel.load(tmp_path / "feed").recommend(np.array([0, 3]), 5)
    assert all(isinstance(item, int) for item in page[0])
    assert sum(item < EACH for item in page[0]) == 3  # as many as one topic may have


def test_operators_may_ask_for_more_of_one_creator(fitted: FeedModel, tmp_path, items: pd.DataFrame) -> None:
    fitted.save(tmp_path / "feed")
    feed = FeedModel.load(tmp_path / "feed", Rules(per_creator=1))
    author = items.set_index("item_id")["author_id"]
    assert author[feed.recommend(["p0"], 10)[0]].is_unique
