"""What posts are about: our lexicon of topics (`topics.txt`), and finding them in a text.

It serves two masters: the category shown to people (`feed/categories.py`) and the local embedding,
which puts captions of one topic near each other even when they share no word, or not even a language.

Each topic has a label and lines of keywords. A line is one concept: its words, in many languages, mean
about the same. `cook*` matches words that begin with `cook`; several words match side by side; plurals
and accents need no mention. A line that begins with `~` holds words that only hint at the topic, because
they are at home in others too. Lexicon and order of the topics are part of the local model: append new
topics at the end, and raise `local.VERSION` with every change.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources

from popoff.adapters.insight.text import Passage, fold, is_dense

OTHER = "Other (everything else)"


def _read_lexicon() -> dict[str, list[str]]:
    """Label -> lines of keywords, as topics.txt has them."""
    lexicon: dict[str, list[str]] = {}
    for line in resources.files(__package__).joinpath("topics.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            lines = lexicon.setdefault(line.strip("[] "), [])
        elif line.strip() and not line.startswith("#"):
            lines.append(line)
    return lexicon


_LEXICON = _read_lexicon()

LABELS: tuple[str, ...] = tuple(_LEXICON)

Concept = tuple[int, int]
"""A line of the lexicon: index of its topic in LABELS, index of the line in the topic."""

HINT_WEIGHT = 0.4

_LONGEST_DENSE = 8
_LONGEST_PHRASE = 4
_SHORTEST_COMPOUND_PART = 4


class _Index:
    """The lexicon turned round: from a keyword to the concepts it stands for."""

    def __init__(self, lexicon: dict[str, list[str]]):
        self.exact: dict[str, list[Concept]] = defaultdict(list)
        self.beginning: dict[str, list[Concept]] = defaultdict(list)
        self.hints: set[Concept] = set()
        for topic, lines in enumerate(lexicon.values()):
            for line, keywords in enumerate(lines):
                if keywords.startswith("~"):
                    self.hints.add((topic, line))
                for written in keywords.split(","):
                    keyword = fold(written.strip(" ~"))
                    table = self.beginning if keyword.endswith("*") else self.exact
                    keyword = keyword.removesuffix("*")
                    if (topic, line) not in table[keyword]:
                        table[keyword].append((topic, line))

    def of_phrase(self, phrase: str) -> list[Concept]:
        """Concepts of words side by side, or of one word, as they are written or in the plural."""
        return next((self.exact[form] for form in _singulars(phrase) if form in self.exact), [])

    def of_word(self, word: str) -> list[Concept]:
        """Concepts of one word; its beginning counts too."""
        found = self.of_phrase(word)
        if found:
            return found
        for end in range(len(word), 2, -1):
            if word[:end] in self.beginning:
                return self.beginning[word[:end]]
        return []

    def in_dense(self, run: str) -> list[Concept]:
        """Concepts of the keywords inside a run of a script without spaces, longest keywords first."""
        found: list[Concept] = []
        start = 0
        while start < len(run):
            for end in range(min(len(run), start + _LONGEST_DENSE), start, -1):
                if run[start:end] in self.exact:
                    found += self.exact[run[start:end]]
                    start = end - 1
                    break
            start += 1
        return found

    def in_compound(self, tag: str) -> list[Concept]:
        """Concepts of a tag written together (`gymmotivation`): of the longest keyword it begins or ends with."""
        for length in range(len(tag) - 1, _SHORTEST_COMPOUND_PART - 1, -1):
            for part in (tag[:length], tag[-length:]):
                found = self.exact.get(part) or self.beginning.get(part)
                if found:
                    return found
        return []


def concepts(passages: Sequence[Passage]) -> dict[Concept, float]:
    """How strongly each concept of the lexicon speaks from the text: > 0, growing slower with each repetition.

    A keyword that belongs to several concepts gives each an equal part of its weight.
    """
    sums: dict[Concept, float] = defaultdict(float)
    for passage in passages:
        for found in _matches(passage):
            for concept in found:
                hint = HINT_WEIGHT if concept in _INDEX.hints else 1.0
                sums[concept] += hint * passage.weight / len(found)
    return {concept: math.log1p(total) for concept, total in sums.items()}


def topics(found: dict[Concept, float]) -> dict[str, float]:
    """Strength of each topic that speaks from these concepts, strongest first (ties: order of the lexicon)."""
    sums: dict[int, float] = defaultdict(float)
    for (topic, _), strength in found.items():
        sums[topic] += strength
    return {LABELS[topic]: sums[topic] for topic in sorted(sums, key=lambda topic: (-sums[topic], topic))}


def _matches(passage: Passage) -> Iterator[list[Concept]]:
    words = passage.words
    at = 0
    while at < len(words):
        for end in range(min(len(words), at + _LONGEST_PHRASE), at + 1, -1):
            found = _INDEX.of_phrase(" ".join(words[at:end]))
            if found:
                yield found
                at = end
                break
        else:
            found = _of_single(words[at], passage.is_tag)
            if found:
                yield found
            at += 1


def _of_single(word: str, is_tag: bool) -> list[Concept]:
    if is_dense(word):
        return _INDEX.in_dense(word)
    return _INDEX.of_word(word) or (_INDEX.in_compound(word) if is_tag else [])


def _singulars(word: str) -> Iterator[str]:
    yield word
    if word.startswith("ال") and len(word) > 4:
        yield word[2:]
    if len(word) > 3 and word.endswith("s"):
        yield word[:-1]
        if word.endswith("ies"):
            yield word[:-3] + "y"
        elif word.endswith("es"):
            yield word[:-2]


_INDEX = _Index(_LEXICON)
