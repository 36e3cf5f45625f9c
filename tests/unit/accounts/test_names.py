"""Names as people write them, and the usernames made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.accounts import rules
from popoff.accounts.rules import Role
from popoff.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("written", "shown"), [("  Nina   O'Hara ", "Nina O'Hara"), ("👩\u200d🚀 Ada", "👩\u200d🚀 Ada"), ("e\u0301", "é")]
)
def test_names_are_shown_as_written_but_tidy(written: str, shown: str) -> None:
    assert rules.check_name(written) == shown


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\u3164", "a\u202eb", "a\x00b", "a\ud800b", "n" * 101])
def test_names_that_show_nothing_or_deceive_are_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_name(name)
    assert (refused.value.error_code, refused.value.field) == ("invalid_name", "name")


@pytest.mark.parametrize(
    ("name", "username"),
    [
        ("Nina O'Hara", "Nina.O.Hara"),
        ("jo_ann", "jo.ann"),
        ("王小明", "王小明"),
        ("Admin", "user"),
        ("!", "user"),
        ("A", "user"),
        ("Maximilian Alexander von Habsburg", "Maximilian.Alexander"),
    ],
)
def test_a_username_resembles_the_name(name: str, username: str) -> None:
    assert rules.username_from(name) == username


@given(st.text(max_size=60))
def test_of_every_name_a_username_can_be_made(name: str) -> None:
    assert rules.check_username(rules.username_from(name) + ".0a1b2c3d")


@pytest.mark.parametrize(("role", "taken"), [("CREATOR", Role.CREATOR), (" consumer ", Role.CONSUMER)])
def test_people_are_consumers_or_creators(role: str, taken: Role) -> None:
    assert rules.check_role(role) is taken


@pytest.mark.parametrize("role", ["", "user", *(role.value for role in Role if role not in rules.SELF_CHOSEN)])
def test_nobody_makes_themselves_staff(role: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_role(role)
    assert refused.value.error_code == "invalid_role"
