"""What the old service got wrong, as far as no other test here would see it come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.audit import service as audit
from popoff.audit.models import EntryRow
from popoff.kernel.db import db
from popoff.ledger.models import LedgerTransfer
from popoff.rewards import gifts
from tests.integration.economy.scene import Scene, whole
from tests.integration.economy.test_access import ROLES, TABLE, send
from tests.support.refusals import assert_refusal
from tests.support.staff import cast

GETS = [
    *(path for method, path, *_ in TABLE if method == "GET"),
    "/user", "/user/{creator}", "/content", "/content?creatorId={creator}", "/content/{content}",
    "/content/{content}/engagement-score", "/content/{content}/quality-score",
]  # fmt: skip


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    return whole(client)


def rows(model: type[Any]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


@contextmanager
def writes() -> Iterator[list[str]]:
    """The statements that change something, or lock it."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if re.search(r"\b(INSERT INTO|UPDATE|DELETE FROM|FOR SHARE)\b", statement, re.IGNORECASE):
            seen.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", GETS)
def test_reading_writes_nothing(scene: Scene, client: FlaskClient, path: str) -> None:
    with writes() as seen:
        answers = [send(scene, client, role, "GET", path, None) for role in ("nobody", *ROLES)]
    assert all(answer.status_code < 500 for answer in answers)
    assert seen == []
    with writes() as seen:
        scene.people.giver.post("/api/wallet/top-up", json={"amount": 1})
    assert seen, "what sees nothing proves nothing"


@pytest.mark.parametrize("path", GETS)
def test_no_answer_holds_a_password_or_the_address_of_somebody_else(
    scene: Scene, client: FlaskClient, path: str
) -> None:
    members = {role: scene.member(role) for role in ROLES}
    for role in ("nobody", *ROLES):
        text = send(scene, client, role, "GET", path, None).get_data().decode(errors="replace")
        assert "argon2" not in text and "password" not in text.casefold()
        others = [member.email for name, member in members.items() if name != role and role != "admin"]
        assert not [email for email in others if email in text]
        assert not [member.token for member in members.values() if member.token in text]


def test_suspicious_entries_follow_the_ones_before_like_all_others(client: FlaskClient) -> None:
    people = cast(client)
    people.give(1)
    people.give(1)
    people.creator.post("/api/gift", json={"creatorId": people.creator.id, "contentId": people.content_id, "amount": 1})
    audit.chain_committed()
    log = people.admin.get("/api/audit").json[::-1]
    assert {"SEND_GIFT", "POTENTIAL_GAMING", "SUSPICIOUS_GIFTING"} <= {row["action"] for row in log}
    assert [row["prevHash"] for row in log] == ["0" * 64, *(row["hash"] for row in log[:-1])]


@pytest.mark.parametrize(("amount", "code"), [(5000.01, "daily_limit_exceeded"), (1500, "insufficient_funds")])
def test_a_refused_gift_leaves_no_entry_and_moves_nothing(client: FlaskClient, amount: float, code: str) -> None:
    people = cast(client, money=100_000)
    before = rows(EntryRow), rows(LedgerTransfer)
    assert_refusal(people.give(amount), 400, code)
    assert (rows(EntryRow), rows(LedgerTransfer)) == before


def test_a_gift_that_breaks_off_leaves_no_entry_and_moves_nothing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = cast(client)
    before = rows(EntryRow), rows(LedgerTransfer)
    made: list[Any] = []

    def break_off(*arguments: Any, **more: Any) -> None:
        made.append(transfer_jointly(*arguments, **more))
        raise RuntimeError("the machine is gone")

    transfer_jointly = gifts.ledger.transfer_jointly
    monkeypatch.setattr(gifts.ledger, "transfer_jointly", break_off)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    assert_refusal(people.give(1), 500, "internal_error")
    assert len(made) == 1
    assert (rows(EntryRow), rows(LedgerTransfer)) == before
