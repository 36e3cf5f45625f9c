"""Reading captions: from the text of a post to weighted words that mean something.

Works for every script: words of scripts that write spaces, runs of scripts that do not (Chinese,
Japanese, Thai, ...), emoji, and hashtags taken apart (`#streetFood` says street, food and streetfood).
Links and @names are left out; words that say nothing about a subject (the, y, fyp, viral) are
known (`stop_words.txt`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

TAG_WEIGHT = 3.0
DESCRIPTION_WEIGHT = 1.0
TRANSCRIPT_WEIGHT = 0.3
# A field says more the longer it is, but no more than this many words of it would: thirty hashtags or
# a minute of speech must not drown the caption.
FULL_FIELD_WORDS = 16

MAX_FIELD_CHARACTERS = 5000
MAX_WORD_CHARACTERS = 40

_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_NAME = re.compile(r"(?<!\w)@[\w.]+")
_HASHTAG = re.compile(r"#([^\s#.,;:!?()\[\]{}<>\"'/\\|]+)")
_ELISION = re.compile(r"(?<!\w)(?:j['’]ai\b|(?:[cdjlmnst]|qu)['’](?=\w))", re.IGNORECASE)
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")

# Scripts written without spaces between words, and Hangul, whose words carry particles.
_DENSE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x9FFF),  # Chinese, Japanese
    (0xAC00, 0xD7AF),  # Hangul
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_ACCENTS = (
    (0x0300, 0x036F),
    (0x0640, 0x0640),  # Arabic letters drawn long
    (0x064B, 0x0655),  # Arabic vowels and hamza
    (0xFE00, 0xFE0F),  # how an emoji is drawn
)
_EMOJI = ((0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x1F300, 0x1F3FA), (0x1F400, 0x1FAFF))


@dataclass(frozen=True, slots=True)
class PostText:
    """What a post says: its caption, its tags (with or without `#`), and what is spoken in it."""

    description: str = ""
    tags: Sequence[str] = ()
    transcript: str = ""

    def plain(self) -> str:
        """One text for models that read prose: tags first, because they say most, then caption, then speech."""
        tags = ", ".join(tag.strip().lstrip("#") for tag in self.tags if tag.strip(" #"))
        return "\n".join(part for part in (tags, self.description.strip(), self.transcript.strip()) if part)


@dataclass(frozen=True, slots=True)
class Passage:
    """Words that stand together, in order, and what each of them weighs."""

    words: tuple[str, ...]
    weight: float
    is_tag: bool = False


def is_dense(word: str) -> bool:
    """Whether the word is a run of a script in which a run may hold several words."""
    return _within(ord(word[0]), _DENSE)


def is_emoji(word: str) -> bool:
    return _within(ord(word[0]), _EMOJI)


def fold(text: str) -> str:
    """Text in the form in which spellings are compared: compatibility forms, case and accents are levelled.

    Only accents of Latin, Greek and Cyrillic and the vowel marks of Arabic go; marks that make another
    letter (Indic vowels, Japanese voicing) stay.
    """
    levelled = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if levelled.isascii():
        return levelled
    apart = unicodedata.normalize("NFD", levelled)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not _within(ord(c), _ACCENTS)))


def says_something(word: str) -> bool:
    """Whether a folded word tells of a subject: not a stop word, a single letter or a small number."""
    if word in _STOP_WORDS:
        return False
    if word.isdigit():
        return len(word) >= 4
    return len(word) > 1 or is_dense(word) or is_emoji(word)


def words(text: str) -> list[str]:
    """The words of a text, folded, in order, without links and @names; stop words are among them."""
    text = _NAME.sub(" ", _LINK.sub(" ", text[:MAX_FIELD_CHARACTERS]))
    text = _APOSTROPHE.sub("", _ELISION.sub(" ", text))
    return [word for word in _runs(fold(text)) if not _is_too_long(word)]


def tag_words(tag: str) -> list[str]:
    """The words in one tag, and the whole tag when it has several: `streetFood` gives street, food, streetfood."""
    parts = words(_take_apart(unicodedata.normalize("NFKC", tag)))
    whole = "".join(_runs(fold(tag.replace("_", ""))))
    if len(parts) == 1 and parts[0] == whole:
        return parts
    return [*parts, whole] if whole and not _is_too_long(whole) else parts


def passages(post: PostText) -> list[Passage]:
    """The words of a post with their weights; hashtags inside the caption count as tags. Empty: nothing is written."""
    caption = unicodedata.normalize("NFKC", post.description[:MAX_FIELD_CHARACTERS])
    tags = [*post.tags, *_HASHTAG.findall(caption)]
    found = [
        *_field([tag_words(tag) for tag in _distinct(tags)], TAG_WEIGHT, is_tag=True),
        *_field([words(_HASHTAG.sub(" ", caption))], DESCRIPTION_WEIGHT),
        *_field([words(post.transcript)], TRANSCRIPT_WEIGHT),
    ]
    return [passage for passage in found if passage.words]


def _field(parts: list[list[str]], weight: float, *, is_tag: bool = False) -> list[Passage]:
    length = sum(_length(word) for part in parts for word in part)
    each = weight / max(1.0, length / FULL_FIELD_WORDS) ** 0.5
    return [Passage(tuple(part), each, is_tag) for part in parts]


def _distinct(tags: Iterable[str]) -> list[str]:
    by_fold = {fold(tag.strip().lstrip("#")): tag.strip().lstrip("#") for tag in reversed(list(tags))}
    return [tag for key, tag in reversed(by_fold.items()) if key]


def _take_apart(tag: str) -> str:
    """`streetFood2024_bangkok` becomes `street Food 2024 bangkok`."""
    pieces: list[str] = []
    for i, c in enumerate(tag):
        if i and _starts_word(tag[i - 1], c, tag[i + 1 : i + 2]):
            pieces.append(" ")
        pieces.append(" " if c in "_-#" else c)
    return "".join(pieces)


def _starts_word(before: str, c: str, after: str) -> bool:
    if before.isdigit() != c.isdigit():
        return True
    return c.isupper() and (before.islower() or (before.isupper() and after.islower()))


def _runs(folded: str) -> Iterable[str]:
    """Words, runs of dense scripts, and single emoji of a folded text."""
    run = ""
    for c in folded:
        if unicodedata.category(c)[0] in "LMN":
            if run and unicodedata.category(c)[0] != "M" and is_dense(run[-1]) != is_dense(c):
                yield run
                run = ""
            run += c
            continue
        if run:
            yield run
            run = ""
        if is_emoji(c):
            yield c
    if run:
        yield run


def _is_too_long(word: str) -> bool:
    return len(word) > MAX_WORD_CHARACTERS and not is_dense(word)


def _length(word: str) -> float:
    """In words; those of a dense run have about two characters."""
    return len(word) / 2 if is_dense(word) else 1


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= code <= high for low, high in ranges)


_STOP_WORDS = frozenset(
    fold(resources.files(__package__).joinpath("stop_words.txt").read_text(encoding="utf-8")).split()
)
