from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from popoff.audit import rules

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("action", ["gift.sent", "audit.flag", "user.role_changed", "scan"])
def test_actions_are_words_with_dots(action: str) -> None:
    assert rules.check_action(action) == action


@pytest.mark.parametrize("action", ["", "Gift", "gift sent", "gift.", ".gift", 'x","actor":"y', "é", "a" * 65, "a\n"])
def test_anything_else_is_no_action(action: str) -> None:
    with pytest.raises(ValueError, match="is not an action"):
        rules.check_action(action)


@pytest.mark.parametrize("subject", ["", "01KGA0000000000000000000AB", "gift:17", "a/b+c=", "2026-01-31"])
def test_subjects_are_ids(subject: str) -> None:
    assert rules.check_subject(subject) == subject


@pytest.mark.parametrize("subject", ["ada@people.example", "Ada Lovelace", 'x"', "ü", "x" * 129, "x\n"])
def test_a_person_is_no_subject(subject: str) -> None:
    with pytest.raises(ValueError, match="a subject is an id"):
        rules.check_subject(subject)


def test_data_are_written_in_their_canonical_form() -> None:
    data = {"post": 7, "creators": ["a1", "b2"], "at": "2026-01-31T12:00:00Z", "ok": True, "none": None}
    assert (
        rules.check_data(data) == '{"at":"2026-01-31T12:00:00Z","creators":["a1","b2"],"none":null,"ok":true,"post":7}'
    )


@pytest.mark.parametrize(
    "data",
    [{"name": "Ada Lovelace"}, {"who": "ada@people.example"}, {"deep": {"list": ["a b"]}}, {"amount": 12.5},
     {"Name": 1}, {"a b": 1}, {"a@b": 1}, {"big": 2**53}, {"x": "y" * 129}, {"many": [1] * 20_000}],
)  # fmt: skip
def test_data_that_may_name_a_person_or_cannot_be_kept_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        rules.check_data(data)  # type: ignore[arg-type]


def test_public_ids_are_sorted_by_time_and_tell_nothing_else() -> None:
    early, late = rules.public_id(NOON, b"\xff" * 10), rules.public_id(NOON + timedelta(milliseconds=1), bytes(10))
    assert len(early) == len(late) == 26
    assert early < late
    assert early[:10] == rules.public_id(NOON, bytes(10))[:10]


def test_a_public_id_is_a_ulid() -> None:
    # the example of the ULID specification: 01ARZ3NDEK is 1469922850259 ms
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1469922850259)
    assert rules.public_id(moment, bytes(9) + b"\x21") == "01ARZ3NDEK" + "0" * 14 + "11"


def test_a_pseudonym_is_steady_and_needs_the_secret() -> None:
    assert rules.pseudonym(b"one", 7) == rules.pseudonym(b"one", 7)
    assert len({rules.pseudonym(secret, owner) for secret in (b"one", b"two") for owner in (7, 8)}) == 4
    assert len(rules.pseudonym(b"one", 7)) == 32
