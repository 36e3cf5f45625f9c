"""Holding answers to the API's own description."""

from __future__ import annotations

import functools
import re
from typing import Any

import jsonschema
from werkzeug.test import TestResponse


class Description:
    """`/api/swagger.json`, and the question whether an answer is as it says."""

    def __init__(self, document: dict[str, Any]):
        self.document = document

    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(METHOD, path below /api) -> what is said about it."""
        return {
            (method.upper(), path): operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if method != "parameters"
        }

    def schema_of(self, method: str, path: str, status: int) -> dict[str, Any]:
        """What an answer with this status looks like; `path` may be a real one with numbers in it."""
        for (known, template), operation in self.operations().items():
            if known == method and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", template), path):
                answers = operation["responses"]
                return dict(answers.get(str(status), answers["default"])["schema"])
        raise LookupError(f"{method} {path} is not described")

    def assert_fits(self, answer: TestResponse, schema: dict[str, Any], *, closed: bool = True) -> None:
        """The answer has every field the schema asks for, of its type, and (`closed`) no other."""
        whole = {**self._strict(schema, closed), "definitions": self._definitions(closed)}
        jsonschema.validate(answer.json, whole, cls=jsonschema.Draft4Validator)

    @functools.cache  # noqa: B019 - one description a test
    def _definitions(self, closed: bool) -> dict[str, Any]:
        return {name: self._strict(shape, closed) for name, shape in self.document["definitions"].items()}

    def _strict(self, shape: Any, closed: bool) -> Any:
        """Swagger's `x-nullable` in words that JSON Schema knows, and no field beside the named ones."""
        if isinstance(shape, list):
            return [self._strict(item, closed) for item in shape]
        if not isinstance(shape, dict):
            return shape
        found = {key: self._strict(value, closed) for key, value in shape.items() if key != "x-nullable"}
        if closed and "properties" in found:
            found.setdefault("additionalProperties", False)
        return {"anyOf": [found, {"type": "null"}]} if shape.get("x-nullable") else found
