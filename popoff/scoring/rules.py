"""How good a post is, from what was measured of it. Pure: the same input gives the same score, and none gives NaN.

`MODEL` goes up with every change here: posts scored by another version are scored again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

MODEL = "rules-1"

BEST = 100.0


# --- engagement -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngagementInputs:
    """What people other than its creator did with a post, each person once; lengths in ms.

    `reputation`: distinct people who engaged with its creator; `age_hours`: since it could first be played.
    """

    likes: int = 0
    shares: int = 0
    comments: int = 0
    views: int = 0
    watch_ms: int = 0
    length_ms: int = 0
    reputation: int = 0
    age_hours: float = 0.0

    def __post_init__(self) -> None:
        negative = [f.name for f in fields(self) if getattr(self, f.name) < 0]
        if negative:
            raise ValueError(f"there is no such thing as fewer than no {negative[0]}")


EVIDENCE = 25
"""A post is taken to have had this many more views, at which people did half of what is usual (DOUBT). So a few views
say little, many say it all, and nobody is better off without an audience than with an ordinary one."""
DOUBT = 0.5
USUAL_LIKES, USUAL_COMMENTS, USUAL_SHARES = 0.08, 0.01, 0.01
"""Of each view."""
USUAL_WATCHED = 0.6
"""Of the length."""
USUAL_LENGTH_MS = 15_000
"""Of videos whose length is not known."""
USUAL_REPUTATION = 100

ENGAGEMENT_WEIGHTS = {"likes": 0.3, "comments": 0.15, "shares": 0.15, "watched": 0.3, "reputation": 0.1}


def engagement(measured: EngagementInputs) -> float:
    """0 to 100. What is usual gives half of each part; more of anything but views always gives more.

    Without any evidence it is what an unknown post is worth: 30 and the creator's reputation.
    """
    views = measured.views + EVIDENCE
    length_ms = measured.length_ms or USUAL_LENGTH_MS

    def of_usual(count: int, usual: float) -> float:
        return (count + EVIDENCE * usual * DOUBT) / (views * usual)

    parts = {
        "likes": of_usual(measured.likes, USUAL_LIKES),
        "comments": of_usual(measured.comments, USUAL_COMMENTS),
        "shares": of_usual(measured.shares, USUAL_SHARES),
        "watched": of_usual(measured.watch_ms, USUAL_WATCHED * length_ms),
        "reputation": math.log1p(measured.reputation) / math.log1p(USUAL_REPUTATION),
    }
    return BEST * sum(ENGAGEMENT_WEIGHTS[name] * part / (1 + part) for name, part in parts.items())


MOVED = 0.02
"""A score is worked out anew when one of its counts has moved by this share."""
AGED = 0.5
"""And when its post has grown older by this share of its age then."""
STEADY_HOURS = 720
"""Posts older than this are all taken to be of one age."""


@dataclass(frozen=True, slots=True)
class Scored:
    """An engagement score, 0 to 100, with what moved it most: {"input": name, "points": number, "text": sentence}."""

    score: float
    reasons: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Scorer:
    """What works engagement scores out: `score` has an answer for each post that it is given, by post id."""

    model: str
    score: Callable[[Mapping[int, EngagementInputs]], Mapping[int, Scored]]


def _by_rules(posts: Mapping[int, EngagementInputs]) -> dict[int, Scored]:
    return {post_id: Scored(engagement(inputs)) for post_id, inputs in posts.items()}


RULES = Scorer(MODEL, _by_rules)
"""The scorer that needs no trained model."""


def overall(engagement_score: float, quality_score: float) -> float:
    """What a post is worth, 0 to 100."""
    return 0.5 * engagement_score + 0.5 * quality_score


# --- quality --------------------------------------------------------------------------------------------------------

PARTS = ("communityGuidelines", "education", "delivery", "audioVisual", "length")
WORDED = ("communityGuidelines", "education")
"""Those that depend on what is written under a post."""


@dataclass(frozen=True, slots=True)
class Film:
    """What a trained model made of a film: `parts` as {"score", "feedback"} by name; or none, and a `reason` why the
    film cannot be scored. Neither of them where the attempt failed: then the rules have the say.

    `written`, `encoded`: digests of the words that the model was told, and of the renditions that it was shown;
    `measurements`: what it stands on.
    """

    model: str
    written: str
    encoded: str = ""
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measurements: Mapping[str, float | None] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QualityInputs:
    """What is stored of a post. `words`: of title, caption and tags; `topics`: strength of each topic they speak of;
    `unwanted`: how often words of each group in `words.GROUPS` occur; `missing`: why the film was not measured;
    `written`, `encoded`: digests of words and renditions; `film`: what a trained model made of it, once it has."""

    missing: str = ""
    removed: bool = False
    words: int = 0
    distinct_words: int = 0
    topics: Mapping[str, float] = field(default_factory=dict)
    unwanted: Mapping[str, int] = field(default_factory=dict)
    shouted: float = 0.0
    links: int = 0
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    variable_frame_rate: bool = False
    bits_per_second: float = 0.0
    has_audio: bool = False
    loudness: float | None = None
    loudness_range: float | None = None
    true_peak: float | None = None
    duration_ms: int = 0
    written: str = ""
    encoded: str = ""
    film: Film | None = None


SHOWN = ("written", "encoded")
"""What tells, in a Film and in QualityInputs, whether a model has seen a post as it is now."""


def seen(measured: QualityInputs, model: str) -> bool:
    """Whether this version of the model was tried on the post as it is now."""
    film = measured.film
    return film is not None and film.model == model and all(getattr(film, it) == getattr(measured, it) for it in SHOWN)


def in_vain(measured: QualityInputs, model: str) -> Film:
    """What is kept when this version of the model could not watch a film: what it has made of it before, except for
    what it said of other words, or why it could not read other renditions."""
    film = measured.film if measured.film and measured.film.model == model else Film(model, "")
    told = film.written == measured.written
    return Film(
        model,
        measured.written,
        measured.encoded,
        {name: part for name, part in film.parts.items() if told or name not in WORDED},
        film.measurements,
        film.reason if film.encoded == measured.encoded else "",
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One of PARTS: 0 to 100, or None where nothing could be measured, and a sentence that names what was."""

    score: float | None
    feedback: str


