"""Words that nobody wants to find under a video: plain signs for people to look closer, not verdicts."""

from __future__ import annotations

import re

GROUPS: dict[str, str] = {
    "violence": "kill yourself, kys, murder*, massacre*, behead*, gore, terroris*, shoot up, bomb threat, asesin*",
    "hate": "subhuman*, vermin, white power, heil hitler, nazi pride, ethnic cleansing, go back to your country",
    "sex": "porn*, xxx, nude*, nsfw, onlyfans, escort*, sex tape, sextape, porno*",
    "drugs": "cocaine, heroin, meth, buy weed, mdma, ecstasy pills, fentanyl, kokain, cocaina",
    "fraud": "free money, easy money, double your money, guaranteed profit*, dm to earn, whatsapp me, cash app me, "
    "send bitcoin, crypto giveaway, free robux, free vbucks",
    "begging for likes": "like for like, l4l, follow for follow, f4f, sub4sub, follow back, like4like",
}
"""Group -> words and phrases; `porn*` matches words that begin with `porn`."""

_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)


def _pattern(listed: str) -> re.Pattern[str]:
    phrases = (r"\s+".join(map(re.escape, phrase.split())).replace(r"\*", r"\w*") for phrase in listed.split(","))
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE)


_PATTERNS = {group: _pattern(listed) for group, listed in GROUPS.items()}


def unwanted(text: str) -> dict[str, int]:
    """How often words of each group occur; groups without any are left out."""
    counts = {group: len(pattern.findall(text)) for group, pattern in _PATTERNS.items()}
    return {group: count for group, count in counts.items() if count}


def links(text: str) -> int:
    """How many addresses of pages are in the text."""
    return len(_LINK.findall(text))


def shouted(text: str) -> float:
    """The share of capitals among the letters that could be small ones, 0 where there are fewer than ten letters."""
    letters = [letter for letter in text if letter.lower() != letter.upper()]
    return sum(letter.isupper() for letter in letters) / len(letters) if len(letters) >= 10 else 0.0
