from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.errors import Invalid
from popoff.kernel.paging import decode_cursor, encode_cursor


def forged(values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(1 - 2**63, 2**63 - 1),
    st.text(st.characters(categories=["L", "N", "P"])),
)
def test_a_cursor_comes_back_as_it_went_out(at: float, number: int, name: str) -> None:
    assert decode_cursor(encode_cursor([at, number, name]), float, int, str) == (at, number, name)


def test_a_cursor_is_a_word_that_fits_into_an_address() -> None:
    assert encode_cursor([1e9, 2**62, "ÿ?/&"]).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!!",
        "é",
        "AAAA",
        forged([]),
        forged([1, 2]),
        forged({"a": 1}),
        forged(["1"]),
        forged([1.0]),
        forged([True]),
        forged([None]),
        forged([2**63]),
        forged([-(2**63) - 1]),
    ],
)
def test_what_we_did_not_hand_out_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(cursor, int)
    assert (refused.value.error_code, refused.value.field) == ("invalid_cursor", "cursor")


@pytest.mark.parametrize(
    ("value", "kind"), [(float("nan"), float), (float("inf"), float), ("a\0", str), ("\ud800", str)]
)
def test_values_that_the_database_cannot_compare_are_refused(value: float | str, kind: type[float] | type[str]) -> None:
    with pytest.raises(Invalid):
        decode_cursor(forged([value]), kind)
