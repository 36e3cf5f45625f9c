"""Requests into checked values: one pydantic model a route, whatever encoding the client chose.

The phone app sends multipart forms (also for DELETE), other clients JSON or urlencoded forms; booleans come
as `true` or `"true"`, lists as repeated `files[]`. The same model documents the fields in the API description.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeVar, get_origin

import orjson
from flask import request
from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType

from popoff.kernel.errors import Invalid

Handler = TypeVar("Handler", bound=Callable[..., object])

BODY_TYPES = ["multipart/form-data", "application/x-www-form-urlencoded", "application/json"]

Id = Annotated[int, Field(ge=1, le=2**63 - 1, description="Number of the post.")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the year 1 or 9999, and in another zone
        raise ValueError("there is no such time") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with its zone (RFC 3339), as UTC."""


class Input(BaseModel):
    """Parent of request models. Unknown fields are ignored: the phone app sends more than we need.

    `incomplete`: what to say when fields are missing, where clients know a sentence for it.
    """

    incomplete: ClassVar[str] = ""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        """PostgreSQL keeps no NUL characters in texts."""
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise ValueError("NUL characters are not allowed")
        return value


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
        for problem in error.errors(include_url=False, include_input=False):
            sentences = fields.setdefault(str(problem["loc"][0]).removesuffix("[]"), [])
            sentence = _sentence(problem["type"], problem["msg"])
            if sentence not in sentences:
                sentences.append(sentence)
        name, sentences = next(iter(fields.items()))
        missing = any(problem["type"] in _MISSING for problem in error.errors())
        text = model.incomplete if model.incomplete and missing else f"{name}: {sentences[0]}"
        raise Invalid(text, code="invalid", fields=fields) from None


_MISSING = ("missing", "string_too_short")


def _sentence(kind: str, message: str) -> str:
    if kind == "missing":
        return "This field is required."
    if kind == "string_too_short":
        return "This field may not be blank."
    plain = message.removeprefix("Value error, ")
    return f"{plain[:1].upper()}{plain[1:]}."


def sent_as_json(name: str) -> bool:
    """Whether the request has a body in JSON with this field."""
    values = request.get_json(silent=True) if request.is_json else None
    return isinstance(values, dict) and name in values


def _body_values(model: type[Input]) -> dict[str, Any]:
    if request.is_json:
        try:
            values = orjson.loads(request.get_data() or b"{}")
        except orjson.JSONDecodeError:
            raise Invalid("The body is not valid JSON.", code="malformed_body") from None
        if not isinstance(values, dict):
            raise Invalid("The body must be a JSON object.", code="malformed_body")
        return values
    if request.mimetype not in BODY_TYPES and request.get_data():
        raise UnsupportedMediaType
    return _from_multidict(model, request.form)


def _from_multidict(model: type[Input], values: MultiDict[str, str]) -> dict[str, Any]:
    """Repeated names become lists where the model wants a list; elsewhere the first one counts."""
    return {
        sent_as: values.getlist(sent_as) if get_origin(info.annotation) is list else values[sent_as]
        for name, info in model.model_fields.items()
        for sent_as in _names(name, info.validation_alias)
        if sent_as in values
    }


def _names(name: str, alias: Any) -> list[str]:
    """What a client may call a field; the first is the name we document."""
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]


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
            shape["items"] = {key: value for key, value in shape["items"].items() if key != "description"}
        parameters[_names(name, info.validation_alias)[0]] = {"in": place, "required": info.is_required(), **shape}
    return parameters
