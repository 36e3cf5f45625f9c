from __future__ import annotations

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask.testing import FlaskClient

from popoff.accounts import queries as accounts
from popoff.cli import main
from tests.support.command_line import popoff

PASSWORD = "correct horse battery"
ADA = ("user", "create", "--username", "ada", "--email", "ada@people.example")


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        (("--password", PASSWORD), None),
        ((), f"{PASSWORD}\n{PASSWORD}\n"),
        (("--password", "-"), f"{PASSWORD}\n"),
    ],
    ids=["given", "asked for", "on standard input"],
)
def test_somebody_added_can_sign_in(client: FlaskClient, options: tuple[str, ...], typed: str | None) -> None:
    result = popoff(*ADA, "--role", "moderator", *options, typed=typed)
    assert result.output.splitlines()[-1] == "ada has the role moderator"
    assert PASSWORD not in result.output
    answer = client.post("/api/auth/login/", data={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200


def test_two_passwords_that_differ_add_nobody(session: sa.orm.Session) -> None:
    result = CliRunner().invoke(main, list(ADA), input=f"{PASSWORD}\nanother one here\n\n\n")
    assert result.exit_code == 1
    assert accounts.by_login("ada") is None


def test_a_name_taken_is_one_sentence(session: sa.orm.Session) -> None:
    popoff(*ADA, "--password", PASSWORD)
    result = popoff(*ADA, "--password", PASSWORD, fails=True)
    assert result.stderr == "Error: Account with username or email already exists\n"


def test_a_weak_password_is_refused(session: sa.orm.Session) -> None:
    popoff(*ADA, "--password", "a", fails=True)
    assert accounts.by_login("ada") is None


@pytest.mark.parametrize("name", ["ada", "ADA@people.example"])
def test_a_role_is_given_by_name_or_email(session: sa.orm.Session, name: str) -> None:
    popoff(*ADA, "--password", PASSWORD)
    assert popoff("user", "role", name, "admin").output == "ada has the role admin\n"
    found = accounts.by_login("ada")
    assert found is not None
    assert found.role == "admin"


def test_somebody_unknown_gets_no_role(session: sa.orm.Session) -> None:
    popoff("user", "role", "nobody", "admin", fails=True)


def test_roles_are_those_that_exist(session: sa.orm.Session) -> None:
    result = CliRunner().invoke(main, ["user", "role", "ada", "king"])
    assert result.exit_code == 2
    assert "moderator" in result.output
