"""The engagement score: bounded, never NaN, deaf to nothing, moved by evidence."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.scoring.rules import EngagementInputs, engagement, overall

COUNTS = st.integers(0, 2**62)
EVERYDAY = st.integers(0, 100_000)
INPUTS = st.builds(EngagementInputs, **dict.fromkeys(EngagementInputs.__dataclass_fields__, COUNTS))
ORDINARY = st.builds(EngagementInputs, **dict.fromkeys(EngagementInputs.__dataclass_fields__, EVERYDAY))
RISING = ("likes", "shares", "comments", "watch_ms", "reputation")
SECOND = 1000


@given(INPUTS)
def test_it_is_a_number_from_0_to_100_and_always_the_same(inputs: EngagementInputs) -> None:
    score = engagement(inputs)
    assert math.isfinite(score) and 0 <= score <= 100
    assert engagement(dataclasses.replace(inputs)) == score


@pytest.mark.parametrize("name", RISING)
@given(inputs=INPUTS, more=st.integers(1, 2**62))
def test_more_of_anything_good_never_lowers_it(name: str, inputs: EngagementInputs, more: int) -> None:
    raised = dataclasses.replace(inputs, **{name: getattr(inputs, name) + more})
    assert engagement(raised) >= engagement(inputs) - 1e-9


@pytest.mark.parametrize("name", [*RISING, "views"])
@given(inputs=ORDINARY, more=st.integers(1, 100_000))
def test_other_inputs_give_another_score(name: str, inputs: EngagementInputs, more: int) -> None:
    other = dataclasses.replace(inputs, **{name: getattr(inputs, name) + more})
    assert engagement(other) != engagement(inputs)


@given(inputs=ORDINARY.filter(lambda inputs: inputs.watch_ms > 0 and inputs.length_ms > 0), more=st.integers(1, 10**5))
def test_the_same_watching_of_a_longer_film_is_less(inputs: EngagementInputs, more: int) -> None:
    longer = dataclasses.replace(inputs, length_ms=inputs.length_ms + more)
    assert engagement(longer) < engagement(inputs)


def crowd(views: int, *, liked: float, watched: float = 0.6) -> EngagementInputs:
    """So many people: a part of them liked it, a part of these wrote or passed it on, they watched a part of 20 s."""
    length = 20 * SECOND
    spoke = round(views * liked / 8)
    return EngagementInputs(
        likes=round(views * liked),
        comments=spoke,
        shares=spoke,
        views=views,
        watch_ms=round(views * watched * length),
        length_ms=length,
    )


def test_a_few_views_say_little_and_many_say_it_all() -> None:
    good = [engagement(crowd(views, liked=0.4, watched=0.9)) for views in (0, 20, 200, 2000, 200_000)]
    bad = [engagement(crowd(views, liked=0.0, watched=0.05)) for views in (0, 20, 200, 2000, 200_000)]
    assert good == sorted(good) and bad == sorted(bad, reverse=True)
    assert good[0] == bad[0]
    assert good[1] - good[0] < (good[-1] - good[0]) * 0.75
    assert good[-1] - good[-2] < 1
    assert good[-1] - bad[-1] > 25


def test_nobody_is_better_off_without_an_audience_than_with_an_ordinary_one() -> None:
    assert engagement(EngagementInputs()) < engagement(crowd(1000, liked=0.08))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="likes"):
        EngagementInputs(likes=-1)


def test_overall_is_the_mean_of_the_two() -> None:
    assert overall(40.0, 80.0) == 60.0
