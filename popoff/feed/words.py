"""Words that a person does not want to read: their normal form, and what ends one. Pure.

Where scripts put spaces between words a word ends where no letter, digit or mark follows: "cat" is in "My cat." and not
in "cats". In other scripts, and of symbols, there is nothing to go by, and what is muted is muted wherever it stands.
"""

from __future__ import annotations

import unicodedata

from popoff.kernel import words
from popoff.kernel.errors import Invalid

MAX_WORDS = 200
WORD_LENGTH = 50
MAX_CHARACTERS = 3000
"""Of all words of a person together: they make one pattern, and databases refuse those that are too large."""

MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u0900-\u0963\u0966-\u096f\u0971-\u0df3"
)
"""Ranges of marks that belong to a letter before them and that databases may not count among letters."""
UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u312f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Ranges of scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, bopomofo, Han."""
SUFFIXED = "\uac00-\ud7a3"
"""Ranges of scripts with spaces that write endings at the word: Hangul."""
UNSEEN = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff"
"""Characters that show nothing and must not keep a word from being found."""


def normal(word: str) -> str:
    """The form in which words are kept: compatible forms composed, lower case, one space between words, no leading #.

    Raises Invalid (code `invalid_word`): 1 to WORD_LENGTH characters, among them a letter, a digit or an emoji.
    """
    plain = unicodedata.normalize("NFKC", words.clean(word)).replace("İ", "i").lower()
    seen = "".join(" " if char.isspace() else char for char in plain if char not in UNSEEN)
    found = " ".join(seen.split()).lstrip("# ")
    if not 1 <= len(found) <= WORD_LENGTH or not any(_says_something(char) for char in found):
        raise Invalid(
            f"Muted words have 1 to {WORD_LENGTH} characters, a letter, digit or emoji among them.",
            code="invalid_word",
            field="word",
        )
    return found


def _says_something(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LN" or category == "So"
