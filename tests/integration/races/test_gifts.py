"""Gifts, closings and payouts under many hands: real transactions of their own, at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

import config
from popoff.accounts.models import User
from popoff.adapters.payments import EventKind, Sandbox
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger.rules import Account, Kind
from popoff.media.models import Post
from popoff.rewards import balances, gifts, payouts, periods, rules, topups
from popoff.rewards.models import Gift, Payout, Period, Statement
from popoff.web.transaction import transaction
from tests.support.ledger import grant, has, wallet
from tests.support.races import together
from tests.support.rewards import content_id, person, post_of, prove, public_id, score, watch

LIMIT = 200_000
MANY = 64


@pytest.fixture
def settings(settings: config.Settings) -> Iterator[config.Settings]:
    """Every thread has a connection of its own."""
    with config.override(database_pool=MANY) as changed:
        yield changed


@pytest.fixture
def app(platform_db: Flask) -> Iterator[Flask]:
    yield platform_db
    with platform_db.app_context():
        prove()
        db.session.rollback()


class Stage:
    """A creator with a post, and somebody with money."""

    def __init__(self, app: Flask, money: int):
        self.app = app
        with app.app_context(), transaction():
            self.ada, self.eve = person("ada"), person("eve", money=money)
            self.post = post_of(self.ada)
            self.refs = (public_id(self.ada), content_id(self.post))

    def give(self, cents: int, key: str | None = None, giver: User | None = None) -> Callable[[], object]:
        return lambda: gifts.give((giver or self.eve).id, *self.refs, Minor(cents), key).public_id

    def money(self) -> tuple[int, int]:
        """In Eve's wallet, and in Ada's escrow."""
        with self.app.app_context():
            return has(wallet(self.eve.id)), has(Account(Kind.GIFTS, self.ada.id))

    def count(self, model: type[Gift] | type[Payout]) -> int:
        with self.app.app_context():
            return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def refusals(answers: Sequence[object]) -> Counter[object]:
    return Counter(answer for answer in answers if answer in {"daily_limit_exceeded", "insufficient_funds"})


@pytest.mark.parametrize(
    ("before", "amount", "fit"), [(0, LIMIT // 20, 20), (LIMIT - 1_000, 1_000, 1), (0, 150_001, 1)]
)
def test_of_64_gifts_at_the_daily_limit_never_one_more(app: Flask, before: int, amount: int, fit: int) -> None:
    stage = Stage(app, money=100 * LIMIT)
    if before:
        together(app, [stage.give(before)])
    answers = together(app, [stage.give(amount)] * MANY)
    assert refusals(answers) == {"daily_limit_exceeded": MANY - fit}
    assert stage.money() == (100 * LIMIT - before - fit * amount, before + fit * amount)


def test_64_clients_spend_exactly_what_one_wallet_has(app: Flask) -> None:
    stage = Stage(app, money=10_499)
    answers = together(app, [stage.give(500)] * MANY)
    assert refusals(answers) == {"insufficient_funds": MANY - 20}
    assert stage.money() == (499, 10_000)


def test_one_key_sent_by_many_is_one_gift(app: Flask) -> None:
    stage = Stage(app, money=10_000)
    answers = together(app, [stage.give(100, "the same")] * 32)
    assert len(set(answers)) == 1 and stage.count(Gift) == 1


def test_one_key_is_one_gift_also_when_another_would_not_fit_under_the_limit(app: Flask) -> None:
    stage = Stage(app, money=10 * LIMIT)
    answers = together(app, [stage.give(150_000, "the same")] * 8)
    assert len(set(answers)) == 1 and stage.count(Gift) == 1


def test_another_request_under_a_key_is_a_conflict_also_when_it_comes_at_once(app: Flask) -> None:
    stage = Stage(app, money=10 * LIMIT)
    answers = Counter(together(app, [stage.give(150_000, "the same"), stage.give(150_001, "the same")] * 4))
    assert stage.count(Gift) == 1
    assert answers.pop("idempotency_conflict") == 4
    assert len(answers) == 1


def test_people_who_give_to_each_other_do_not_wait_for_ever(app: Flask) -> None:
    with app.app_context(), transaction():
        people = [person(f"person{number}", money=100_000) for number in range(4)]
        posts = [post_of(one) for one in people]
        refs = [(public_id(one), content_id(post)) for one, post in zip(people, posts, strict=True)]
    acts = [
        (lambda giver=giver, ref=ref: gifts.give(giver.id, *ref, Minor(100)).amount)
        for giver in people
        for other, ref in zip(people, refs, strict=True)
        if other is not giver
    ]
    assert together(app, acts * 5) == [100] * 60


def settle(app: Flask, period_id: int) -> None:
    """What the job does."""
    with app.app_context():
        more = True
        while more:
            with transaction():
                more = periods.advance(period_id)


def test_each_gift_is_in_one_period_whenever_it_was_closed(app: Flask) -> None:
    stage = Stage(app, money=10 * LIMIT)
    with app.app_context(), transaction():
        givers = [person(f"giver{number}", money=10_000) for number in range(24)]
    start = clock.now() - timedelta(hours=1)
    closing = lambda: periods.close(start, clock.now() + timedelta(days=1), by=None).id  # noqa: E731
    acts = [stage.give(100, giver=giver) for giver in givers]
    *_, period_id = together(app, [*acts, closing])
    assert isinstance(period_id, int)
    settle(app, period_id)
    with app.app_context():
        first = db.session.get_one(Period, period_id)
        inside = db.session.scalar(sa.select(sa.func.count()).where(Gift.created_at < first.ends_at)) or 0
        paid = db.session.scalar(sa.select(sa.func.sum(Statement.gifts))) or 0
        assert paid == 100 * inside
        with transaction():
            second = periods.close(first.ends_at, clock.now() + timedelta(days=1), by=None).id
    settle(app, second)
    assert stage.money()[1] == 0
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.sum(Statement.gifts))) == 2_400
        assert has(wallet(stage.ada.id)) == 960


def test_many_workers_close_one_period_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BATCH", 2)
    with app.app_context(), transaction():
        eve = person("eve", money=LIMIT)
        start = clock.now() - timedelta(hours=1)
        for number in range(9):
            creator = person(f"creator{number}")
            post: Post = post_of(creator)
            score(post, 50, 10 * number)
            watch(eve, post, number + 1, at=clock.now())
            gifts.give(eve.id, public_id(creator), content_id(post), Minor(100 + number))
        period_id = periods.close(start, clock.now(), by=None).id
    with ThreadPoolExecutor(8) as workers:
        for done in [workers.submit(settle, app, period_id) for _ in range(8)]:
            done.result(60)
    with app.app_context():
        period = db.session.get_one(Period, period_id)
        assert (period.state, period.batches, period.batches_paid) == ("closed", 5, 5)
        assert has(Account(Kind.AD_POOL)) == has(Account(Kind.CREATOR_FUND)) == 0
        assert db.session.scalar(sa.select(sa.func.sum(Statement.total))) == 300_000 + 600_000 + 374


def test_a_reversal_and_a_closing_at_once_pay_a_gift_one_way(app: Flask) -> None:
    stage = Stage(app, money=LIMIT)
    names = together(app, [stage.give(100)] * 8)
    start, end = clock.now() - timedelta(hours=1), clock.now() + timedelta(days=1)

    def close() -> object:
        return periods.close(start, end, by=None).id

    answers = together(
        app, [close, *(lambda name=name: gifts.reverse(str(name), by=None, reason="x").owed for name in names)]
    )
    settle(app, int(str(answers[0])))
    assert stage.money() == (LIMIT, 0)


def test_many_requests_pay_out_no_more_than_was_earned(app: Flask) -> None:
    stage = Stage(app, money=LIMIT)
    together(app, [stage.give(25_000)])
    with app.app_context(), transaction():
        period_id = periods.close(
            clock.now() - timedelta(hours=1), clock.now(), by=None, ad_pool=Minor(0), creator_fund=Minor(0)
        ).id
    settle(app, period_id)
    with app.app_context(), transaction():
        grant(stage.ada.id, 50_000)
        payouts.set_bank_account(stage.ada.id, "Ada Lovelace", "DE89370400440532013000")
    answers = together(app, [lambda: payouts.request(stage.ada.id, Minor(1_500)).id] * 32)
    assert answers.count("nothing_payable") == 26 and stage.count(Payout) == 6
    with app.app_context():
        assert balances.payable(stage.ada.id) == 1_000


def test_a_webhook_sent_many_times_at_once_pays_once(app: Flask) -> None:
    stage = Stage(app, money=0)
    with app.app_context(), transaction():
        checkout = topups.begin(stage.eve.id, Minor(2_500))
    sent = Sandbox().send(EventKind.TOP_UP_PAID, checkout.reference, Minor(2_500), "EUR")
    answers = together(app, [lambda: topups.receive(*sent).id] * 16)
    assert answers.count("webhook_replayed") == 15 and stage.money() == (2_500, 0)
