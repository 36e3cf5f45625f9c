"""People for tests: registered through the API on first mention, each with requests of their own."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"


class Person:
    """One signed-in person; `get`, `post`, `delete`, `put`, `patch` send their token."""

    def __init__(self, client: FlaskClient, username: str, token: str):
        self.client, self.username, self.token = client, username, token

    def _send(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Token {self.token}", **options.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._send("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self._send("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self._send("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self._send("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self._send("DELETE", path, **options)


class People:
    """`people.ada` is a person called ada, registered when first named."""

    def __init__(self, client: FlaskClient):
        self._client = client
        self._known: dict[str, Person] = {}

    def __getattr__(self, username: str) -> Person:
        return self[username]

    def __getitem__(self, username: str) -> Person:
        if username not in self._known:
            answer = self._client.post(
                "/api/auth/register/",
                data={"username": username, "email": f"{username}@people.example", "password": PASSWORD},
            )
            assert answer.status_code == 201, answer.text
            self._known[username] = Person(self._client, username, answer.json["token"])
        return self._known[username]
