"""The lexicon is well formed, and finds what it should."""

from __future__ import annotations

import pytest

from popoff.adapters.insight.text import PostText, fold, is_dense, is_emoji, passages, words
from popoff.adapters.insight.topics import _LEXICON, LABELS, concepts, topics


def found(description: str, *tags: str) -> list[str]:
    return [label.split(" (")[0] for label in topics(concepts(passages(PostText(description, tags))))]


def keywords():
    return [
        (label, word.strip(" ~")) for label, lines in _LEXICON.items() for line in lines for word in line.split(",")
    ]


def test_labels_have_words_in_parentheses_that_the_app_can_cut():
    assert len(LABELS) > 20
    assert all(label.endswith(")") and label.count(" (") == 1 for label in LABELS)


def test_every_keyword_can_match():
    for label, keyword in keywords():
        word = keyword.removesuffix("*")
        assert word, f"empty keyword in {label}"
        assert words(word) == fold(word).split(), f"{keyword!r} in {label} is never met as one"
        if keyword.endswith("*"):
            assert len(word) >= 3, f"{keyword!r} in {label} begins too many words"
            assert not is_dense(word), f"{keyword!r} in {label}: runs without spaces are searched anyway"
            assert " " not in word, f"{keyword!r} in {label}: several words match as they are"


def test_emoji_are_single():
    for label, keyword in keywords():
        if is_emoji(keyword):
            assert len(fold(keyword)) == 1, f"{keyword!r} in {label} is several characters"


@pytest.mark.parametrize(
    ("caption", "topic"),
    [
        ("cats", "Animals"),
        ("my puppies", "Animals"),
        ("por do sol", "Nature"),
        ("one piece theory", "Film and TV"),
        ("make up for beginners", "Beauty"),
        ("上海美食探店", "Food"),
        ("오늘 축구를 했다", "Sports"),
        ("السيارات الجديدة", "Cars"),
        ("Учусь рисовать", "Art"),
        ("🏀🏀", "Sports"),
        ("sign language for hello", "Education"),
    ],
)
def test_finds_the_topic_first(caption, topic):
    assert found(caption)[0] == topic


@pytest.mark.parametrize("caption", ["", "category catalogue", "already", "surface tension", "a hundred single things"])
def test_does_not_find_topics_in_other_words(caption):
    assert found(caption) == []


def test_tags_written_together_are_looked_into():
    assert found("", "fitnessjourney") == ["Fitness"]
    assert found("", "instafood") == ["Food"]
    assert found("instafood") == []


def test_more_evidence_is_stronger_but_repeating_is_not_proportionally_so():
    once, again, two = (
        sum(concepts(passages(PostText(text))).values()) for text in ("pasta", "pasta pasta", "pasta chef")
    )
    assert once < again < 2 * once
    assert two > again


def test_hints_are_weaker_than_keywords():
    assert found("how to braid")[0] == "Beauty"
    assert found("guide: car") == ["Cars", "Education"]


def test_ties_go_in_the_order_of_the_lexicon():
    assert found("movie pasta") == ["Food", "Film and TV"]
