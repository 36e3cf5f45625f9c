"""Reading captions: words of every script, hashtags, emoji, noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.adapters.insight.text import PostText, fold, passages, says_something, tag_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP me now", ["dont", "stop", "me", "now"]),
        ("l’amour à Zürich", ["amour", "a", "zurich"]),
        ("J'ai mangé", ["mange"]),
        ("see https://x.example/a?b=c @some.one yes", ["see", "yes"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("iPhone手机测评", ["iphone", "手机测评"]),
        ("がんばる ガンバル", ["がんばる", "ガンバル"]),
        ("pizza🍕❤️👍🏽", ["pizza", "🍕", "❤", "👍"]),
        ("مُدَرِّس", ["مدرس"]),
        ("a_b-c/d", ["a", "b", "c", "d"]),
        ("ﬁne ①", ["fine", "1"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("streetFood", ["street", "food", "streetfood"]),
        ("street_food", ["street", "food", "streetfood"]),
        ("cats", ["cats"]),
        ("FIFAWorldCup2026", ["fifa", "world", "cup", "2026", "fifaworldcup2026"]),
        ("PS5", ["ps", "5", "ps5"]),
        ("美食", ["美食"]),
        ("home cooking", ["home", "cooking", "homecooking"]),
        ("!!", []),
    ],
)
def test_tags_are_taken_apart(tag, expected):
    assert tag_words(tag) == expected


@pytest.mark.parametrize("word", ["the", "fyp", "y", "и", "7", "🔥", "x"])
def test_noise(word):
    assert not says_something(word)


@pytest.mark.parametrize("word", ["pasta", "猫", "🍕", "1984", "кот"])
def test_content(word):
    assert says_something(word)


def test_a_tag_counts_once_wherever_it_is_written():
    found = passages(PostText("dinner #Pasta ＃pasta", ["pasta", "#PASTA", " "]))
    assert [(p.words, p.is_tag) for p in found] == [(("pasta",), True), (("dinner",), False)]
    assert found[0].weight > found[1].weight


def test_plain_text_for_models_that_read_prose():
    assert (
        PostText(" My dinner ", ["#pasta", " ", "home cooking"], "hello").plain()
        == "pasta, home cooking\nMy dinner\nhello"
    )
    assert PostText().plain() == ""


@given(st.text(max_size=200))
def test_folding_is_stable(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=5))
def test_every_text_can_be_read(description, tags):
    for passage in passages(PostText(description, tags)):
        assert passage.words
        assert passage.weight > 0
        assert all(passage.words)
