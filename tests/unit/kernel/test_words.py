from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel import words
from popoff.kernel.errors import Invalid


@given(st.text(max_size=200))
def test_cleaned_text_can_be_stored_and_stays_what_it_is(text: str) -> None:
    cleaned = words.clean(text)
    assert words.clean(cleaned) == cleaned
    assert "\0" not in cleaned
    cleaned.encode()


def test_what_surrounds_a_text_and_poses_as_another_is_not_kept() -> None:
    assert words.clean("  an\u202e invoice\x07\n") == "an invoice"
    assert words.reason("  Inappropriate\ncontent\n") == "Inappropriate\ncontent"


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty_reason"), (" \t", "empty_reason"), ("\0", "empty_reason"), ("x" * 501, "too_long")]
)
def test_a_reason_says_something_and_comes_to_an_end(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        words.reason(text)
    assert (refused.value.error_code, refused.value.field) == (code, "reason")


def test_the_limit_counts_what_is_kept() -> None:
    assert words.bounded(" " + "\u00e4" * 500 + "\0\n", 500, "comment") == "\u00e4" * 500
    assert words.bounded(" ", 500, "comment") == ""
    with pytest.raises(Invalid, match="Comments have at most 500 characters"):
        words.bounded("x" * 501, 500, "comment")
