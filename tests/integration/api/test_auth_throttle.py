"""Guessing passwords gets slow; being the owner of a guessed-at account does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from popoff.accounts.models import LoginFailures
from popoff.kernel import clock
from tests.support.people import PASSWORD, People

THIEF, OWNER, NEIGHBOUR = "198.51.100.66", "203.0.113.5", "192.0.2.9"
GUESS = "guess number one"


class Logins:
    """Sign-ins from chosen addresses at chosen moments."""

    def __init__(self, client: FlaskClient):
        self.client = client

    def __call__(self, name: str, password: str, address: str, *, after: float = 0) -> TestResponse:
        with clock.shifted(timedelta(seconds=after)):
            body = {"username": name, "password": password}
            return self.client.post("/api/auth/login/", data=body, environ_base={"REMOTE_ADDR": address})

    def patiently(self, name: str, password: str, address: str, since: float = 0) -> tuple[TestResponse, float]:
        """Try again each time the wait is over: the last answer, and the seconds that it took."""
        answer = self(name, password, address, after=since)
        while answer.status_code == 429:
            since += int(answer.headers["Retry-After"])
            answer = self(name, password, address, after=since)
        return answer, since


@pytest.fixture
def login(client: FlaskClient, people: People) -> Iterator[Logins]:
    assert people.ada.username and people.eve.username
    yield Logins(client)


def test_twenty_wrong_logins_are_slowed_and_the_right_one_with_them(login: Logins) -> None:
    answers = [login("ada", GUESS, THIEF) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 15
    refused = answers[-1]
    assert refused.json["code"] == "login_throttled"
    assert refused.json["non_field_errors"] == [refused.json["message"]]
    assert refused.headers["Retry-After"] == str(refused.json["retry_after"])
    assert login("ada", PASSWORD, THIEF).status_code == 429


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(login: Logins) -> None:
    waits, at = [], 0.0
    for _ in range(5):
        login("ada", GUESS, THIEF)
    for _ in range(12):
        waits.append(int(login("ada", GUESS, THIEF, after=at).headers["Retry-After"]))
        at += waits[-1]
        assert login("ada", GUESS, THIEF, after=at).status_code == 400
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_the_owner_elsewhere_waits_half_a_minute_at_most(login: Logins) -> None:
    at = 0.0
    for number in range(40):  # a thief with many addresses
        address = f"198.51.100.{number // 4}"
        answer, at = login.patiently("ada", GUESS, address, at)
        assert answer.status_code == 400
    answer, until = login.patiently("ada", PASSWORD, OWNER, at)
    assert answer.status_code == 200
    assert 0 < until - at <= 30


def test_where_the_owner_has_signed_in_before_strangers_cost_them_nothing(login: Logins) -> None:
    assert login("ada", PASSWORD, OWNER).status_code == 200
    for number in range(30):
        login("ada", GUESS, f"198.51.100.{number}")
    assert login("ada", PASSWORD, NEIGHBOUR).status_code == 429
    assert login("ada", PASSWORD, OWNER).status_code == 200


def test_others_are_not_locked_out_by_failures_at_one_account(login: Logins) -> None:
    for _ in range(20):
        login("ada", GUESS, THIEF)
    assert login("eve", PASSWORD, THIEF).status_code == 200


def test_one_address_that_tries_many_accounts_is_slowed(login: Logins) -> None:
    answers = [login(f"nobody{number}", GUESS, THIEF) for number in range(25)]
    assert [answer.status_code for answer in answers] == [400] * 20 + [429] * 5
    answer, seconds = login.patiently("eve", PASSWORD, THIEF)
    assert answer.status_code == 200
    assert 0 < seconds <= 30
    assert login("ada", PASSWORD, OWNER).status_code == 200


def test_an_account_is_the_same_under_its_name_and_its_address(login: Logins) -> None:
    answers = [login(name, GUESS, THIEF) for _ in range(4) for name in ("ada", "ADA@people.example")]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 3


def test_all_addresses_of_one_ipv6_subscriber_are_one(login: Logins) -> None:
    answers = [login("ada", GUESS, f"2001:db8:1:2::{number}") for number in range(8)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 3


def test_signing_in_wipes_the_slate(login: Logins) -> None:
    for _ in range(3):
        assert [login("ada", GUESS, OWNER).status_code for _ in range(4)] == [400] * 4
        assert login("ada", PASSWORD, OWNER).status_code == 200


def test_failures_are_forgotten_after_an_hour(login: Logins) -> None:
    for _ in range(5):
        login("ada", GUESS, THIEF)
    assert [login("ada", GUESS, THIEF, after=3700).status_code for _ in range(6)] == [400] * 5 + [429]


def test_a_refused_login_is_counted_although_the_request_fails(login: Logins, session: sa.orm.Session) -> None:
    login("ada", GUESS, THIEF)
    session.rollback()
    assert session.scalars(sa.select(LoginFailures.failures)).all() == [1, 1, 1]


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [("POST", "/api/auth/password/", "old_password"), ("DELETE", "/api/user/delete_account/", "password")],
)
def test_a_stolen_token_does_not_help_to_guess_the_password(people: People, method: str, path: str, field: str) -> None:
    body = {field: GUESS, "new_password": "staple battery horse"}
    answers = [people.ada._send(method, path, data=body) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 3
