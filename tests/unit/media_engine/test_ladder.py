from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.media_engine.facts import film
from workers.ffmpeg import LONGEST_SIDE, SHORT_SIDES, constant_rate, first_rendition, frame_count, ladder

sides = st.integers(1, 8000)
rates = st.fractions(min_value=Fraction(1, 100), max_value=Fraction(1000))


def sizes(width: int, height: int) -> list[tuple[int, int]]:
    return [(r.width, r.height) for r in ladder(film(width=width, height=height))]


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ((1080, 1920), [(1080, 1920), (720, 1280), (480, 854), (360, 640)]),
        ((3840, 2160), [(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        ((640, 480), [(640, 480), (480, 360)]),
        ((768, 432), [(640, 360)]),
        ((639, 361), [(638, 360)]),
        ((121, 91), [(120, 90)]),
        ((1, 1), [(2, 2)]),
    ],
)
def test_the_ladder_of_known_shapes(source: tuple[int, int], made: list[tuple[int, int]]) -> None:
    assert sizes(*source) == made


@given(sides, sides)
def test_no_rendition_is_larger_than_its_source_and_all_sizes_are_even(width: int, height: int) -> None:
    for made_width, made_height in sizes(width, height):
        assert made_width % 2 == 0
        assert made_height % 2 == 0
        assert made_width <= max(2, width)
        assert made_height <= max(2, height)
        assert max(made_width, made_height) <= LONGEST_SIDE


@given(st.integers(360, 4000), st.fractions(min_value=Fraction(1), max_value=Fraction(2)), st.booleans())
def test_renditions_keep_the_shape_and_are_the_steps_below_the_source(
    short: int, shape: Fraction, upright: bool
) -> None:
    long = round(short * shape)
    width, height = (short, long) if upright else (long, short)
    made = ladder(film(width=width, height=height))
    assert [r.short_side for r in made] == [side for side in SHORT_SIDES if side <= short]
    for rendition in made:
        # rounding to even moves each side by one pixel at most
        assert abs(rendition.width * height - rendition.height * width) <= width + height


@given(sides, sides, rates)
def test_names_are_unique_and_the_first_rendition_is_a_small_one_of_the_ladder(
    width: int, height: int, rate: Fraction
) -> None:
    made = ladder(film(width=width, height=height, frame_rate=rate))
    assert len({r.name for r in made}) == len(made) >= 1
    first = first_rendition(made)
    assert first in made
    assert first.short_side <= 480 or first == made[-1]


@given(rates)
def test_the_made_rate_is_between_5_and_60_or_just_above(rate: Fraction) -> None:
    assert 5 <= constant_rate(rate) <= Fraction(606, 10)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        (Fraction(179, 6), Fraction(179, 6)),
        (Fraction(60), Fraction(60)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (Fraction(90), Fraction(45)),
        (Fraction(120), Fraction(60)),
        (Fraction(240000, 1001), Fraction(60000, 1001)),
        (Fraction(1), Fraction(10)),
    ],
)
def test_rates_are_kept_or_divided_by_a_whole_number(source: Fraction, made: Fraction) -> None:
    assert constant_rate(source) == made


def test_higher_frame_rates_may_take_more_bits() -> None:
    calm = ladder(film(frame_rate=Fraction(30)))
    quick = ladder(film(frame_rate=Fraction(60)))
    assert all(q.max_rate > c.max_rate for q, c in zip(quick, calm, strict=True))
    assert [r.max_rate for r in calm] == sorted((r.max_rate for r in calm), reverse=True)


def test_one_frame_is_a_film() -> None:
    assert frame_count(film(duration=Fraction(1, 1000), audio=None), Fraction(30)) == 1
