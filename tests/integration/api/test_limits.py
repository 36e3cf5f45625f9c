"""How often one may ask, with Redis and without."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

import config
from popoff.kernel.errors import TooMany
from popoff.web import limits
from tests.support.people import PASSWORD, People
from tests.support.refusals import assert_refusal

CHECK = "/api/auth/check_token/"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["with Redis", "without Redis"])
def redis_url(request: pytest.FixtureRequest, settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    fresh = type(limits._local)(type(limits._local.storage)())
    monkeypatch.setattr(limits, "_local", fresh)
    return settings.redis_url if request.param == "with Redis" else NOWHERE


def test_too_many_requests_are_told_when_to_come_back(people: People, redis_url: str) -> None:
    ada, eve = people.ada, people.eve
    with config.override(rate_limit="3/minute", redis_url=redis_url):
        answers = [ada.get(CHECK) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
        body = assert_refusal(answers[-1], 429, "too_many_requests")
        assert 1 <= int(answers[-1].headers["Retry-After"]) == body["retry_after"] <= 60
        assert eve.get(CHECK).status_code == 200, "everybody has a limit of their own"


def test_strangers_are_counted_by_their_address(client: FlaskClient, redis_url: str) -> None:
    with config.override(rate_limit="2/minute", redis_url=redis_url):
        for address in ("198.51.100.1", "198.51.100.2"):
            where = {"REMOTE_ADDR": address}
            statuses = [client.get("/api/", environ_base=where).status_code for _ in range(4)]
            assert statuses == [200, 200, 429, 429]


def test_made_up_tokens_do_not_escape_the_limit(client: FlaskClient, redis_url: str) -> None:
    with config.override(rate_limit="2/minute", redis_url=redis_url):
        statuses = [client.get(CHECK, headers={"Authorization": f"Token {n}"}).status_code for n in range(4)]
    assert statuses == [401, 401, 429, 429]


def test_an_address_registers_so_many_accounts_and_failed_tries_do_not_count(
    client: FlaskClient, redis_url: str
) -> None:
    def register(number: int, password: str = PASSWORD) -> int:
        body = {"username": f"bot{number}", "email": f"bot{number}@x.io", "password": password}
        return client.post("/api/auth/register/", data=body).status_code

    with config.override(signup_rate_limit="2/hour", redis_url=redis_url):
        assert [register(0, "short") for _ in range(4)] == [400] * 4
        assert [register(number) for number in range(4)] == [201, 201, 429, 429]
    assert register(3) == 201, "what was refused left no account behind"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/static/popoff.css", "/media/store/users/1/x"])
def test_health_files_and_signed_links_are_never_refused_for_being_asked_often(client: FlaskClient, path: str) -> None:
    with config.override(rate_limit="1/minute"):
        assert 429 not in [client.get(path).status_code for _ in range(3)]


def test_a_window_opens_again(settings: config.Settings) -> None:
    limits.check("1/second", "test", "ada")
    with pytest.raises(TooMany) as refused:
        limits.check("1/second", "test", "ada")
    assert refused.value.details["retry_after"] == 1
    limits.check("1/second", "test", "eve")
    limits.check("1/second", "another test", "ada")
