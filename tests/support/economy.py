"""People who joined through the creator economy's side, each with requests of their own, and staff."""

from __future__ import annotations

import itertools
from typing import Any

from flask.testing import FlaskClient

from popoff.accounts import service
from popoff.accounts.rules import Role
from popoff.adapters.storage import store
from tests.support.people import PASSWORD, Person

_numbers = itertools.count(1)


class Member(Person):
    """A person with the id that this side of the API knows them by."""

    def __init__(self, client: FlaskClient, row: dict[str, Any]):
        super().__init__(client, row["username"], row["token"])
        self.id: str = row["id"]
        self.email: str = row["email"]


def join(client: FlaskClient, name: str = "", role: str = "CONSUMER", **more: Any) -> Member:
    """A new person; staff roles are given as an operator would."""
    name = name or f"Member {next(_numbers)}"
    email = f"{name.replace(' ', '.').lower()}@members.example"
    self_chosen = role if role in ("CONSUMER", "CREATOR") else "CONSUMER"
    body = {"name": name, "email": email, "password": PASSWORD, "role": self_chosen, **more}
    fresh = client.application.test_client()  # which keeps the cookie to itself
    answer = fresh.post("/api/auth/signup", json=body)
    assert answer.status_code == 201, answer.text
    if role != self_chosen:
        service.set_role(answer.json["username"], Role(role.lower()))
    return Member(client, answer.json)


def upload(member: Person, content: bytes = b"not really a film") -> str:
    """The path of an upload whose file has arrived."""
    ticket = member.post(
        "/api/media/upload/", data={"fileName": "clip.mp4", "fileType": "video/mp4", "file_size": str(len(content))}
    )
    assert ticket.status_code == 200, ticket.text
    path: str = ticket.json["video_file_path"]
    store().put_bytes(path, content, "video/mp4")
    return path


def post_link(member: Person, title: str = "Live from the roof", **more: Any) -> dict[str, Any]:
    """A broadcast kept elsewhere."""
    body = {"type": "LIVE", "title": title, "url": "https://live.example/roof", **more}
    answer = member.post("/api/content", json=body)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json
    return row
