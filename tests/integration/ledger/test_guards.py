"""The database refuses what would falsify the books, whoever sends it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from popoff.kernel.money import Minor
from popoff.ledger import checks, service
from popoff.ledger.rules import Account, Kind, Move
from tests.support.ledger import MINT, grant, has, new_key, pay, prove, wallet

ADA, BELA = wallet(1), wallet(2)


@pytest.fixture(autouse=True)
def _books(books: None) -> None:
    """Two wallets, four transfers, and a hold of each state."""
    grant(1, 100)
    grant(2, 50)
    pay(ADA, BELA, 10)
    holds = [service.hold(f"hold {number}", ADA, Minor(5), "why") for number in range(3)]
    service.release(holds[1].id)
    service.capture(holds[2].id, "capture", BELA)
    prove()


def refusal(session: sa.orm.Session, *statements: str) -> str:
    """The name of the guard that refuses these statements, at the latest when their transaction ends."""
    with pytest.raises(IntegrityError) as refused, session.begin_nested():
        for statement in statements:
            session.execute(sa.text(statement))
        session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    return str(refused.value.orig.diag.constraint_name)  # type: ignore[union-attr]


@pytest.mark.parametrize("table", ["entries", "transfers"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET amount = amount + 1",
        "UPDATE {} SET created_at = now()",
        "DELETE FROM {}",
        "DELETE FROM {} WHERE false",
        "TRUNCATE {} CASCADE",
    ],
)
def test_what_was_written_stays_as_it_is(session: sa.orm.Session, table: str, statement: str) -> None:
    guards = {"ledger_entries_no_change", "ledger_transfers_no_change"}
    assert refusal(session, statement.format(f"ledger_{table}")) in guards


@pytest.mark.parametrize(
    "change",
    [
        "balance = -1",
        "balance = balance + 1000000",
        "held = 0",
        "entries = entries + 1",
        "kind = 'mint', owner_id = 0",
        "owner_id = 99",
    ],
)
def test_an_account_changes_through_its_entries_alone(session: sa.orm.Session, change: str) -> None:
    assert refusal(session, f"UPDATE ledger_accounts SET {change} WHERE owner_id = 1") == "ledger_accounts_no_change"


@pytest.mark.parametrize("statement", ["DELETE FROM ledger_accounts", "TRUNCATE ledger_accounts CASCADE"])
def test_an_account_is_not_removed(session: sa.orm.Session, statement: str) -> None:
    assert refusal(session, statement).endswith(("_no_removal", "_no_change"))


def test_an_account_begins_with_nothing(session: sa.orm.Session) -> None:
    opened = "INSERT INTO ledger_accounts (kind, owner_id, balance) VALUES ('wallet', 9, 500)"
    assert refusal(session, opened) == "ledger_accounts_open_empty"


@pytest.mark.parametrize(
    ("values", "guard"),
    [
        ("'purse', 5", "ck_ledger_accounts_kind"),
        ("'wallet', 0", "ck_ledger_accounts_owner"),
        ("'mint', 5", "ck_ledger_accounts_owner"),
        ("'wallet', 1", "uq_ledger_accounts_kind_owner_id"),
    ],
)
def test_accounts_are_of_known_kinds_and_one_of_each(session: sa.orm.Session, values: str, guard: str) -> None:
    assert refusal(session, f"INSERT INTO ledger_accounts (kind, owner_id) VALUES ({values})") == guard


TRANSFER = """INSERT INTO ledger_transfers (id, key, fingerprint, reference, memo, amount, legs, created_at)
              OVERRIDING SYSTEM VALUE VALUES (1000000, 'forged', '', '', '', {amount}, {legs}, now())"""


def entries(*legs: tuple[Account, int, int, int], transfer: str = "1000000") -> str:
    """SQL that adds entries: account, amount, and by how much its place and its balance are out of line."""
    return (
        "INSERT INTO ledger_entries (account_id, seq, transfer_id, amount, balance_after, created_at) "
        + " UNION ALL ".join(
            f"SELECT id, entries + 1 + {place}, {transfer}, {amount}, balance + {amount} + {out}, now()"
            f" FROM ledger_accounts WHERE kind = '{account.kind}' AND owner_id = {account.owner_id or 0}"
            for account, amount, place, out in legs
        )
    )


@pytest.mark.parametrize(
    ("legs", "guard"),
    [
        ([(ADA, -20, 0, 0), (BELA, 21, 0, 0)], "ledger_entries_balance"),
        ([(ADA, 20, 0, 0)], "ledger_entries_balance"),
        ([(ADA, -20, 0, 0)], "ledger_entries_balance"),
        ([(ADA, -10, 0, 0), (BELA, 10, 0, 0)], "ledger_entries_balance"),
        ([(ADA, -20, 0, 0), (BELA, 15, 0, 0), (MINT, 5, 0, 0)], "ledger_entries_balance"),
        ([(ADA, -20, 1, 0), (BELA, 20, 0, 0)], "ledger_entries_post"),
        ([(ADA, -20, 0, 7), (BELA, 20, 0, 0)], "ledger_entries_post"),
        ([(ADA, -20, 0, 0), (BELA, 0, 0, 0), (MINT, 20, 0, 0)], "ck_ledger_entries_amount"),
        ([(ADA, -20, -1, 0), (BELA, 20, 0, 0)], "pk_ledger_entries"),
    ],
    ids=str,
)
def test_a_forged_transfer_must_balance(
    session: sa.orm.Session, legs: list[tuple[Account, int, int, int]], guard: str
) -> None:
    assert refusal(session, TRANSFER.format(amount=20, legs=2), entries(*legs)) == guard


@pytest.mark.parametrize(("amount", "guard"), [(81, "ck_ledger_accounts_held"), (86, "ck_ledger_accounts_balance")])
def test_not_even_a_balanced_transfer_takes_what_is_held_or_not_there(
    session: sa.orm.Session, amount: int, guard: str
) -> None:
    forged = entries((ADA, -amount, 0, 0), (BELA, amount, 0, 0))
    assert refusal(session, TRANSFER.format(amount=amount, legs=2), forged) == guard


def test_the_legs_of_a_transfer_come_together(session: sa.orm.Session) -> None:
    halves = entries((ADA, -20, 0, 0)), entries((BELA, 20, 0, 0))
    assert refusal(session, TRANSFER.format(amount=20, legs=2), *halves) == "ledger_entries_balance"


def test_a_transfer_does_not_end_without_entries(session: sa.orm.Session) -> None:
    assert refusal(session, TRANSFER.format(amount=20, legs=2)) == "ledger_transfers_balance"


def test_nothing_is_added_to_an_earlier_transfer(session: sa.orm.Session) -> None:
    earlier = "(SELECT id FROM ledger_transfers WHERE amount = 10)"
    late = entries((Account(Kind.WALLET, 1), -10, 0, 0), (MINT, 10, 0, 0), transfer=earlier)
    assert refusal(session, late) in ("ledger_entries_balance", "uq_ledger_entries_transfer_id_account_id")


def test_entries_belong_to_a_transfer(session: sa.orm.Session) -> None:
    orphan = entries((ADA, -10, 0, 0), (BELA, 10, 0, 0), transfer="987654321")
    assert refusal(session, orphan) == "ledger_entries_balance"


def test_entries_belong_to_an_account(session: sa.orm.Session) -> None:
    nobody = " UNION ALL SELECT 987654321, 1, 1000000, 20, 20, now()"
    assert refusal(session, TRANSFER.format(amount=20, legs=2), entries((ADA, -20, 0, 0)) + nobody) == (
        "ledger_entries_post"
    )


SEVERAL = "INSERT INTO ledger_entries (account_id, seq, transfer_id, amount, balance_after, created_at) VALUES "


def several(*changes: tuple[Account, int, int, int]) -> list[str]:
    """SQL for transfers of 1 from the mint, each to one account, whose entries come in one statement, the last first.

    Changes: an account, which of its entries (from 0), and by how much its place and its balance are out of line.
    """
    out = {(account, number): (place, balance) for account, number, place, balance in changes}
    made, rows, moved = [], [], dict.fromkeys((MINT, ADA, BELA), 0)
    for number, account in enumerate((ADA, ADA, BELA, ADA)):
        made.append(TRANSFER.format(amount=1, legs=2).replace("1000000, 'forged'", f"{1000000 + number}, 'f{number}'"))
        for one, amount in ((MINT, -1), (account, 1)):
            place, balance = out.get((one, moved[one]), (0, 0))
            moved[one] += 1
            where = f"FROM ledger_accounts WHERE kind = '{one.kind}' AND owner_id = {one.owner_id or 0}"
            rows.append(
                f"((SELECT id {where}), (SELECT entries + {moved[one] + place} {where}), {1000000 + number}, {amount},"
                f" (SELECT balance + {amount * moved[one] + balance} {where}), now())"
            )
    return [*made, SEVERAL + ", ".join(reversed(rows))]


def test_one_statement_may_add_entries_of_several_transfers_and_several_of_one_account(
    session: sa.orm.Session,
) -> None:
    before = has(MINT), has(ADA), has(BELA)
    for statement in several():
        session.execute(sa.text(statement))
    assert (has(MINT), has(ADA), has(BELA)) == (before[0] - 4, before[1] + 3, before[2] + 1)
    prove()


@pytest.mark.parametrize("place, balance", [(0, 1), (0, -1), (9, 0)])
@pytest.mark.parametrize(
    ("account", "number"), [(MINT, 0), (MINT, 1), (MINT, 3), (ADA, 0), (ADA, 2), (BELA, 0)], ids=str
)
def test_each_of_them_continues_the_one_before_it(
    session: sa.orm.Session, account: Account, number: int, place: int, balance: int
) -> None:
    assert refusal(session, *several((account, number, place, balance))) == "ledger_entries_post"


@pytest.mark.parametrize("sizes", [(2, 400, 2), (400, 2, 400)])
def test_what_posts_two_entries_posts_hundreds_in_the_same_session(sizes: tuple[int, ...]) -> None:
    for size in sizes:
        wallets = [wallet(1000 + number) for number in range(size)]
        moves = [Move(MINT, one, Minor(3)) for one in wallets]
        before = has(wallets[-1])
        service.transfer(new_key(), moves, fingerprint="many", reference="test")
        assert has(wallets[-1]) == before + 3
        prove()


def test_no_trigger_of_somebody_else_gives_an_account_away(session: sa.orm.Session) -> None:
    session.execute(sa.text(
        """CREATE FUNCTION give_away() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN UPDATE ledger_accounts SET owner_id = 99 WHERE owner_id = 1; RETURN NULL; END $$;
           CREATE TRIGGER give_away AFTER UPDATE ON users FOR EACH STATEMENT EXECUTE FUNCTION give_away()"""
    ))  # fmt: skip
    assert refusal(session, "UPDATE users SET name = 'Ada'") == "ledger_accounts_no_renaming"


@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        ("UPDATE ledger_holds SET amount = 1 WHERE state = 'open'", "ledger_holds_close_once"),
        ("UPDATE ledger_holds SET reason = 'other'", "ledger_holds_close_once"),
        ("UPDATE ledger_holds SET until = now() WHERE state = 'open'", "ledger_holds_close_once"),
        ("UPDATE ledger_holds SET state = 'open', closed_at = NULL WHERE state <> 'open'", "ledger_holds_close_once"),
        ("UPDATE ledger_holds SET state = 'released' WHERE state = 'captured'", "ledger_holds_close_once"),
        ("UPDATE ledger_holds SET state = 'released' WHERE state = 'open'", "ck_ledger_holds_closed"),
        ("UPDATE ledger_holds SET state = 'gone', closed_at = now() WHERE state = 'open'", "ck_ledger_holds_state"),
        ("DELETE FROM ledger_holds", "ledger_holds_no_removal"),
        ("TRUNCATE ledger_holds CASCADE", "ledger_holds_no_removal"),
        (
            "INSERT INTO ledger_holds (key, fingerprint, account_id, amount, reason, created_at)"
            " SELECT 'forged', '', id, 86, '', now() FROM ledger_accounts WHERE owner_id = 1",
            "ck_ledger_accounts_held",
        ),
        (
            "INSERT INTO ledger_holds (key, fingerprint, account_id, amount, reason, created_at)"
            " SELECT 'forged', '', id, 1, '', now() FROM ledger_accounts WHERE kind = 'mint'",
            "ck_ledger_accounts_held",
        ),
        (
            "INSERT INTO ledger_holds (key, fingerprint, account_id, amount, reason, created_at, state, closed_at)"
            " SELECT 'forged', '', id, 1, '', now(), 'captured', now() FROM ledger_accounts WHERE owner_id = 1",
            "ledger_holds_begin_open",
        ),
    ],
)
def test_a_hold_only_ever_ends(session: sa.orm.Session, statement: str, guard: str) -> None:
    assert refusal(session, statement) == guard


def test_a_replica_s_session_erases_nothing_either(session: sa.orm.Session) -> None:
    role = "SET LOCAL session_replication_role = replica"
    assert refusal(session, role, "DELETE FROM ledger_entries") == "ledger_entries_no_change"


def test_the_doctor_knows_every_guard(session: sa.orm.Session) -> None:
    there = session.scalars(
        sa.text("SELECT tgname FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'ledger_%' AND NOT tgisinternal")
    )
    assert set(there) == set(checks.GUARDS)
