"""From earnings to the bank: four eyes, holds, and money that comes back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from xml.etree import ElementTree as Xml

import pytest
import sqlalchemy as sa

import config
from popoff.accounts.models import User
from popoff.accounts.rules import Role
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from popoff.kernel.money import Minor, to_text
from popoff.ledger.rules import Account, Kind
from popoff.rewards import balances, bank, checks, gifts, holds, payouts
from popoff.rewards.models import Gift, Payout
from popoff.rewards.rules import PayoutState
from tests.support.ledger import BANK, grant, has, wallet
from tests.support.rewards import END, close, give, person, post_of

IBAN = "DE89370400440532013000"
EARNED = 8_000


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return person("eve", money=50_000)


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def gift(ada: User, eve: User) -> Gift:
    """Ada has earned 80.00, and 10.00 was granted to her."""
    made = give(eve, post_of(ada), 20_000)
    close(ad_pool=0, creator_fund=0)
    grant(ada.id, 1_000)
    payouts.set_bank_account(ada.id, "Ada Lovelace", IBAN)
    return made


@pytest.fixture
def staff(gift: Gift) -> tuple[int, int]:
    return person("boss", role=Role.ADMIN).id, person("chief", role=Role.ADMIN).id


def on_its_way(user: User) -> int:
    return has(Account(Kind.PAYOUTS, user.id))


def test_asking_takes_the_money_out_of_the_wallet(gift: Gift, ada: User) -> None:
    payout = payouts.request(ada.id, Minor(5_000))
    assert payout.state == PayoutState.PENDING
    assert (has(wallet(ada.id)), on_its_way(ada)) == (4_000, 5_000)
    assert balances.payable(ada.id) == 3_000


def test_what_was_granted_cannot_be_paid_out(gift: Gift, ada: User) -> None:
    with pytest.raises(Invalid) as refusal:
        payouts.request(ada.id, Minor(EARNED + 1))
    assert refusal.value.error_code == "nothing_payable"
    assert refusal.value.text == f"At most {to_text(Minor(EARNED))} can be paid out now."
    payouts.request(ada.id, Minor(EARNED))
    assert balances.payable(ada.id) == 0


def test_what_was_earned_and_given_away_cannot_be_paid_out(gift: Gift, ada: User) -> None:
    give(ada, post_of(person("bela")), 7_000, at=END)
    assert balances.payable(ada.id) == 2_000


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, float("nan")])
def test_only_amounts_of_money_are_paid_out(gift: Gift, ada: User, amount: object) -> None:
    with pytest.raises(Invalid):
        payouts.request(ada.id, amount)  # type: ignore[arg-type]


def test_small_change_and_nowhere_to_pay_to_are_refused(gift: Gift, ada: User, eve: User) -> None:
    for user, amount, code in ((ada, 999, "payout_too_small"), (eve, 1_000, "bank_account_missing")):
        with pytest.raises(Invalid) as refusal:
            payouts.request(user.id, Minor(amount))
        assert refusal.value.error_code == code


def test_the_same_key_is_the_same_payout(gift: Gift, ada: User) -> None:
    first = payouts.request(ada.id, Minor(5_000), key="k")
    assert payouts.request(ada.id, Minor(5_000), key="k").id == first.id
    with pytest.raises(Conflict):
        payouts.request(ada.id, Minor(2_000), key="k")
    assert on_its_way(ada) == 5_000


def test_paid_it_is_with_the_bank(gift: Gift, ada: User, staff: tuple[int, int]) -> None:
    payout = payouts.request(ada.id, Minor(5_000))
    before = has(BANK)
    payouts.approve(payout.public_id, by=staff[0])
    payouts.pay(payout.public_id, by=staff[1])
    assert (payout.state, on_its_way(ada), has(BANK) - before) == ("paid", 0, 5_000)
    with pytest.raises(Conflict):
        payouts.pay(payout.public_id, by=staff[1])


def test_nobody_approves_what_they_asked_for_or_will_get(gift: Gift, ada: User, staff: tuple[int, int]) -> None:
    payout = payouts.request(ada.id, Minor(5_000), by=staff[0])
    for by in (ada.id, staff[0]):
        with pytest.raises(Forbidden) as refusal:
            payouts.approve(payout.public_id, by=by)
        assert refusal.value.error_code == "four_eyes"
    payouts.approve(payout.public_id, by=staff[1])


@pytest.mark.parametrize("who", ["requested_by", "user_id"])
def test_the_database_wants_four_eyes_too(gift: Gift, ada: User, staff: tuple[int, int], who: str) -> None:
    payout = payouts.request(ada.id, Minor(5_000), by=staff[0])
    change = f"UPDATE payouts SET state = 'approved', approved_at = now(), approved_by = {who} WHERE id = :id"
    with pytest.raises(sa.exc.IntegrityError, match="four_eyes"), db.session.begin_nested():
        db.session.execute(sa.text(change), {"id": payout.id})
    with pytest.raises(sa.exc.IntegrityError, match="approved"), db.session.begin_nested():
        db.session.execute(sa.update(Payout).where(Payout.id == payout.id).values(state="approved"))


def test_a_held_payout_waits_for_its_time_or_its_release(gift: Gift, ada: User, staff: tuple[int, int]) -> None:
    payout = payouts.request(ada.id, Minor(5_000))
    payouts.hold(payout.public_id, by=staff[0], reason="who is this?", until=clock.now() + timedelta(days=2))
    with pytest.raises(Conflict) as refusal:
        payouts.approve(payout.public_id, by=staff[1])
    assert refusal.value.error_code == "payout_held"
    with clock.shifted(timedelta(days=3)):
        payouts.approve(payout.public_id, by=staff[1])
    payouts.hold(payout.public_id, by=staff[0], reason="look again")
    assert payout.approved_by is None
    payouts.release(payout.public_id, by=staff[0])
    payouts.approve(payout.public_id, by=staff[1])


@pytest.mark.parametrize("approved", [True, False])
def test_what_fails_comes_back(gift: Gift, ada: User, staff: tuple[int, int], approved: bool) -> None:
    payout = payouts.request(ada.id, Minor(EARNED))
    if approved:
        payouts.approve(payout.public_id, by=staff[0])
    payouts.fail(payout.public_id, by=staff[1], reason="account closed")
    assert (has(wallet(ada.id)), on_its_way(ada), balances.payable(ada.id)) == (9_000, 0, EARNED)


def test_what_the_bank_sends_back_comes_back(gift: Gift, ada: User, staff: tuple[int, int]) -> None:
    payout = payouts.request(ada.id, Minor(EARNED))
    payouts.approve(payout.public_id, by=staff[0])
    payouts.pay(payout.public_id, by=staff[1])
    payouts.reverse(payout.public_id, by=staff[1], reason="no such account")
    assert (payout.state, has(wallet(ada.id)), on_its_way(ada)) == ("reversed", 9_000, 0)
    payouts.request(ada.id, Minor(EARNED))


def test_flagged_gifts_are_held_out_of_payouts(
    gift: Gift, ada: User, staff: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = payouts.request(ada.id, Minor(3_000))
    with monkeypatch.context() as patch:
        patch.setattr(holds, "flagged", lambda: frozenset({gift.id}))
        assert balances.payable(ada.id) == 0 and balances.suspended(ada.id) == EARNED
        with pytest.raises(Conflict) as refusal:
            payouts.approve(payout.public_id, by=staff[0])
        assert refusal.value.error_code == "gifts_flagged"
    payouts.approve(payout.public_id, by=staff[0])


def test_a_debt_is_not_paid_out(gift: Gift, ada: User) -> None:
    gifts.reverse(gift.public_id, by=None, reason="charged back")
    assert balances.payable(ada.id) == 0


def test_a_payout_is_found_by_whom_it_belongs_to(gift: Gift, ada: User, eve: User) -> None:
    payout = payouts.request(ada.id, Minor(5_000))
    assert balances.payout(payout.public_id, user_id=ada.id).id == payout.id
    assert [one.id for one in balances.payouts_of(ada.id)] == [one.id for one in balances.open_payouts()] == [payout.id]
    with pytest.raises(NotFound):
        balances.payout(payout.public_id, user_id=eve.id)


def test_a_persons_export_has_all_of_it(gift: Gift, ada: User, eve: User) -> None:
    payouts.request(ada.id, Minor(5_000))
    mine, hers = balances.export(ada.id), balances.export(eve.id)
    assert (mine["gifts"][0]["direction"], hers["gifts"][0]["direction"]) == ("received", "sent")
    assert mine["statements"][0]["total"] == 80.0 and mine["payouts"][0]["amount"] == 50.0
    assert mine["bank_account"]["iban"] == IBAN and hers["bank_account"] is None


# files for the bank


@pytest.fixture
def debtor() -> Iterator[None]:
    with config.override(payout_debtor_name="PopOff GmbH", payout_debtor_iban="GB82WEST12345698765432"):
        yield


@pytest.mark.parametrize(
    "change", ["amount = 1", "state = 'failed', approved_by = NULL, approved_at = NULL, paid_transfer_id = NULL"]
)
def test_a_payout_that_somebody_with_the_database_changes_is_found(
    gift: Gift, ada: User, staff: tuple[int, int], change: str
) -> None:
    payout = approved(ada, staff)
    payouts.pay(payout.public_id, by=staff[1])
    assert checks.check() == []
    undo = db.session.begin_nested()
    db.session.execute(sa.text(f"UPDATE payouts SET {change} WHERE id = {payout.id}"))
    found = [(problem.code, problem.subject) for problem in checks.check()]
    undo.rollback()
    assert found == [("payout_differs", f"payout {payout.public_id}")]


def approved(user: User, staff: tuple[int, int], amount: int = 5_000) -> Payout:
    payout = payouts.request(user.id, Minor(amount))
    return payouts.approve(payout.public_id, by=staff[0])


def test_the_bank_is_told_of_each_approved_payout_once(gift: Gift, ada: User, staff: tuple[int, int]) -> None:
    payouts.request(ada.id, Minor(1_000))
    payout = approved(ada, staff)
    files = payouts.export(by=staff[1])
    assert files.pain001 is None
    rows = list(csv.DictReader(io.StringIO(files.csv.decode())))
    assert rows == [
        {"reference": payout.public_id, "holder": "Ada Lovelace", "iban": IBAN, "bic": "", "amount": "50.00",
         "currency": "EUR"}
    ]  # fmt: skip
    with pytest.raises(Conflict):
        payouts.export(by=staff[1])
    assert payouts.exported(files.public_id) == files
    with pytest.raises(Conflict):
        payouts.hold(payout.public_id, by=staff[1], reason="too late")


def test_with_a_debtor_there_is_a_file_for_programs(
    gift: Gift, ada: User, staff: tuple[int, int], debtor: None
) -> None:
    payout = approved(ada, staff, 5_001)
    document = Xml.fromstring(payouts.export(by=staff[1]).pain001 or b"")
    space = f"{{{bank.PAIN}}}"
    assert document.tag == f"{space}Document"

    def texts(name: str) -> list[str | None]:
        return [element.text for element in document.iter(space + name)]

    assert texts("InstdAmt") == ["50.01"] and texts("CtrlSum") == ["50.01"] * 2 and texts("NbOfTxs") == ["1"] * 2
    assert texts("IBAN") == ["GB82WEST12345698765432", IBAN] and texts("EndToEndId") == [payout.public_id]
    assert [element.get("Ccy") for element in document.iter(f"{space}InstdAmt")] == ["EUR"]
    assert all(len(text or "") <= 35 for name in ("MsgId", "PmtInfId", "EndToEndId") for text in texts(name))
