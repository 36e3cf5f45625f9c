"""Requests into checked values: one pydantic model a route, whatever encoding the client chose.

The phone app sends multipart forms (also for DELETE), other clients JSON or urlencoded forms; booleans come
as `true` or `"true"`, lists as repeated `files[]`. The same model documents the fields in the API description.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_origin

from flask import request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest

from popoff.kernel.errors import Invalid

Handler = TypeVar("Handler", bound=Callable[..., object])

BODY_TYPES = ["multipart/form-data", "application/x-www-form-urlencoded", "application/json"]

Id = Annotated[int, Field(ge=1, le=2**63 - 1, description="Number of the post.")]


class Input(BaseModel):
    """Parent of request models. Unknown fields are ignored: the phone app sends more than we need."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, allow_inf_nan=False)


def takes(model: type[Input]) -> Callable[[Handler], Handler]:
    """The handler gets the parsed body as keyword `body`. Raises Invalid (code `invalid`) with lists by field."""
    return _parsed(model, "body", "formData", _body_values)


def takes_query(model: type[Input]) -> Callable[[Handler], Handler]:
    """The handler gets the parsed query string as keyword `query`."""
    return _parsed(model, "query", "query", lambda wanted: _from_multidict(wanted, request.args))


def _parsed(
    model: type[Input], keyword: str, place: str, values: Callable[[type[Input]], dict[str, Any]]
) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def parsed(*args: Any, **kwargs: Any) -> object:
            return handler(*args, **kwargs, **{keyword: validate(model, values(model))})

        documented = dict(getattr(handler, "__apidoc__", {}))
        documented["params"] = {**documented.get("params", {}), **_parameters(model, place)}
        if place == "formData":
            documented["consumes"] = BODY_TYPES
        parsed.__apidoc__ = documented  # type: ignore[attr-defined]
        return parsed  # type: ignore[return-value]

    return decorate


def validate(model: type[Input], values: Mapping[str, Any]) -> Input:
    """Raises Invalid; its `fields` hold `{field: [sentence, ...]}` under the names the client used."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False):
            name = _client_name(model, str(problem["loc"][0])) if problem["loc"] else "non_field_errors"
            fields.setdefault(name, []).append(_sentence(problem["type"], problem["msg"]))
        first = next(iter(fields))
        text = f"{first}: {fields[first][0]}"
        raise Invalid(text, code="invalid", fields=fields) from None


def _sentence(kind: str, message: str) -> str:
    if kind in ("missing", "none_required"):
        return "This field is required."
    if kind == "string_too_short":
        return "This field may not be blank."
    return message[:1].upper() + message[1:] + "."


def _body_values(model: type[Input]) -> dict[str, Any]:
    if request.is_json:
        try:
            values = request.get_json()
        except BadRequest:
            raise Invalid("The body is not valid JSON.", code="malformed_body") from None
        if not isinstance(values, dict):
            raise Invalid("The body must be a JSON object.", code="malformed_body")
        return values
    return _from_multidict(model, request.form)


def _from_multidict(model: type[Input], values: MultiDict[str, str]) -> dict[str, Any]:
    """Repeated names become lists where the model wants a list; elsewhere the first one counts."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        names = _names(name, info.validation_alias)
        present = [value for one in names for value in values.getlist(one)]
        if not present:
            continue
        wants_list = get_origin(info.annotation) is list
        found[name] = present if wants_list else present[0]
    return found


def _names(name: str, alias: Any) -> list[str]:
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias)] if alias else [name]


def _client_name(model: type[Input], name: str) -> str:
    info = model.model_fields.get(name)
    return _names(name, info.validation_alias)[0].removesuffix("[]") if info else name.removesuffix("[]")


def _parameters(model: type[Input], place: str) -> dict[str, dict[str, Any]]:
    """The fields as Swagger 2.0 parameters."""
    schema = model.model_json_schema(by_alias=False)
    parameters = {}
    for name, info in model.model_fields.items():
        shape = dict(schema["properties"][name])
        options = [option for option in shape.pop("anyOf", []) if option.get("type") != "null"]
        shape = {**(options[0] if options else {}), **shape}
        shape.pop("title", None)
        if shape.get("default", "") is None:
            shape.pop("default")
        for bound in ("exclusiveMinimum", "exclusiveMaximum"):
            shape.pop(bound, None)
        if shape.get("type") == "array":
            shape["collectionFormat"] = "multi"
        parameters[_names(name, info.validation_alias)[0]] = {"in": place, "required": info.is_required(), **shape}
    return parameters
