from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.accounts import rules
from popoff.accounts.rules import LONGEST_WAIT, Permission, Role
from popoff.kernel.errors import Invalid

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["ada", "a1", "Ada.Lovelace", "x_y-z.1", "李雷", "Zoë", "अदा", "สมชาย", "٣٤", " ada ", "a" * 30, "ʻokina"]
)
def test_names_of_any_script_are_taken(name: str) -> None:
    assert rules.check_username(name) == unicodedata.normalize("NFC", name.strip())


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a",
        "a" * 31,
        "../../etc",
        "a/b",
        "a\\b",
        "a..b",
        "a__b",
        "a._b",
        "_a",
        "a_",
        ".ada",
        "ada.",
        "ada lovelace",
        "ada\nlove",
        "ada\0",
        "@ada",
        "<i>ada",
        "ada\u200b",
        "\u202eada",
        "\u3164\u3164",
        "\u115f\u1160",
        "ada\ufe0f",
        "ad\u17b4a",
        "\u0301ada",
        "😀😀",
        "½½",
        "Ⅷ8",
        "a\u20dd",
        "\ud800a",
        "root",
        "PopOff",
        "\uff52oot",
    ],
    ids=ascii,
)
def test_names_that_pose_as_something_else_or_show_nothing_are_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_username(name)
    assert refused.value.error_code == "invalid_username"


@given(st.text(max_size=40))
def test_a_name_that_is_taken_is_harmless(name: str) -> None:
    try:
        shown = rules.check_username(name)
    except Invalid:
        return
    assert 2 <= len(shown) <= 30
    assert rules.check_username(shown) == shown
    assert not set(shown) & set("/\\<>&\"'@%?#: \0\n")
    assert rules.username_key(rules.username_key(shown)) == rules.username_key(shown)
    assert rules.username_key(shown.upper().lower()) == rules.username_key(shown.lower())


@pytest.mark.parametrize(
    ("one", "other"), [("Ada", "ADA"), ("ada", "\uff21\uff44\uff41"), ("straße", "STRASSE"), ("ﬁn", "fin")]
)
def test_names_that_read_alike_are_one_name(one: str, other: str) -> None:
    assert rules.username_key(one) == rules.username_key(other)


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("ada@x.io", "ada@x.io"),
        (" Ada@X.IO ", "Ada@x.io"),
        ("a+b@example.org", "a+b@example.org"),
        ("é@x.io", "é@x.io"),
    ],
)
def test_addresses_are_kept_in_their_normal_form(address: str, normal: str) -> None:
    assert rules.check_email(address) == normal


@pytest.mark.parametrize(
    "address", ["ada", "ada@", "@x.io", "a b@x.io", "ada@x", "a@x.io\0", "a" * 250 + "@x.io", "\ud800@x.io"]
)
def test_what_is_no_address_gets_the_sentence_that_the_app_knows(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_email(address)
    assert (refused.value.field, refused.value.text) == ("email", "Enter a valid email address.")


@pytest.mark.parametrize("password", ["correct horse", "x9!kQ2zz", "пароль-из-слов", "abcABC123", "a" * 250 + "bcd"])
def test_passwords_of_some_length_are_taken(password: str) -> None:
    rules.check_password(password, username="ada", email="lovelace@x.io")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "a",
        "1234567",
        "a" * 257,
        "aaaaaaaa",
        "abababab",
        "password",
        "PASSWORD1",
        "AdaAdaAda",
        "lovelace",
        "LOVELACE@x.io",
    ],
)
def test_passwords_that_are_easy_to_guess_are_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_password(password, username="AdaAdaAda", email="lovelace@x.io")
    assert refused.value.error_code == "weak_password"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.CONSUMER, {Permission.USE}),
        (Role.CREATOR, {Permission.USE}),
        (Role.MODERATOR, {Permission.USE, Permission.MODERATE, Permission.READ_AUDIT, Permission.RAISE_FLAGS}),
        (Role.FINANCE, set(Permission) - {Permission.MODERATE, Permission.ADMINISTER}),
        (Role.ADMIN, set(Permission)),
    ],
)
def test_permissions_hang_on_roles(role: Role, may: set[Permission]) -> None:
    assert {permission for permission in Permission if rules.permits(role, permission)} == may


@pytest.mark.parametrize(
    ("failures", "seconds_ago", "wait"),
    [(4, 0, 0), (5, 0, 1), (6, 0, 2), (8, 3, 5), (8, 60, 0), (15, 0, 900), (10_000, 0, 900), (10_000, 3601, 0)],
)
def test_waits_double_and_end(failures: int, seconds_ago: int, wait: int) -> None:
    last = NOW - timedelta(seconds=seconds_ago)
    assert rules.login_wait(failures, last, NOW, free=5, longest=LONGEST_WAIT) == timedelta(seconds=wait)


@pytest.mark.parametrize(("until", "suspended"), [(None, False), (NOW, False), (NOW + timedelta(seconds=1), True)])
def test_a_suspension_has_an_end(until: datetime | None, suspended: bool) -> None:
    assert rules.is_suspended(until, NOW) is suspended


def test_a_deletion_is_due_after_the_grace_period() -> None:
    assert rules.deletion_due(NOW, 14) == NOW + timedelta(days=14)
