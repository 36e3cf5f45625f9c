from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, Field

from popoff.kernel.errors import Invalid
from popoff.web.parsing import Id, Input, takes, takes_query, validate
from tests.support.encodings import ENCODINGS, encoded


class Body(Input):
    video_id: Id
    like: bool = False
    note: str = Field("", max_length=10, description="A few words.")
    seconds: float | None = Field(None, ge=0)
    files: list[str] = Field(
        default_factory=list, max_length=3, validation_alias=AliasChoices("files[]", "files"), description="Names."
    )


@takes(Body)
def handler(body: Body) -> Body:
    """What a route would get."""
    return body


@takes_query(Body)
def query_handler(query: Body) -> Body:
    return query


def parsed(encoding: str, body: dict[str, Any]) -> Body:
    with Flask("test").test_request_context("/", method="POST", **encoded(encoding, body)):
        return handler()  # type: ignore[call-arg]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("files", [[], ["a"], ["a", "b"]])
@pytest.mark.parametrize("name", ["files", "files[]"])
def test_one_body_means_the_same_in_every_encoding(encoding: str, files: list[str], name: str) -> None:
    body = {"video_id": 42, "like": "true", "note": "hi", "seconds": 1.5, name: files, "file_size": 1}
    assert parsed(encoding, body) == Body(video_id=42, like=True, note="hi", seconds=1.5, files=files)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_left_out_has_its_default(encoding: str) -> None:
    assert parsed(encoding, {"video_id": "7"}) == Body(video_id=7)


def test_where_one_value_is_wanted_the_first_of_several_counts() -> None:
    with Flask("test").test_request_context("/?video_id=1&video_id=2&files[]=a&files[]=b"):
        assert query_handler() == Body(video_id=1, files=["a", "b"])  # type: ignore[call-arg]


def test_a_field_is_blamed_under_the_name_that_the_client_used() -> None:
    for name in ("files", "files[]"):
        with pytest.raises(Invalid) as refused:
            parsed("multipart", {"video_id": 1, name: ["a", "b", "c", "d"]})
        assert list(refused.value.details["fields"]) == ["files"]


def test_every_field_at_fault_is_named_once_for_each_reason() -> None:
    with pytest.raises(Invalid) as refused:
        validate(Body, {"video_id": 0, "like": "?", "note": "x" * 11, "seconds": -1})
    fields = refused.value.details["fields"]
    assert list(fields) == ["video_id", "like", "note", "seconds"]
    assert all(len(sentences) == 1 and sentences[0].endswith(".") for sentences in fields.values())
    assert refused.value.text == f"video_id: {fields['video_id'][0]}"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*Body.model_fields, "files[]", "other"]), json))
def test_any_values_are_either_taken_or_refused_in_words(values: dict[str, Any]) -> None:
    try:
        found = validate(Body, values)
    except Invalid as refused:
        assert refused.details["fields"]
    else:
        assert isinstance(found, Body) and 1 <= found.video_id < 2**63
        assert "\0" not in found.note and not any("\0" in name for name in found.files)


@pytest.mark.parametrize(("takes_it", "place"), [(handler, "formData"), (query_handler, "query")])
def test_the_same_model_describes_the_fields(takes_it: Callable[..., object], place: str) -> None:
    params = takes_it.__apidoc__["params"]  # type: ignore[attr-defined]
    assert set(params) == {"video_id", "like", "note", "seconds", "files[]"}
    assert {param["in"] for param in params.values()} == {place}
    assert params["video_id"] == {
        "in": place, "required": True, "type": "integer", "minimum": 1, "maximum": 2**63 - 1,
        "description": "Number of the post.",
    }  # fmt: skip
    assert params["seconds"]["type"] == "number" and "default" not in params["seconds"]
    assert params["files[]"]["collectionFormat"] == "multi"
    assert params["files[]"]["items"] == {"type": "string"}
    assert params["note"]["default"] == "" and not params["note"]["required"]
