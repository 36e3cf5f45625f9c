"""What a person does not want: posts, words, creators. The feed leaves it out, and nothing else changes."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popoff.feed import queries, wishes, words
from popoff.feed.models import MutedWord
from popoff.feed.unwanted import unwanted
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict
from popoff.media.models import Post
from tests.integration.feed.conftest import Register
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.refusals import assert_refusal

GUITAR = "A song on my guitar"


def in_feed(people: People, name: str = "eve", query: str = "") -> set[str]:
    """Captions in the feed of a person."""
    answer = people[name].get(f"/api/media/get_feed/?batch_size=50{query}").json
    return {item["description"] for item in answer["feed"]}


def send(people: People, path: str, **body: object) -> str:
    answer = people.eve.post(f"/api{path}", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json["message"])


# --- posts ----------------------------------------------------------------------------------------------------------


def test_a_post_one_is_not_interested_in_is_not_shown_again_until_that_is_taken_back(people: People) -> None:
    post_id = make_post(people.ada.username, GUITAR)
    make_post("ada", "Pasta recipe")
    assert in_feed(people) == {GUITAR, "Pasta recipe"}
    send(people, "/post/not_interested/", video_id=post_id)
    assert in_feed(people) == {"Pasta recipe"}
    assert in_feed(people, "bob") == {GUITAR, "Pasta recipe"}
    send(people, "/post/not_interested/", video_id=post_id, undo=True)
    assert in_feed(people) == {GUITAR, "Pasta recipe"}


def test_it_teaches_the_feed_once(people: People) -> None:
    liked = [make_post(people.ada.username, caption) for caption in ("Guitar and piano song", "Pasta recipe")]
    for post_id in liked:
        people.eve.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
    shares = [people.eve.get("/api/user/get_preferences/").json]
    offending = make_post("ada", "Another guitar song")
    for _ in range(2):
        send(people, "/post/not_interested/", video_id=offending)
        shares.append(people.eve.get("/api/user/get_preferences/").json)
    music = next(label for label in shares[0] if label.startswith("Music"))
    assert shares[0][music] > shares[1][music]
    assert shares[1] == pytest.approx(shares[2], rel=1e-6)


@pytest.mark.parametrize("path", ["not_interested", "report_video"])
def test_the_next_pages_have_less_of_the_topic(people: People, path: str) -> None:
    songs = [make_post(people[f"singer{n}"].username, "A song on my guitar") for n in range(8)]
    for n in range(8):
        make_post(people[f"cook{n}"].username, "Pasta recipe, cooking at home")
    for post_id in songs[:3]:
        people.eve.post("/api/post/like/", json={"video_id": post_id, "like": True})

    def share() -> float:
        pages = [people.eve.get("/api/media/get_feed/?batch_size=5").json["feed"] for _ in range(6)]
        return float(np.mean([item["description"] == GUITAR for page in pages for item in page]))

    before = share()
    people.eve.post(f"/api/post/{path}/", json={"video_id": songs[7], "reason": "Spam"})
    after = share()
    assert before > 0.4
    assert after == 0
    people.eve.post("/api/post/not_interested/", json={"video_id": songs[7], "undo": True})
    assert share() > 0.2


def test_a_post_one_reported_is_not_shown_again(people: People) -> None:
    post_id = make_post(people.ada.username, GUITAR)
    people.eve.post("/api/post/report_video/", data={"video_id": post_id, "reason": "Spam"})
    assert in_feed(people) == set()
    assert in_feed(people, "bob") == {GUITAR}


def test_only_posts_that_one_can_see_can_be_dismissed(people: People) -> None:
    post_id = make_post(people.ada.username, GUITAR)
    people.ada.post("/api/user/block_user/", data={"username": people.eve.username})
    for video_id in (post_id, 10**9):
        assert_refusal(people.eve.post("/api/post/not_interested/", json={"video_id": video_id}), 404, "post_not_found")
    undo = {"video_id": 10**9, "undo": True}
    assert_refusal(people.eve.post("/api/post/not_interested/", json=undo), 404, "post_not_found")


def test_a_reset_forgets_what_was_shown_and_keeps_what_is_not_wanted(people: People) -> None:
    post_id = make_post(people.ada.username, GUITAR)
    make_post("ada", "Pasta recipe")
    assert len(in_feed(people)) == 2
    send(people, "/post/not_interested/", video_id=post_id)
    send(people, "/user/mute_word/", word="drums")
    people.eve.post("/api/user/reset_user_engagement/")
    data = people.eve.get("/api/user/export/").json
    assert data["impressions"] == []
    assert [len(rows) for rows in data["wishes"].values()] == [1, 1, 0]
    assert in_feed(people) == {"Pasta recipe"}


# --- creators -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "&followers_only=true"])
def test_a_muted_creator_is_left_out_of_the_feed_and_of_nothing_else(people: People, query: str) -> None:
    post_id = make_post(people.ada.username, GUITAR)
    make_post(people.bob.username, "Pasta recipe")
    for name in ("ada", "bob"):
        people.eve.post("/api/user/add_follower/", data={"username": name})
    people.ada.post("/api/post/add_comment/", data={"video_id": post_id, "comment": "Mine"})
    assert send(people, "/user/mute_creator/", username="ADA") == "User muted successfully."
    assert send(people, "/user/mute_creator/", username="ada") == "User already muted."
    assert in_feed(people, query=query) == {"Pasta recipe"}
    profile = people.eve.get("/api/media/get_user_posts/?username=ada").json
    assert [post["description"] for post in profile["posts"]] == [GUITAR]
    assert profile["is_following"]
    assert people.eve.get("/api/user/search/?query=ada").json["accounts"][0]["username"] == "ada"
    assert len(people.eve.get(f"/api/post/get_comments/?video_id={post_id}").json["comments"]) == 1
    assert send(people, "/user/unmute_creator/", username="ada") == "User unmuted successfully."
    assert send(people, "/user/unmute_creator/", username="ada") == "User was not muted."
    assert in_feed(people, query=query) == {GUITAR, "Pasta recipe"}


def test_the_muted_creator_still_sees_who_muted_them(people: People) -> None:
    make_post(people.eve.username, GUITAR)
    send(people, "/user/mute_creator/", username=people.ada.username)
    assert in_feed(people, "ada") == {GUITAR}


def test_nobody_mutes_themselves_or_somebody_they_cannot_see(people: People) -> None:
    people.mallory.post("/api/user/block_user/", data={"username": people.eve.username})
    mute = "/api/user/mute_creator/"
    assert_refusal(people.eve.post(mute, data={"username": "eve"}), 400, "mute_self")
    for name in ("nobody", "mallory"):
        assert_refusal(people.eve.post(mute, data={"username": name}), 404, "user_not_found")
        unmute = people.eve.post("/api/user/unmute_creator/", data={"username": name})
        assert_refusal(unmute, 404, "user_not_found")


# --- words ----------------------------------------------------------------------------------------------------------


def test_muted_words_leave_the_feed_and_come_back(people: People) -> None:
    make_post(people.ada.username, GUITAR)
    make_post("ada", "Pasta recipe", "guitar,food")
    make_post("ada", "Guitars of the world")
    people.eve.post("/api/user/add_follower/", data={"username": "ada"})
    assert send(people, "/user/mute_word/", word="#Guitar ") == "Word muted successfully."
    assert send(people, "/user/mute_word/", word="guitar") == "Word already muted."
    assert in_feed(people) == in_feed(people, query="&followers_only=true") == {"Guitars of the world"}
    assert len(in_feed(people, "bob")) == 3
    assert send(people, "/user/unmute_word/", word="GUITAR") == "Word unmuted successfully."
    assert send(people, "/user/unmute_word/", word="guitar") == "Word was not muted."
    assert len(in_feed(people)) == 3


def test_what_is_muted_is_listed_the_latest_first(people: People) -> None:
    people.ada, people.bob  # noqa: B018
    for minute, word in enumerate(["one", "two", "three"]):
        with clock.shifted(timedelta(minutes=minute)):
            send(people, "/user/mute_word/", word=word)
    for minute, name in enumerate(["ada", "bob"]):
        with clock.shifted(timedelta(minutes=minute)):
            send(people, "/user/mute_creator/", username=name)
    mutes = people.eve.get("/api/user/mutes/").json
    assert [row["word"] for row in mutes["words"]] == ["three", "two", "one"]
    assert [row["username"] for row in mutes["creators"]] == ["bob", "ada"]
    assert mutes["words"][0]["muted_at"].endswith("Z")
    assert people.bob.get("/api/user/mutes/").json == {"words": [], "creators": []}


def test_there_is_an_end_to_the_words(people: People, session: sa.orm.Session) -> None:
    people.eve  # noqa: B018
    viewer = session.scalars(sa.text("SELECT id FROM users WHERE username = 'eve'")).one()
    for number in range(words.MAX_WORDS):
        assert wishes.mute_word(viewer, f"word {number}")
    session.commit()
    assert_refusal(people.eve.post("/api/user/mute_word/", data={"word": "another"}), 409, "too_many_words")
    assert send(people, "/user/mute_word/", word="Word 7") == "Word already muted."
    send(people, "/user/unmute_word/", word="word 7")
    assert send(people, "/user/mute_word/", word="another") == "Word muted successfully."


@pytest.mark.parametrize("path", ["mute_word", "unmute_word"])
def test_what_is_no_word_is_refused(people: People, path: str) -> None:
    body = assert_refusal(people.eve.post(f"/api/user/{path}/", data={"word": "#!?"}), 400, "invalid_word")
    assert body["word"] == [body["message"]]
    assert_refusal(people.eve.post(f"/api/user/{path}/", data={"word": ""}), 400, "invalid")


@pytest.fixture
def viewer(register: Register) -> int:
    register("ada")
    return register("viewer")


def hides(viewer: int, word: str, caption: str, tags: str = "") -> bool:
    """Whether muting the word, and that alone, hides a post."""
    db.session.execute(sa.delete(MutedWord))
    wishes.mute_word(viewer, word)
    post_id = db.session.scalar(sa.select(Post.id)) or make_post("ada", indexed=False)
    values = {"description": caption, "tags": [tag for tag in tags.split(",") if tag]}
    db.session.execute(sa.update(Post).values(values), execution_options={"synchronize_session": False})
    return bool(db.session.scalar(sa.select(unwanted(viewer)).where(Post.id == post_id)))


FOUND = [
    ("cat", "My CAT, asleep"), ("cat", "cat"), ("cat", "cat's cradle"), ("cat", "#cat"), ("cat", "a_cat_b"),
    ("CAT", "the (cat)"), ("#cat", "one cat"), ("äpfel", "ÄPFEL!"), ("café", "cafe\u0301 noir"),
    ("straße", "STRASSE"), ("strasse", "Straße"), ("οδος", "ΟΔΟΣ"), ("istanbul", "İSTANBUL"), ("кот", "Мой КОТ спит"),
    ("street food", "Street  FOOD tour"), ("street food", "#street_food"), ("street food", "street-food"),
    ("street food", "street #food"), ("c++", "Learning C++ today"), ("ac/dc", "AC/DC live"), (".net", "I like .NET"),
    ("l'amour", "L'amour toujours"), ("100%", "it is 100% real"), ("7", "Top 7"), ("हिन्दी", "मेरी हिन्दी कविता"),
    ("猫", "我的猫很可爱"), ("ねこ", "かわいいねこです"), ("แมว", "แมวน่ารักมาก"), ("pop", "我爱pop音乐"),
    ("고양이", "고양이가 잔다"), ("🍕", "Lunch🍕🍕"), ("❤", "I ❤️ you"), ("guitar", "gui\u200btar"),
    ("ｄａｎｃｅ", "Dance"),
]  # fmt: skip
MISSED = [
    ("cat", "category"), ("cat", "concat"), ("cat", "cats"), ("cat", ""), ("cafe", "café"), ("c", "cafe\u0301"),
    ("street food", "streetfood"), ("street food", "street good food"), ("food street", "street food"),
    ("кот", "который"), ("क", "क्या"), ("pop", "popcorn"), ("이", "고양이"), ("a.c", "abc"), ("a|b", "a"),
    ("(cat", "cat"), ("x*", "xxx"), ("7", "77"), ("猫", "犬"), ("on my", "onmy"), (r"\w", "w"),
]  # fmt: skip


def test_a_muted_word_hides_where_it_stands_as_a_word(viewer: int) -> None:
    assert [(word, caption) for word, caption in FOUND if not hides(viewer, word, caption)] == []


def test_a_muted_word_does_not_hide_other_words(viewer: int) -> None:
    assert [(word, caption) for word, caption in MISSED if hides(viewer, word, caption)] == []


def test_tags_are_read_one_by_one(viewer: int) -> None:
    assert hides(viewer, "food", "Nice", "street,food")
    assert not hides(viewer, "street food", "Nice", "street,food")
    assert not hides(viewer, "nice street", "Nice", "street,food")


def as_people_read(word: str, caption: str) -> bool:
    """The same for plain words, worked out in another way: by the runs of letters and digits."""
    read = unicodedata.normalize("NFKC", caption).lower().replace("ς", "σ")
    return word.replace("ς", "σ") in re.findall(r"[^\W_]+", read)


LETTERS = st.sampled_from("aAbBäÄéжЖяЯσΣ1")
WORDS = st.text(LETTERS, min_size=1, max_size=2)
CAPTIONS = st.lists(WORDS | st.sampled_from([" ", "_", "-", "#", "!", "\n", "🍕", "猫", "…"]), max_size=8).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=WORDS, caption=CAPTIONS)
def test_any_word_in_any_caption(viewer: int, word: str, caption: str) -> None:
    parted = caption.replace("猫", " ")  # which no space parts from its neighbours
    assert hides(viewer, word, caption) == as_people_read(words.normal(word), parted)


def test_the_longest_words_that_somebody_can_mute_do_not_cost_them_their_feed(viewer: int) -> None:
    letters = [chr(0x4E00 + place) for place in range(200 * words.WORD_LENGTH)]
    muted = 0
    with pytest.raises(Conflict):
        for start in range(0, len(letters), words.WORD_LENGTH):
            muted += wishes.mute_word(viewer, "".join(letters[start : start + words.WORD_LENGTH]))
    assert muted * words.WORD_LENGTH == words.MAX_CHARACTERS
    make_post("ada", "".join(letters[: words.WORD_LENGTH]))
    kept = make_post("ada", GUITAR)
    found = queries.candidates(viewer, [], "any", [], dice=0.5, per_author=2)
    assert found.post_ids.tolist() == [kept]


def test_every_letter_is_the_same_in_either_case(viewer: int) -> None:
    letters = [char for char in map(chr, range(0x41, 0x588)) if unicodedata.category(char) in ("Lu", "Ll")]
    pairs = [(char, char.swapcase()) for char in letters if len(char.swapcase()) == 1]
    assert [pair for pair in pairs[::5] if not hides(viewer, *pair)] == []


def test_many_words_cost_one_pattern(viewer: int) -> None:
    for number in range(words.MAX_WORDS):
        wishes.mute_word(viewer, f"{number} words {number}")
    make_post("ada", "199 words 199, and a tail")
    kept = make_post("ada", "Something else")
    found = queries.candidates(viewer, [], "any", [], dice=0.5, per_author=2)
    assert found.post_ids.tolist() == [kept]