@dataclass(frozen=True, slots=True)
class Quality:
    """The mean of the parts, or None and a reason."""

    score: float | None
    parts: Mapping[str, Part]
    reason: str | None = None


def quality(measured: QualityInputs) -> Quality:
    """The five parts of a post's quality, by the model where it has watched the film. What people wrote is judged also
    where there is no film (yet)."""
    parts = {"communityGuidelines": guidelines(measured), "education": education(measured)}
    missing = measured.missing or (measured.film.reason if measured.film else "")
    if missing:
        parts |= dict.fromkeys(("delivery", "audioVisual", "length"), Part(None, f"Not scored: {missing}."))
        return Quality(None, parts, missing)
    parts |= {"delivery": delivery(measured), "audioVisual": audio_visual(measured), "length": length(measured)}
    parts |= _by_model(measured)
    return Quality(sum(part.score or 0.0 for part in parts.values()) / len(parts), parts)


def _by_model(measured: QualityInputs) -> dict[str, Part]:
    """The parts that the model scored; those of words only if they are still the words that it was told."""
    film = measured.film
    if film is None:
        return {}
    told = film.written == measured.written and not measured.removed
    scored = {name: Part(**part) for name, part in film.parts.items() if part["score"] is not None}
    return {name: part for name, part in scored.items() if told or name not in WORDED}


def guidelines(measured: QualityInputs) -> Part:
    """What is written under a post, against what nobody wants to read; pictures are judged by people."""
    if measured.removed:
        return Part(0.0, "A moderator removed this post.")
    found = {group: count for group, count in measured.unwanted.items() if count}
    faults = [
        *(f"{count} word{'s' * (count > 1)} about {group}" for group, count in found.items()),
        *([f"{measured.links} link{'s' * (measured.links > 1)}"] if measured.links else []),
        *([f"{measured.shouted:.0%} in capitals"] if measured.shouted > 0.5 else []),
    ]
    kept = 0.65 ** sum(found.values()) * 0.92**measured.links * (1 - 0.3 * _ramp(measured.shouted, 0.5, 1.0))
    read = f"{measured.words} words of title, caption and tags"
    said = f"Found {', '.join(faults)} in {read}." if faults else f"Found nothing unwanted in {read}."
    return Part(BEST * kept, said)


