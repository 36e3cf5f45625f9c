"""What caption, tags and transcript say: their language, what they teach, what a moderator may want to look at."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SPEECH = 0.15
"""From this measurement on somebody is taken to speak."""
FLASHES = 3.0
"""More flashes a second may harm people with photosensitive epilepsy (WCAG 2.3.1)."""
ADVICE = "This is advice to a moderator, never a decision."

_COMMON = {
    "English": "the and of to is in that it for you with this are on my your how what",
    "Spanish": "el los las que es en una por con para del se lo como más pero muy mi",
    "French": "le les des est une dans que pour qui sur pas avec ce il je vous et du",
    "German": "der die das und ist nicht ein eine mit auf für von den im wie ich zu dem",
    "Portuguese": "os as que não uma com para por mais como em um do da isso você muito meu",
    "Italian": "il gli che di non una per con sono come più della nel ma è questo mi",
    "Indonesian": "yang dan di ini itu dengan untuk tidak dari saya kita ada cara bisa apa",
    "Dutch": "het een van en dat niet voor met zijn op aan hoe wat deze ik je naar",
}
_SCRIPTS = (
    ("Japanese", "\u3040-\u30ff"), ("Korean", "\uac00-\ud7af"), ("Chinese", "\u4e00-\u9fff"),
    ("Russian or another in Cyrillic", "\u0400-\u04ff"), ("Arabic script", "\u0600-\u06ff"),
    ("Hindi or another in Devanagari", "\u0900-\u097f"), ("Thai", "\u0e00-\u0e7f"), ("Greek", "\u0370-\u03ff"),
    ("Hebrew", "\u0590-\u05ff"),
)  # fmt: skip
_TEACHES = {
    "English": "how why learn learning lesson tutorial explain explained explains guide tip tips trick tricks "
    "science math maths physics chemistry biology history language grammar recipe cook cooking diy step "
    "steps beginner beginners course study education educational facts howto teach teacher code coding "
    "programming experiment sign workout technique",
    "Spanish": "cómo aprende aprender receta ciencia",
    "French": "comment apprendre recette",
    "German": "wie lernen rezept anleitung erklärt",
    "Portuguese": "como aprenda receita",
    "Italian": "impara ricetta",
    "Indonesian": "belajar cara resep",
}
_TEACHING = frozenset(word for listed in _TEACHES.values() for word in listed.split())
_UNWANTED = {
    "violence": "kill killing murder shoot shooting stab behead gore massacre bomb",
    "hate": "nazi subhuman vermin genocide lynch",
    "self-harm": "suicide suicidal selfharm cutting anorexia thinspo",
    "sexual content": "porn porno nude nudes nsfw xxx onlyfans sex",
    "drugs and weapons": "cocaine heroin meth fentanyl ecstasy gun guns ammo",
    "fraud and spam": "giveaway jackpot crypto doubling casino betting followback f4f sub4sub",
}
_UNWANTED_WORDS = {word: group for group, listed in _UNWANTED.items() for word in listed.split()}
_PENALTY = {"violence": 25.0, "hate": 35.0, "self-harm": 30.0, "sexual content": 30.0, "drugs and weapons": 20.0,
            "fraud and spam": 15.0}  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """What was read. `language` is a guess, empty where there is too little; `transcript`: whether there was one."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    language: str
    shouted: float
    links: int
    transcript: bool

    def counts(self) -> dict[str, float]:
        """As measurements."""
        return {
            "caption_words": float(len(self.words)),
            "distinct_words": float(len(set(self.words))),
            "tags": float(len(self.tags)),
            "links": float(self.links),
        }


