"""The form in which muted words are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.feed import words
from popoff.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Guitar", "guitar"),
        ("  Street \t FOOD\n", "street food"),
        ("#Football", "football"),
        ("## #wow", "wow"),
        ("C++", "c++"),
        ("AC/DC", "ac/dc"),
        ("ÄPFEL", "äpfel"),
        ("ΟΔΟΣ", "οδος".replace("ς", "ς")),
        ("ﬁsh", "fish"),
        ("ＤＡＮＣＥ", "dance"),
        ("İSTANBUL", "istanbul"),
        ("gui\u200btar", "guitar"),
        ("猫", "猫"),
        ("🍕", "🍕"),
        ("❤️", "❤"),
        ("x" * 50, "x" * 50),
    ],
)
def test_a_word_has_one_form_however_it_is_written(written: str, kept: str) -> None:
    assert words.normal(written) == kept


@pytest.mark.parametrize("written", ["", " ", "#", "# #", "!?", "...", "\u200b", "\u0301", "x" * 51, "ﬃ" * 20])
def test_what_says_nothing_or_too_much_is_no_word(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        words.normal(written)
    assert (refused.value.error_code, refused.value.field) == ("invalid_word", "word")


@given(st.text(max_size=60))
def test_the_form_of_a_form_is_itself(written: str) -> None:
    try:
        kept = words.normal(written)
    except Invalid:
        return
    assert 1 <= len(kept) <= words.WORD_LENGTH
    assert words.normal(kept) == kept
