"""The category shown to people."""

from __future__ import annotations

import pytest

from popoff.feed.categories import CATEGORIES, OTHER, categorise, short_name


@pytest.mark.parametrize(
    ("description", "tags", "name"),
    [
        ("Easy pasta recipe", [], "Food"),
        ("look at this", ["dogs"], "Animals"),
        ("my dog eats everything", ["streetfood", "recipe"], "Food"),
        ("Golazo #futbol", [], "Sports"),
        ("猫の日常", ["猫"], "Animals"),
        ("a small thing I made", [], "Other"),
        ("", [], "Other"),
    ],
)
def test_category(description, tags, name):
    label = categorise(description, tags)
    assert label in CATEGORIES
    assert short_name(label) == name


def test_speech_decides_when_nothing_is_written():
    assert short_name(categorise("", (), "today we bake bread and eat it with cheese")) == "Food"


def test_labels():
    assert CATEGORIES[-1] == OTHER
    assert len(set(CATEGORIES)) == len(CATEGORIES)
    assert 20 <= len(CATEGORIES) <= 30
    assert short_name("Comedy (jokes, sketches)") == "Comedy"
