"""What the resources of the creator economy share."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Response
from flask_restx import Resource
from pydantic import Field

from popoff.web.parsing import Input
from popoff.web.responses import json_response

NEXT_CURSOR = "X-Next-Cursor"
PAGE, LONGEST_PAGE = 50, 200


class EconomyResource(Resource):
    """The token may come in the cookie `X-Access-Token`, see `web/auth.py`."""

    takes_cookie: ClassVar[bool] = True


class PageQuery(Input):
    """Lists are bare arrays, which have no room for a cursor: it is in a header."""

    limit: int = Field(PAGE, ge=1, le=LONGEST_PAGE)
    cursor: str | None = Field(None, max_length=500, description=f"`{NEXT_CURSOR}` of the answer before.")


def page(rows: list[dict[str, Any]], next_cursor: str | None) -> Response:
    """An array, and in a header where the next one begins, if there is more."""
    answer = json_response(rows)
    if next_cursor:
        answer.headers[NEXT_CURSOR] = next_cursor
    return answer
