"""The ledger under many hands: real transactions of their own, at the same moment."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from flask import Flask

import config
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import queries, service
from popoff.ledger.rules import Account, Kind, Move
from popoff.web.transaction import transaction
from tests.support.ledger import MINT, grant, has, new_key, pay, prove, wallet
from tests.support.races import together

ADA, BELA = wallet(1), wallet(2)


@pytest.fixture
def settings(settings: config.Settings) -> Iterator[config.Settings]:
    """Every thread has a connection of its own."""
    with config.override(database_pool=64) as changed:
        yield changed


@pytest.fixture
def app(platform_db: Flask) -> Iterator[Flask]:
    yield platform_db
    with platform_db.app_context():
        prove()
        assert sum(balance.total for balance in queries.totals().values()) == 0
        db.session.rollback()


def given(app: Flask, *acts: Callable[[], object]) -> None:
    with app.app_context(), transaction():
        for act in acts:
            act()


def test_sixty_four_threads_spend_exactly_what_a_wallet_allows(app: Flask) -> None:
    given(app, lambda: grant(1, 1000))
    answers = together(app, [lambda: pay(ADA, BELA, 30)] * 64)
    assert Counter(map(str, answers))["insufficient_funds"] == 64 - 33
    with app.app_context():
        assert (has(ADA), has(BELA)) == (10, 990)


def test_spending_and_holding_at_once_never_exceeds_what_there_is(app: Flask) -> None:
    given(app, lambda: grant(1, 100))
    acts = [lambda: pay(ADA, BELA, 10), lambda: service.hold(new_key(), ADA, Minor(10), "why")] * 16
    answers = together(app, acts)
    assert Counter(map(str, answers))["insufficient_funds"] == 32 - 10
    with app.app_context():
        assert queries.balance(ADA).available == 0
        assert queries.balance(ADA).held + has(BELA) == 100


def test_sixteen_threads_between_five_accounts_do_not_deadlock(app: Flask) -> None:
    given(app, *[lambda person=person: grant(person, 10_000) for person in range(1, 6)])

    def wander(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            way = [wallet(person) for person in chance.sample(range(1, 6), chance.randint(2, 4))]
            moves = [Move(debit, credit, Minor(chance.randint(1, 50))) for debit, credit in pairwise(way)]
            service.transfer(new_key(), moves, fingerprint="f", reference="wander")
            db.session.commit()

    assert together(app, [lambda seed=seed: wander(seed) for seed in range(16)]) == [None] * 16
    with app.app_context():
        assert sum(has(wallet(person)) for person in range(1, 6)) == 50_000


def test_accounts_are_opened_once_by_everybody_s_first_use(app: Flask) -> None:
    """Transfers that open the same accounts in opposite orders, some with others that exist and are being used."""
    given(app, lambda: grant(1, 10_000))
    others = [wallet(person) for person in range(100, 400)]

    def spread(seed: int) -> None:
        chosen = random.Random(seed).sample(others, 250)
        moves = [Move(ADA, account, Minor(1)) for account in chosen]
        service.transfer(new_key(), moves, fingerprint="f", reference="spread")

    assert together(app, [lambda seed=seed: spread(seed) for seed in range(24)]) == [None] * 24
    with app.app_context():
        assert has(ADA) == 10_000 - 24 * 250


def test_the_same_request_at_once_acts_once_and_all_hear_the_same(app: Flask) -> None:
    given(app, lambda: grant(1, 100))
    answers = together(app, [lambda: pay(ADA, BELA, 60, key="once")] * 16)
    assert {answer.id for answer in answers} == {answers[0].id}  # type: ignore[attr-defined]
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 15  # type: ignore[attr-defined]
    with app.app_context():
        assert (has(ADA), has(BELA)) == (40, 60)


def test_the_same_first_request_between_new_accounts_acts_once(app: Flask) -> None:
    answers = together(app, [lambda: pay(MINT, ADA, 60, key="once")] * 16)
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 15  # type: ignore[attr-defined]
    with app.app_context():
        assert has(ADA) == 60


def test_of_different_requests_under_one_key_one_acts(app: Flask) -> None:
    given(app, *[lambda person=person: grant(person, 100) for person in range(1, 9)])
    acts = [lambda person=person: pay(wallet(person), wallet(99), person, key="once") for person in range(1, 9)]
    answers = together(app, acts)
    assert Counter(map(str, answers))["idempotency_conflict"] == 7
    (winner,) = (answer for answer in answers if not isinstance(answer, str))
    with app.app_context():
        assert has(wallet(99)) == winner.amount  # type: ignore[attr-defined]


def test_a_key_is_free_again_when_its_first_request_is_rolled_back(app: Flask) -> None:
    given(app, lambda: grant(1, 100))
    first, second = threading.Event(), threading.Event()

    def abandon() -> None:
        with app.app_context():
            pay(ADA, BELA, 60, key="once")
            first.set()
            second.wait(30)
            db.session.rollback()

    with ThreadPoolExecutor(1) as threads, app.app_context():
        abandoned = threads.submit(abandon)
        assert first.wait(30)
        threading.Timer(0.2, second.set).start()
        with transaction():
            assert not pay(ADA, BELA, 60, key="once").replayed
        abandoned.result()
        assert has(BELA) == 60


def test_a_transfer_is_reversed_once_by_many_at_once(app: Flask) -> None:
    with app.app_context(), transaction():
        grant(1, 100)
        grant(2, 1000)
        moved = pay(ADA, BELA, 50)
    answers = together(app, [lambda: service.reverse(new_key(), moved.id, "why")] * 12)
    assert Counter(map(str, answers))["already_reversed"] == 11
    with app.app_context():
        assert (has(ADA), has(BELA)) == (100, 1000)


def test_a_hold_ends_once_by_many_at_once(app: Flask) -> None:
    with app.app_context(), transaction():
        held = service.hold(new_key(), grant(1, 100), Minor(60), "why")
    acts = [
        lambda: service.capture(held.id, new_key(), BELA),
        lambda: service.capture(held.id, new_key(), Account(Kind.PAYOUTS, 1)),
        lambda: service.release(held.id),
    ] * 5
    answers = together(app, acts)
    captured = [answer for answer in answers if isinstance(answer, queries.Transfer)]
    released = [answer for answer in answers if isinstance(answer, queries.Hold) and not answer.replayed]
    assert len(captured) + len(released) == 1
    with app.app_context():
        assert queries.balance(ADA).held == 0
        assert has(ADA) == (100 if released else 40)


def test_two_transfers_in_one_transaction_do_not_deadlock_after_locking_their_accounts(app: Flask) -> None:
    given(app, *[lambda person=person: grant(person, 10_000) for person in range(1, 4)])

    def both(seed: int) -> None:
        people = random.Random(seed).sample([wallet(1), wallet(2), wallet(3), wallet(50 + seed % 3)], 3)
        service.lock(*people)
        for debit, credit in ((people[0], people[1]), (people[2], people[0]), (people[1], people[2])):
            if has(debit):
                pay(debit, credit, 1)

    assert together(app, [lambda seed=seed: both(seed) for seed in range(16)]) == [None] * 16
