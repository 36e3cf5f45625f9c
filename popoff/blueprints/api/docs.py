"""Describing answers: pydantic models that only the API description reads; orjson writes the real bytes.

A test holds real answers to these descriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask_restx import Api, Namespace
from pydantic import BaseModel, Field

Handler = TypeVar("Handler", bound=Callable[..., object])


class Error(BaseModel):
    """Every refusal has this shape; programs match on `code`, people read `message`."""

    code: str = Field(description="Stable machine code.")
    message: str = Field(description="A sentence for the person.")
    error: str
    detail: str
    request_id: str = Field(description="Quote this when asking the operator.")
    status: str | None = Field(
        None, description="Where access is refused: MISSING_ACCESS_TOKEN, INVALID_ACCESS_TOKEN or FORBIDDEN."
    )
    non_field_errors: list[str] | None = Field(
        None, description="The sentence again; or a list under the field's name."
    )


class Message(BaseModel):
    message: str = Field(description="Shown verbatim by the app.")


def gives(
    namespace: Namespace | Api, model: type[BaseModel], description: str, *, status: int = 200
) -> Callable[[Handler], Handler]:
    """Document the answer of a handler."""
    return namespace.response(status, description, _schema(namespace, model))


def refuses(namespace: Namespace, **reasons: str) -> Callable[[Handler], Handler]:
    """Document refusals: `refuses(api, s400="empty_comment, too_long", s404="post_not_found")`."""

    def decorate(handler: Handler) -> Handler:
        for status, codes in reasons.items():
            handler = namespace.response(int(status[1:]), f"code: {codes}", _schema(namespace, Error))(handler)
        return handler

    return decorate


def complete(description: dict[str, Any], models: Mapping[str, Any]) -> dict[str, Any]:
    """The description with what RESTX leaves out, and with what holds for every route.

    That is models inside models, 401 where a token is needed, and the shape of every other refusal.
    """
    for name, model in models.items():
        description["definitions"].setdefault(name, model.__schema__)
    error = {"$ref": "#/definitions/Error"}
    for path in description["paths"].values():
        for operation in (value for key, value in path.items() if key != "parameters"):
            answers = operation["responses"]
            if operation.get("security") != []:
                answers.setdefault("401", {"description": "code: not_authenticated, invalid_token", "schema": error})
            answers["default"] = {
                "description": "Any other refusal, such as too_many_requests (429), or a failure of ours (5xx).",
                "schema": error,
            }
    return description


def _schema(namespace: Namespace | Api, model: type[BaseModel]) -> Any:
    """Register a model, and the models inside it, under their names."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}")
    for name, inner in schema.pop("$defs", {}).items():
        if name not in namespace.models:
            namespace.schema_model(name, _swagger2(inner))
    if model.__name__ not in namespace.models:
        namespace.schema_model(model.__name__, _swagger2(schema))
    return namespace.models[model.__name__]


def _swagger2(schema: Any) -> Any:
    """JSON Schema as Swagger 2.0 knows it: `x | null` becomes `x` with `x-nullable`."""
    if isinstance(schema, list):
        return [_swagger2(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    if "anyOf" in schema and len(options) == 1:
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _swagger2({**rest, **options[0], "x-nullable": True})
    return {key: _swagger2(value) for key, value in schema.items()}
