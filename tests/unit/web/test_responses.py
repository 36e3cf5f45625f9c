from __future__ import annotations

import numpy as np
import pytest
from flask import Flask

from popoff.web.responses import is_api, json_response, message


def test_numbers_from_arrays_are_plain_numbers_in_the_answer() -> None:
    answer = json_response({"score": np.float32(0.5), "ids": np.array([1, 2])})
    assert (answer.mimetype, answer.get_data()) == ("application/json", b'{"score":0.5,"ids":[1,2]}')


def test_a_message_may_carry_more() -> None:
    answer = message("Done.", 201, id=7)
    assert (answer.status_code, answer.get_data()) == (201, b'{"message":"Done.","id":7}')


@pytest.mark.parametrize(("path", "api"), [("/api", True), ("/api/post/like/", True), ("/apiary", False), ("/", False)])
def test_the_api_is_what_lies_below_its_path(path: str, api: bool) -> None:
    with Flask("test").test_request_context(path):
        assert is_api() is api
