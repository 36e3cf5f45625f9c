from __future__ import annotations

import json
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.canonical import MAX_INTEGER, NotCanonical, encode

names = st.text(st.characters(max_codepoint=127), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_the_bytes_are_those_of_the_standard_library_with_sorted_names_and_no_spaces(value: object) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert encode(value) == expected  # type: ignore[arg-type]
    assert json.loads(expected) == value


def test_the_order_of_members_does_not_matter() -> None:
    assert encode({"b": 1, "a": {"d": [2, True], "c": None}}) == encode({"a": {"c": None, "d": (2, True)}, "b": 1})


def test_control_characters_are_escaped_as_rfc_8785_says() -> None:
    # the example of RFC 8785, 3.2.2.2: everything else, the euro sign included, stands for itself
    assert encode('€$\x0f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


def test_an_enumeration_of_words_is_written_as_its_word() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert encode({"colour": Colour.RED}) == b'{"colour":"red"}'


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", b"bytes", {1: "number"}, {"ä": 1}, [{"x": 0.5}],
     {1, 2}, object()],
)  # fmt: skip
def test_what_two_programs_may_write_differently_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode(value)  # type: ignore[arg-type]