def read(caption: str, tags: Sequence[str] = (), transcript: str = "") -> Words:
    """Read a post's words; tags may also stand in the caption with a `#`."""
    text = f"{caption} {transcript}"[:20_000]
    listed = [*tags, *re.findall(r"#(\w+)", text)]
    whole = _WORD.findall(text)
    letters = [letter for word in whole if len(word) > 2 for letter in word]
    shouted = sum(letter.isupper() for letter in letters) / len(letters) if letters else 0.0
    return Words(
        tuple(word.casefold() for word in whole),
        tuple(dict.fromkeys(tag.strip("# ").casefold() for tag in listed if tag.strip("# "))),
        language(text),
        shouted,
        len(_LINK.findall(text)),
        bool(transcript.strip()),
    )


def language(text: str) -> str:
    """A guess at the language of a text by its script and its commonest words; empty when there is no telling."""
    letters = sum(letter.isalpha() for letter in text)
    for name, script in _SCRIPTS:
        share = 0.1 if name == "Japanese" else 0.4
        if letters and len(re.findall(f"[{script}]", text)) >= share * letters:
            return name
    found = [word.casefold() for word in _WORD.findall(text)]
    hits = {name: sum(word in common.split() for word in found) for name, common in _COMMON.items()}
    best, second = sorted(hits.values(), reverse=True)[:2]
    return max(hits, key=lambda name: hits[name]) if best > second else ""


def education(said: Words, measured: Mapping[str, float]) -> tuple[float | None, str]:
    """A rule: what the words promise to teach, how much they say, and whether somebody speaks. None without words."""
    if not said.words and not said.tags:
        return None, "Not scored: there is no caption, tag or transcript to judge by."
    everything = (*said.words, *said.tags)
    teaching = sorted({word for word in everything if word in _TEACHING})
    value = 25.0
    reasons = []
    if teaching:
        gain = 40 * (1 - 0.5 ** len(teaching))
        value += gain
        reasons.append(f"it speaks of {', '.join(teaching[:3])} (+{gain:.0f})")
    distinct = len(set(everything))
    gain = 20 * min(1.0, math.log1p(distinct) / math.log(41))
    value += gain
    reasons.append(f"{distinct} different words say what it is about (+{gain:.0f})")
    speech = measured.get("speech", math.nan)
    if speech >= SPEECH:
        value += 15
        reasons.append("somebody speaks (+15)")
    guess = f" The words seem to be {said.language}." if said.language else ""
    return min(100.0, value), f"From 25: {'; '.join(reasons)}. A rule over words, not a judgement of truth.{guess}"


def guidelines(said: Words, measured: Mapping[str, float]) -> tuple[float, str]:
    """A rule over words and flashes; what it finds is only ever advice."""
    value, reasons = 100.0, []
    groups: dict[str, list[str]] = {}
    for word in (*said.words, *said.tags):
        if word in _UNWANTED_WORDS:
            groups.setdefault(_UNWANTED_WORDS[word], []).append(word)
    for group, found in groups.items():
        lost = _PENALTY[group] * min(2.0, 1 + 0.25 * (len(found) - 1))
        value -= lost
        reasons.append(f"words of {group} ({', '.join(sorted(set(found))[:3])}): {lost:.0f} points less")
    if said.links:
        lost = min(20.0, 8.0 * said.links)
        value -= lost
        reasons.append(f"{said.links} link(s): {lost:.0f} points less")
    if said.shouted > 0.7 and len(said.words) >= 4:
        value -= 8
        reasons.append(f"{said.shouted:.0%} of the letters are capitals: 8 points less")
    flashes = measured.get("flashes_per_second", 0.0)
    if flashes > FLASHES:
        value -= 30
        reasons.append(f"{flashes:.1f} flashes a second may harm people with epilepsy: 30 points less")
    looked = "caption, tags and transcript" if said.transcript else "caption and tags"
    if not said.words and not said.tags:
        looked = "the picture's flashes only, as there are no words"
    text = "; ".join(reasons) if reasons else f"nothing was found in {looked}"
    return max(0.0, value), f"{text[0].upper()}{text[1:]}. {ADVICE}"
