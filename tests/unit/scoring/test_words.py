from __future__ import annotations

import pytest

from popoff.scoring import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FREE  MONEY now, dm to earn", {"fraud": 2}),
        ("pornographic", {"sex": 1}),
        ("Follow for follow? f4f", {"begging for likes": 2}),
        ("Sussex methods of learning, a vermin-free kitchen", {"hate": 1}),
        ("How to cook rice", {}),
        ("", {}),
    ],
)
def test_unwanted_words_are_found_as_words(text: str, found: dict[str, int]) -> None:
    assert words.unwanted(text) == found


def test_links_are_counted() -> None:
    assert words.links("see https://a.example/x and www.b.example, not a.b") == 2


@pytest.mark.parametrize(("text", "share"), [("BUY THIS NOW!!", 1.0), ("OK", 0.0), ("王王王王王王王王王王王王", 0.0)])
def test_capitals_count_only_where_there_are_small_letters_too(text: str, share: float) -> None:
    assert words.shouted(text) == share
