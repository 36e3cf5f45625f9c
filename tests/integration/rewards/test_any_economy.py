"""Random histories of the whole economy: gifts, grants, top-ups, flags, reversals, periods and payouts.

Requests are made, repeated, made otherwise under the same key, refused, and cut off by a crash before or after any
statement; periods are settled step by step while all this goes on. After each step no cent is missing, and at the end
the pools, statements, totals, breakdowns, the ledger and the audit log say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import config
from popoff.accounts.models import User
from popoff.accounts.rules import Role
from popoff.adapters.payments import EventKind, Sandbox
from popoff.audit.models import EntryRow
from popoff.integrity import service as integrity
from popoff.integrity.models import Flag
from popoff.integrity.rules import FlagState
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, DomainError
from popoff.kernel.money import Minor
from popoff.ledger.rules import MINTING
from popoff.media.models import Post
from popoff.rewards import gifts, payouts, periods, queries, topups
from popoff.rewards.models import Gift, Payout, Period, Statement, TopUp
from popoff.rewards.rules import PeriodState
from tests.support import histories, rewards
from tests.support.crash import Crash, Fuse
from tests.support.rewards import START, content_id, person, post_of, public_id, score, watch

Request = tuple[Any, ...]
KEYED = frozenset({"gift", "grant", "payout"})
"""("gift", key, giver, post, cents), ("grant", key, person, cents) and ("payout", key, person, cents)"""

FUSE = Fuse()
PEOPLE, POSTS = range(5), range(5)
IBAN = "DE89370400440532013000"

AUTHORS = (0, 0, 1, 1, 2)
PAIRS = [(who, post) for who in PEOPLE for post in POSTS if AUTHORS[post] != who] + [(0, 0)]
"""Who could give for which post; the last one may not."""

people = st.sampled_from(PEOPLE)
keys = st.integers(0, 3).map(lambda number: f"key {number}") | st.uuids().map(str)
cents = st.integers(1, 100) | st.integers(1, 50_000)
pools = st.none() | st.integers(0, 100_000)


@dataclass(frozen=True)
class Scene:
    """People 0 to 2 have posted and earned, everybody gives and watches, three of the staff look after the money."""

    users: list[int]
    refs: list[UUID]
    posts: list[tuple[int, int, UUID]]
    """Id, number of the author, public id."""
    staff: list[int]


def set_up() -> Scene:
    users = [person(f"person{number}") for number in PEOPLE]
    for user in users:
        payouts.set_bank_account(user.id, "Some Body", IBAN)
    posts = [post_of(users[author]) for author in AUTHORS]
    for number, post in enumerate(posts):
        score(post, 20.0 * number, None if number == 3 else 50.0)
    staff = [person(name, role=Role.ADMIN).id for name in ("boss", "chief", "mo")]
    for user in users:
        topups.grant(user.id, Minor(40_000), by=staff[0], reason="to begin with")
        for post in posts:
            watch(user, post, at=START)
    rewards.close(START - timedelta(days=1), START + timedelta(minutes=1))
    return Scene(
        [user.id for user in users],
        [public_id(user) for user in users],
        [(post.id, author, content_id(post)) for post, author in zip(posts, AUTHORS, strict=True)],
        staff,
    )


class AnyEconomy(RuleBasedStateMachine):
    scene: ClassVar[Scene]

    def __init__(self) -> None:
        super().__init__()
        db.session.rollback()
        self.now = START + timedelta(hours=1)
        self.settled_until = START + timedelta(minutes=1)
        self.seen: list[Request] = []
        self.answers: dict[tuple[Any, ...], tuple[Request, Any]] = {}

    # what can be asked

    def send(self, request: Request) -> Any:
        """Make a request of the services, as the edge would; what it answers."""
        verb, *rest = request
        return getattr(self, f"_{verb}")(*rest)

    def _gift(self, key: str, giver: int, post: int, amount: int) -> Any:
        _, author, ref = self.scene.posts[post]
        return gifts.give(self.scene.users[giver], self.scene.refs[author], ref, Minor(amount), key).public_id

    def _grant(self, key: str, who: int, amount: int) -> Any:
        return topups.grant(self.scene.users[who], Minor(amount), by=self.scene.staff[0], reason="any", key=key).id

    def _payout(self, key: str, who: int, amount: int) -> Any:
        return payouts.request(self.scene.users[who], Minor(amount), key=key).public_id

    def _pay_in(self, who: int, amount: int) -> None:
        topups.begin(self.scene.users[who], Minor(amount))

    def _provider_says(self, reference: str, amount: int, kind: EventKind) -> None:
        topups.receive(
            *Sandbox().send(kind, reference, Minor(amount), config.current().currency, f"{kind.name}-{reference}")
        )

    def _take_back(self, gift: str) -> None:
        gifts.reverse(gift, by=self.scene.staff[0], reason="any")

    def _flag(self, gift: str) -> None:
        entry = sa.select(EntryRow.public_id).where(EntryRow.subject == gift, EntryRow.action == "send_gift")
        integrity.flag(db.session.scalars(entry).one(), by=self.scene.staff[0], reason="any")

    def _decide(self, flag: str, outcome: FlagState) -> None:
        integrity.decide(flag, outcome, by=self.scene.staff[1], reason="any")

    def _close(self, ad_pool: int | None, fund: int | None) -> None:
        given = {"ad_pool": ad_pool, "creator_fund": fund}
        periods.close(self.settled_until, self.now, by=self.scene.staff[0], **given)  # type: ignore[arg-type]

    def _settle(self) -> None:
        unfinished = db.session.scalar(sa.select(Period.id).where(Period.state != PeriodState.CLOSED.value))
        if unfinished is not None:
            periods.advance(unfinished)

    def _handle(self, payout: str, verb: str) -> None:
        by, second = self.scene.staff[:2]
        steps: dict[str, Callable[[], Payout]] = {
            "hold": lambda: payouts.hold(payout, by=by, reason="any"),
            "release": lambda: payouts.release(payout, by=by),
            "approve": lambda: payouts.approve(payout, by=second),
            "pay": lambda: payouts.pay(payout, by=by),
            "fail": lambda: payouts.fail(payout, by=by, reason="any"),
            "reverse": lambda: payouts.reverse(payout, by=by, reason="any"),
        }
        steps[verb]()

    def any_request(self, data: st.DataObject) -> Request:
        draw = data.draw
        choices: list[Callable[[], Request]] = [
            *[lambda: ("gift", draw(keys), *draw(st.sampled_from(PAIRS)), draw(cents))] * 3,
            lambda: ("grant", draw(keys), draw(people), draw(cents)),
            *[lambda: ("payout", draw(keys), draw(st.integers(0, 2)), draw(cents))] * 2,
            lambda: ("pay_in", draw(people), draw(cents)),
            lambda: ("close", draw(pools), draw(pools)),
            *[lambda: ("settle",)] * 2,
        ]
        if given := self._ids(Gift.public_id):
            choices.append(lambda: ("take_back", draw(st.sampled_from(given))))
            choices.append(lambda: ("flag", draw(st.sampled_from(given))))
        if flags := self._ids(Flag.public_id):
            outcomes = st.sampled_from([FlagState.CLEARED, FlagState.CONFIRMED])
            choices.append(lambda: ("decide", draw(st.sampled_from(flags)), draw(outcomes)))
        if asked := db.session.execute(sa.select(Payout.public_id, Payout.state).order_by(Payout.id)).all():
            choices += [lambda: self.handle(draw, *draw(st.sampled_from(asked)))] * 3
        if promised := db.session.execute(sa.select(TopUp.public_id, TopUp.amount).order_by(TopUp.id)).all():
            words = st.sampled_from([EventKind.TOP_UP_PAID, EventKind.TOP_UP_FAILED])
            choices.append(lambda: ("provider_says", *draw(st.sampled_from(promised)), draw(words)))
        return draw(st.sampled_from(choices))()

    @staticmethod
    def handle(draw: Callable[[st.SearchStrategy[str]], str], payout: str, state: str) -> Request:
        """Any step, and more often one that a payout in this state can take."""
        verbs = ["hold", "release", "approve", "pay", "fail", "reverse"]
        next_step = {"pending": "approve", "held": "release", "approved": "pay", "paid": "reverse"}
        return ("handle", payout, draw(st.sampled_from(verbs + [next_step.get(state, "fail")] * 6)))

    @staticmethod
    def _ids(column: Any) -> list[str]:
        return list(db.session.scalars(sa.select(column).order_by(column.class_.id)))

    # what happens

    def transact(self, request: Request, crash_after: int | None = None) -> None:
        """One request in a transaction of its own, which a refusal takes back."""
        before = self.books()
        refused, answer = None, None
        self.seen.append(request)
        try:
            with clock.at(self.now), FUSE.lit(crash_after):
                try:
                    answer = self.send(request)
                except DomainError as refusal:
                    if not refusal.keeps_changes:
                        raise
                    refused = refusal
        except DomainError as refusal:
            refused = refusal
        except Crash:
            assert self.books() == before
            return
        if refused is not None:
            assert self.books() == before, f"{request}: {refused}"
        if request[0] in KEYED:
            self.check_key(request, answer, refused, moved=self.books() != before)

    def check_key(self, request: Request, answer: Any, refused: DomainError | None, *, moved: bool) -> None:
        """A key acts once: the same request gets the first answer again, and another one is refused."""
        verb, key, who = request[:3]
        name = (verb, key, 0 if verb == "grant" else who)  # grants are all of one giver
        first = self.answers.get(name)
        if first is None:
            if refused is None:
                assert moved
                self.answers[name] = request, answer
        elif first[0] == request:
            assert (refused, answer, moved) == (None, first[1], False)
        else:
            assert isinstance(refused, Conflict), request
            assert refused.error_code == "idempotency_conflict"

    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        self.transact(self.any_request(data))

    @rule(data=st.data(), statements=st.integers(0, 40))
    def crash(self, data: st.DataObject, statements: int) -> None:
        self.transact(self.any_request(data), crash_after=statements)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.transact(data.draw(st.sampled_from(self.seen)))

    @rule(hours=st.integers(1, 200))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.settled_until = db.session.scalars(sa.select(sa.func.max(Period.ends_at))).one()

    @rule(viewer=people, post=st.sampled_from(POSTS), seconds=st.integers(1, 60))
    def view(self, viewer: int, post: int, seconds: int) -> None:
        watch(db.session.get_one(User, self.scene.users[viewer]), self.post(post), seconds, at=self.now)

    def post(self, number: int) -> Post:
        return db.session.get_one(Post, self.scene.posts[number][0])

    # what is always true

    def books(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Balance and held amount of every account that has any."""
        rows = db.session.execute(
            sa.text("SELECT kind, owner_id, balance, held FROM ledger_accounts WHERE balance <> 0 OR held <> 0")
        )
        return {(kind, owner): (balance, held) for kind, owner, balance, held in rows}

    @invariant()
    def no_cent_is_missing(self) -> None:
        books = self.books()
        assert sum(balance for balance, _ in books.values()) == 0
        assert all(balance >= held >= 0 for (kind, _), (balance, held) in books.items() if kind not in MINTING)

    def teardown(self) -> None:
        while db.session.scalar(sa.select(Period.id).where(Period.state != PeriodState.CLOSED.value)):
            self.transact(("settle",))
        rewards.prove()
        with clock.at(self.now):
            for user_id in self.scene.users:
                self.check_earnings(user_id)
        self.check_log()
        db.session.rollback()

    def check_earnings(self, user_id: int) -> None:
        """Total, breakdown, statements and ledger say the same."""
        earned = queries.breakdown(user_id)
        stated = db.session.scalar(sa.select(sa.func.sum(Statement.total)).where(Statement.creator_id == user_id)) or 0
        paid = sa.text("""
            SELECT coalesce(sum(entry.amount), 0) FROM ledger_entries AS entry
              JOIN ledger_accounts AS account ON account.id = entry.account_id
              JOIN ledger_transfers AS transfer ON transfer.id = entry.transfer_id
             WHERE account.kind = 'wallet' AND account.owner_id = :owner AND transfer.key LIKE 'period:%'
        """)
        assert earned.settled == stated == db.session.scalar(paid, {"owner": user_id})
        assert queries.total(user_id) == earned.total == sum(content.total for content in earned.contents)

    def check_log(self) -> None:
        """Whatever moved money is in the audit log, and a gift is in it once."""
        silent = sa.text("""
            SELECT key FROM ledger_transfers AS transfer
             WHERE NOT EXISTS (SELECT FROM audit_entries AS entry WHERE entry.subject = transfer.reference)
        """)
        assert db.session.scalars(silent).all() == []
        sent = sa.select(EntryRow.subject).where(EntryRow.action == "send_gift").order_by(EntryRow.subject)
        assert db.session.scalars(sent).all() == sorted(self._ids(Gift.public_id))


@pytest.fixture
def economy(session: sa.orm.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(queries._Estimates, "QUICK", 60)  # on a busy machine it is an estimate of now, too
    with config.override(payout_minimum=1, daily_gift_limit=60_000), FUSE.connected():
        with clock.at(START):
            AnyEconomy.scene = set_up()
        db.session.commit()
        yield


@pytest.mark.no_cover  # it would take half as long again, and what it reaches others reach, too
@pytest.mark.timeout(36_000)
def test_any_history_of_the_economy_leaves_every_cent_where_it_belongs(economy: None) -> None:
    run_state_machine_as_test(AnyEconomy, settings=histories.settings(examples=110))  # type: ignore[no-untyped-call]
