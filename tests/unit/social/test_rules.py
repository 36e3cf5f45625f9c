from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.errors import Invalid
from popoff.social import rules


@pytest.mark.parametrize(
    ("text", "kept"),
    [(" hello ", "hello"), ("a\nb", "a\nb"), ("x" * 1000, "x" * 1000), ("\u202eabc", "abc"), ("🌅 é", "🌅 é")],
)
def test_comments_are_kept_as_they_read(text: str, kept: str) -> None:
    assert rules.check_comment(text) == kept


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty_comment"), (" \n\t ", "empty_comment"), ("\u202e\x07", "empty_comment"), ("x" * 1001, "too_long")],
)
def test_blank_and_endless_comments_are_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_comment(text)
    assert refused.value.error_code == code


@pytest.mark.parametrize(
    ("claimed_s", "duration_ms", "elapsed_ms", "counted_ms"),
    [
        (3.2000000000000006, 10_000, None, 3200),
        (0, 10_000, None, 0),
        (1e12, 10_000, None, 200_000),
        (1.7e308, 10_000, None, 200_000),
        (5, 0, None, 5000),
        (9, 10_000, 4000, 4000),
        (9, 10_000, 0, 0),
        (9, 10_000, -50, 0),
    ],
)
def test_no_more_watch_time_counts_than_can_be_true(
    claimed_s: float, duration_ms: int, elapsed_ms: int | None, counted_ms: int
) -> None:
    assert rules.counted_watch_ms(claimed_s, duration_ms, elapsed_ms) == counted_ms


@given(
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
    st.integers(0, 10**8),
    st.none() | st.integers(-(10**9), 10**12),
)
def test_watch_time_is_never_negative_or_more_than_claimed(
    claimed_s: float, duration_ms: int, elapsed_ms: int | None
) -> None:
    counted = rules.counted_watch_ms(claimed_s, duration_ms, elapsed_ms)
    assert 0 <= counted <= rules.MAX_LOOPS * max(duration_ms, rules.MIN_VIEW_MS)
    assert counted <= claimed_s * 1000 or math.isinf(claimed_s * 1000)