TEACHING = {
    "Education": 1.0,
    "Science": 0.9,
    "Technology": 0.6,
    "Health": 0.5,
    "Books": 0.5,
    "Business": 0.5,
    "Home and DIY": 0.5,
    "News": 0.4,
    "Art": 0.3,
    "Food": 0.3,
    "Nature": 0.3,
}


def education(measured: QualityInputs) -> Part:
    """Whether the words speak of something to be learnt, and say enough about it."""
    if not measured.words:
        return Part(5.0, "There is no title, caption or tag that says what can be learnt here.")
    short = {label.split(" (", 1)[0]: strength for label, strength in measured.topics.items()}
    teaches = sum(TEACHING.get(label, 0.0) * strength for label, strength in short.items())
    told = _grows(measured.distinct_words, 12.0)
    score = 15 + 65 * _grows(teaches, 0.8) + 20 * told
    named = [label for label in short if label in TEACHING][:2]
    about = f"speak of {' and '.join(named)}" if named else "name no subject to be learnt"
    return Part(score, f"{measured.distinct_words} different words {about}.")


def delivery(measured: QualityInputs) -> Part:
    """How it sounds, and whether there are words to find it by."""
    told = 20 * _grows(measured.words, 8.0)
    words = f"{measured.words} words tell what it is"
    if not measured.has_audio or measured.loudness is None or measured.loudness < -60:
        return Part(15 + told, f"There is no sound to be heard; {words}.")
    near = 1 - _ramp(abs(measured.loudness - -16.0), 2.0, 30.0)
    spread = measured.loudness_range if measured.loudness_range is not None else 0.0
    lively = 1 - _ramp(abs(spread - 7.0), 4.0, 20.0)
    peak = measured.true_peak if measured.true_peak is not None else 0.0
    clean = 1 - _ramp(peak, -1.0, 3.0)
    score = told + 20 + 30 * near + 15 * lively + 15 * clean
    heard = f"Sound of {measured.loudness:.1f} LUFS, range {spread:.1f} LU, peak {peak:.1f} dBTP"
    return Part(
        score, f"{heard}{'' if near > 0.7 else ' (too loud)' if measured.loudness > -16 else ' (faint)'}; {words}."
    )


def audio_visual(measured: QualityInputs) -> Part:
    """How sharp and smooth the picture of the source is, and whether it has sound."""
    short_side = min(measured.width, measured.height)
    rate = measured.frame_rate
    sharp = _grows(short_side, 480.0)
    smooth = _ramp(rate, 8.0, 30.0)
    pixels = max(1.0, measured.width * measured.height * max(rate, 1.0))
    clean = _grows(measured.bits_per_second / pixels, 0.03)
    steady = 0.0 if measured.variable_frame_rate else 1.0
    heard = 1.0 if measured.has_audio else 0.0
    score = 45 * _ramp(sharp, 0.0, 0.75) + 15 * smooth + 20 * clean + 5 * steady + 15 * heard
    picture = f"{measured.width} by {measured.height} pixels at {rate:.4g} frames a second"
    bits = f"{measured.bits_per_second / 1000:.0f} kbit/s"
    return Part(score, f"{picture}, {bits}, {'with' if measured.has_audio else 'without'} sound.")


IDEAL_SECONDS = (12.0, 60.0)


def length(measured: QualityInputs) -> Part:
    """Long enough to say something, short enough to be watched to the end."""
    seconds = measured.duration_ms / 1000
    low, high = IDEAL_SECONDS
    if seconds < low:
        score = BEST * (0.15 + 0.85 * (seconds / low) ** 0.7)
        return Part(score, f"{seconds:.1f} seconds: shorter than the {low:.0f} to {high:.0f} that people watch best.")
    if seconds > high:
        score = BEST * (0.2 + 0.8 / (1 + math.log2(seconds / high)))
        return Part(score, f"{seconds:.1f} seconds: longer than the {low:.0f} to {high:.0f} that people watch best.")
    return Part(BEST, f"{seconds:.1f} seconds, within the {low:.0f} to {high:.0f} that people watch best.")


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, a straight line in between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _grows(value: float, half: float) -> float:
    """0 at nothing, 0.5 at `half`, towards 1."""
    return max(value, 0.0) / (max(value, 0.0) + half)
