"""The five parts of quality: what each listens to, and that it says what it measured."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.scoring.rules import PARTS, Film, Part, QualityInputs, in_vain, quality, seen

GOOD = QualityInputs(
    words=14, distinct_words=12, topics={"Education (lessons)": 1.6, "Science (space)": 0.7}, width=1080, height=1920,
    frame_rate=30.0, bits_per_second=6_000_000, has_audio=True, loudness=-15.0, loudness_range=6.0, true_peak=-1.5,
    duration_ms=28_000,
)  # fmt: skip
REAL = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
SIZE = st.integers(0, 10**9)
ANY = st.builds(
    QualityInputs,
    missing=st.sampled_from(["", "the film could not be processed"]),
    removed=st.booleans(), words=SIZE, distinct_words=SIZE, width=SIZE, height=SIZE, duration_ms=SIZE, links=SIZE,
    topics=st.dictionaries(st.sampled_from(["Education (x)", "Dance", "Food"]), st.floats(0, 100)),
    unwanted=st.dictionaries(st.sampled_from(["hate", "fraud"]), st.integers(1, 50)),
    shouted=st.floats(0, 1), frame_rate=st.floats(0, 1000), bits_per_second=st.floats(0, 1e12),
    variable_frame_rate=st.booleans(), has_audio=st.booleans(),
    loudness=st.none() | REAL, loudness_range=st.none() | REAL, true_peak=st.none() | REAL,
)  # fmt: skip


def part(name: str, **changes: object) -> Part:
    return quality(dataclasses.replace(GOOD, **changes)).parts[name]  # type: ignore[arg-type]


def score(name: str, **changes: object) -> float:
    found = part(name, **changes).score
    assert found is not None
    return found


@given(ANY)
def test_every_part_is_a_number_from_0_to_100_or_says_why_not(inputs: QualityInputs) -> None:
    judged = quality(inputs)
    assert quality(dataclasses.replace(inputs)) == judged
    assert tuple(judged.parts) == PARTS
    for found in judged.parts.values():
        assert found.feedback.endswith(".")
        assert found.score is None or (math.isfinite(found.score) and 0 <= found.score <= 100)
    assert (judged.score is None) == bool(inputs.missing) == (judged.reason is not None)
    if judged.score is not None:
        assert judged.score == pytest.approx(sum(p.score or 0 for p in judged.parts.values()) / 5)


def test_a_good_post_does_well_in_every_part() -> None:
    assert {name: found.score for name, found in quality(GOOD).parts.items() if (found.score or 0) < 70} == {}


@pytest.mark.parametrize(
    ("name", "worse", "said"),
    [
        ("communityGuidelines", {"unwanted": {"fraud": 2}}, "2 words about fraud"),
        ("communityGuidelines", {"links": 3}, "3 links"),
        ("communityGuidelines", {"shouted": 0.9}, "90% in capitals"),
        ("communityGuidelines", {"removed": True}, "removed"),
        ("education", {"topics": {"Dance (x)": 2.0}}, "no subject to be learnt"),
        ("education", {"words": 0, "distinct_words": 0, "topics": {}}, "no title"),
        ("delivery", {"has_audio": False, "loudness": None}, "no sound"),
        ("delivery", {"loudness": -70.0}, "no sound"),
        ("delivery", {"loudness": -38.0}, "-38.0 LUFS"),
        ("delivery", {"true_peak": 3.0}, "3.0 dBTP"),
        ("delivery", {"loudness": -1.0}, "too loud"),
        ("audioVisual", {"width": 270, "height": 480}, "270 by 480"),
        ("audioVisual", {"frame_rate": 10.0}, "10 frames"),
        ("audioVisual", {"bits_per_second": 100_000.0}, "100 kbit/s"),
        ("audioVisual", {"has_audio": False}, "without sound"),
        ("length", {"duration_ms": 900}, "0.9 seconds"),
        ("length", {"duration_ms": 600_000}, "600.0 seconds"),
    ],
)
def test_each_part_listens_and_says_what_it_heard(name: str, worse: dict[str, object], said: str) -> None:
    assert score(name, **worse) < score(name) - 3
    assert said in part(name, **worse).feedback
    assert name == "length" or part("length", **worse) == part("length")


def test_other_measures_give_another_score() -> None:
    seen = {
        quality(dataclasses.replace(GOOD, duration_ms=ms, bits_per_second=ms)).score for ms in range(500, 11_500, 500)
    }
    assert len(seen) == 22


def test_a_film_that_was_not_measured_is_not_scored_but_its_words_are() -> None:
    judged = quality(dataclasses.replace(GOOD, missing="the film is still being processed"))
    assert (judged.score, judged.reason) == (None, "the film is still being processed")
    scored = {name for name, found in judged.parts.items() if found.score is not None}
    assert scored == {"communityGuidelines", "education"}
    assert judged.parts["length"].feedback == "Not scored: the film is still being processed."


SEEN = Film("quality-1", "words", "bytes", {"delivery": {"score": 1.0}, "education": {"score": 2.0}}, {"seconds": 3.0})


def watched(film: Film | None, written: str = "words", encoded: str = "bytes") -> QualityInputs:
    return dataclasses.replace(GOOD, written=written, encoded=encoded, film=film)


def test_a_model_has_seen_a_post_with_these_words_and_these_renditions() -> None:
    assert seen(watched(SEEN), "quality-1")
    for other in (watched(None), watched(SEEN, written="other"), watched(SEEN, encoded="other")):
        assert not seen(other, "quality-1")
    assert not seen(watched(SEEN), "quality-2")


def test_a_try_in_vain_takes_away_only_what_was_said_of_something_else() -> None:
    assert in_vain(watched(SEEN), "quality-1") == SEEN
    assert list(in_vain(watched(SEEN, written="other"), "quality-1").parts) == ["delivery"]
    assert (
        in_vain(watched(SEEN), "quality-2")
        == in_vain(watched(None), "quality-2")
        == Film("quality-2", "words", "bytes")
    )
    refused = Film("quality-1", "words", "bytes", reason="it cannot be read")
    assert in_vain(watched(refused), "quality-1").reason
    assert not in_vain(watched(refused, encoded="other"), "quality-1").reason
    for found in (watched(SEEN, written="other"), watched(refused, encoded="other")):
        assert seen(dataclasses.replace(found, film=in_vain(found, "quality-1")), "quality-1")
