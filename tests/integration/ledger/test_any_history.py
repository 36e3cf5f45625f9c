"""Random histories of the ledger, beside a ledger of a few dictionaries that does what the rules say.

Requests are made, repeated, made otherwise under the same key, put together into one transaction, and cut off by a
crash after any statement. After every step each account has what the model says; `make soak` makes longer histories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from popoff.kernel.db import db
from popoff.kernel.errors import DomainError
from popoff.kernel.money import Minor
from popoff.ledger import queries, service
from popoff.ledger.rules import MINTING, Account, Kind, Move, fingerprint
from tests.support import histories
from tests.support.crash import Crash, Fuse
from tests.support.ledger import BANK, MINT, PLATFORM, prove, wallet

WALLETS = [wallet(person) for person in (1, 2, 3)]
ESCROWS = [Account(Kind.GIFTS, person) for person in (1, 2)]
ACCOUNTS = [*WALLETS, *ESCROWS, PLATFORM, MINT, BANK]

accounts = st.sampled_from(ACCOUNTS)
spenders = st.sampled_from([account for account in ACCOUNTS if account.kind not in MINTING])
amounts = st.one_of(st.integers(1, 100), st.integers(1, 1000))
keys = st.one_of(st.integers(0, 5), st.integers(0, 10**9)).map(lambda number: f"key {number}")
moves = st.lists(st.tuples(accounts, accounts, amounts).filter(lambda m: m[0] != m[1]), min_size=1, max_size=4)

Request = tuple[Any, ...]
"""("transfer", key, moves) | ("hold", key, account, amount) | ("release", hold key) | ("capture", key, hold key,
credit) | ("reverse", key, transfer key)"""


class Refused(Exception):
    """With the code that the ledger should answer."""


@dataclass
class Model:
    """What the ledger should be."""

    balance: dict[Account, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0))
    transfers: dict[str, tuple[Request, dict[Account, int]]] = field(default_factory=dict)
    holds: dict[str, tuple[Request, str]] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)

    def held(self, account: Account) -> int:
        states = self.holds.values()
        return sum(request[3] for request, state in states if state == "open" and request[2] == account)

    def copy(self) -> Model:
        return Model(self.balance.copy(), self.transfers.copy(), self.holds.copy(), self.reversed.copy())

    def do(self, request: Request) -> bool:
        """Whether it is a replay. Raises Refused."""
        return bool(getattr(self, request[0])(request, *request[1:]))

    def _known(self, request: Request, known: dict[str, tuple[Request, Any]]) -> bool:
        if request[1] not in known:
            return False
        if known[request[1]][0] != request:
            raise Refused("idempotency_conflict")
        return True

    def _move(self, request: Request, legs: dict[Account, int]) -> None:
        for account, amount in legs.items():
            room = self.balance[account] - self.held(account)
            if amount < 0 and account.kind not in MINTING and room + amount < 0:
                raise Refused("insufficient_funds")
        for account, amount in legs.items():
            self.balance[account] += amount
        self.transfers[request[1]] = (request, legs)

    def transfer(self, request: Request, _key: str, moved: tuple[tuple[Account, Account, int], ...]) -> bool:
        legs = dict.fromkeys(ACCOUNTS, 0)
        for debit, credit, amount in moved:
            legs[debit] -= amount
            legs[credit] += amount
        if not any(legs.values()):
            raise Refused("nothing_moves")
        if self._known(request, self.transfers):
            return True
        self._move(request, {account: amount for account, amount in legs.items() if amount})
        return False

    def hold(self, request: Request, key: str, account: Account, amount: int) -> bool:
        if self._known(request, self.holds):
            return True
        if self.balance[account] - self.held(account) < amount:
            raise Refused("insufficient_funds")
        self.holds[key] = (request, "open")
        return False

    def release(self, _request: Request, hold: str) -> bool:
        made, state = self.holds[hold]
        if state == "captured":
            raise Refused("hold_captured")
        self.holds[hold] = (made, "released")
        return state == "released"

    def capture(self, request: Request, _key: str, hold: str, credit: Account) -> bool:
        made, state = self.holds[hold]
        if self._known(request, self.transfers):
            return True
        if state != "open":
            raise Refused(f"hold_{state}")
        self.holds[hold] = (made, "captured")
        self._move(request, {made[2]: -made[3], credit: made[3]})
        return False

    def reverse(self, request: Request, _key: str, transfer: str) -> bool:
        made, legs = self.transfers[transfer]
        if made[0] == "reverse":
            raise Refused("not_reversible")
        if self._known(request, self.transfers):
            return True
        if transfer in self.reversed:
            raise Refused("already_reversed")
        self._move(request, {account: -amount for account, amount in legs.items()})
        self.reversed.add(transfer)
        return False


FUSE = Fuse()


def send(request: Request) -> bool:
    """Make a request of the real ledger; whether it was a replay."""
    verb, *rest = request
    if verb == "transfer":
        key, moved = rest
        made = [Move(debit, credit, Minor(amount)) for debit, credit, amount in moved]
        return service.transfer(key, made, fingerprint=fingerprint(repr(moved)), reference="any").replayed
    if verb == "hold":
        return service.hold(rest[0], rest[1], Minor(rest[2]), "any").replayed
    if verb == "release":
        return service.release(_hold_id(rest[0])).replayed
    if verb == "capture":
        return service.capture(_hold_id(rest[1]), rest[0], rest[2]).replayed
    return service.reverse(rest[0], _id("transfers", rest[1]), "any").replayed


def _id(table: str, key: str) -> int:
    return int(db.session.scalar(sa.text(f"SELECT id FROM ledger_{table} WHERE key = :key"), {"key": key}) or 0)


def _hold_id(key: str) -> int:
    return _id("holds", key)


class AnyHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        db.session.rollback()
        self.model = Model()
        self.seen: list[Request] = []

    def transact(self, requests: list[Request], crash_after: int | None = None) -> None:
        """Requests of one transaction: all of them act, or none when there is a crash."""
        model = self.model.copy()
        try:
            with FUSE.lit(crash_after):
                for request in requests:
                    self.compare(model, request)
        except Crash:
            return
        self.model = model

    def compare(self, model: Model, request: Request) -> None:
        """Both refuse for one reason, or both answer, and agree whether they did before."""
        if not self.possible(model, request):
            return
        trial = model.copy()
        expected: object
        try:
            expected = trial.do(request)
        except Refused as refusal:
            expected = str(refusal)
        else:
            model.__dict__.update(trial.__dict__)
        answered: object
        try:
            answered = send(request)
        except DomainError as refusal:
            answered = refusal.error_code
        assert answered == expected, request
        self.seen.append(request)

    @staticmethod
    def possible(model: Model, request: Request) -> bool:
        """A crash may have taken back what a request is about."""
        known = {"release": model.holds, "capture": model.holds, "reverse": model.transfers}.get(request[0])
        about = request[1] if request[0] == "release" else request[2] if known is not None else None
        return known is None or about in known

    def any_request(self, data: st.DataObject) -> Request:
        """Something that could be asked now."""
        choices: list[Callable[[], Request]] = [
            lambda: ("transfer", data.draw(keys), tuple(data.draw(moves))),
            lambda: ("transfer", data.draw(keys), ((MINT, data.draw(st.sampled_from(WALLETS)), data.draw(amounts)),)),
            lambda: ("hold", data.draw(keys), data.draw(spenders), data.draw(amounts)),
        ]
        if self.model.holds:
            holds = st.sampled_from(sorted(self.model.holds))
            choices.append(lambda: ("release", data.draw(holds)))
            choices.append(lambda: self.capture(data, data.draw(holds)))
        if self.model.transfers:
            transfers = st.sampled_from(sorted(self.model.transfers))
            choices.append(lambda: ("reverse", data.draw(keys), data.draw(transfers)))
        return data.draw(st.sampled_from(choices))()

    def capture(self, data: st.DataObject, hold: str) -> Request:
        owner = self.model.holds[hold][0][2]
        return ("capture", data.draw(keys), hold, data.draw(accounts.filter(lambda account: account != owner)))

    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        self.transact([self.any_request(data)])

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.transact([data.draw(st.sampled_from(self.seen))])

    @rule(data=st.data(), number=st.integers(2, 4))
    def several_in_one_transaction(self, data: st.DataObject, number: int) -> None:
        self.transact([self.any_request(data) for _ in range(number)])

    @rule(data=st.data(), number=st.integers(1, 3), statements=st.integers(0, 12))
    def crash(self, data: st.DataObject, number: int, statements: int) -> None:
        self.transact([self.any_request(data) for _ in range(number)], crash_after=statements)

    @invariant()
    def every_account_has_what_it_should(self) -> None:
        found = queries.balances(ACCOUNTS)
        assert {account: balance.total for account, balance in found.items()} == self.model.balance
        assert {account: balance.held for account, balance in found.items()} == {
            account: self.model.held(account) for account in ACCOUNTS
        }
        assert sum(balance.total for balance in found.values()) == 0
        assert all(balance.available >= 0 for account, balance in found.items() if account.kind not in MINTING)

    def teardown(self) -> None:
        prove()
        assert db.session.scalar(sa.text("SELECT count(*) FROM ledger_transfers")) == len(self.model.transfers)
        db.session.rollback()


@pytest.mark.no_cover  # it would take half as long again, and what it reaches others reach, too
@pytest.mark.timeout(36_000)
def test_any_history_leaves_the_books_right(session: sa.orm.Session) -> None:
    with FUSE.connected():
        run_state_machine_as_test(AnyHistory, settings=histories.settings(examples=100))  # type: ignore[no-untyped-call]
