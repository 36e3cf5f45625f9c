"""Writing to the log: entries, their canonical form, pages, flags, proofs, checkpoints."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import config
from popoff.audit import inspection, keys, queries, rules, service
from popoff.audit.export import export
from popoff.audit.models import CheckpointRow, EntryRow
from popoff.audit.verify import GENESIS, leaf_hash, open_checkpoint, verify_consistency, verify_export, verify_inclusion
from popoff.kernel import clock
from popoff.kernel.canonical import JSON, MAX_INTEGER
from popoff.kernel.errors import Invalid, NotFound
from popoff.kernel.money import Minor
from tests.integration.audit.conftest import chain_all, record

words = st.text("ABCxyz019_.:/+=-", max_size=20)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
data = st.dictionaries(
    names,
    st.recursive(
        st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@given(
    action=st.from_regex(r"[a-z][a-z0-9_]{0,9}(\.[a-z0-9_]{1,9}){0,2}", fullmatch=True),
    actor=st.none() | st.integers(1, 2**62),
    subject=words,
    amount=st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER),
    values=data,
    at=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_database_writes_the_same_canonical_form_as_we_do(
    session: sa.orm.Session,
    action: str,
    actor: int | None,
    subject: str,
    amount: int | None,
    values: dict[str, JSON],
    at: datetime,
) -> None:
    with clock.at(at):
        entry = service.record(
            action, actor=actor, subject=subject, amount=None if amount is None else Minor(amount), data=values
        )
    stored = session.scalars(sa.select(queries.canonical_text).where(EntryRow.public_id == entry.id)).one()
    assert stored.encode() == rules.canonical_entry(entry) == rules.canonical_entry(queries.by_id(entry.id))


def test_an_entry_belongs_to_the_transaction_of_its_cause(session: sa.orm.Session) -> None:
    with pytest.raises(ZeroDivisionError), session.begin_nested():
        record(1)
        raise ZeroDivisionError
    assert chain_all() == 0
    assert queries.page() == ([], None)


def test_an_entry_has_no_place_until_it_is_chained(session: sa.orm.Session) -> None:
    ids = [record(number) for number in range(3)]
    assert (queries.by_id(ids[0]).seq, service.waiting()) == (None, 3)
    assert service.chain_committed(limit=2) == 2
    assert chain_all() == 1
    first, second, third = (queries.by_id(entry_id) for entry_id in ids)
    assert (first.seq, second.seq, third.seq, service.waiting()) == (0, 1, 2, 0)
    assert first.prev_hash == GENESIS
    assert third.prev_hash == second.hash == leaf_hash((first.hash or b"") + rules.canonical_entry(second))


def test_people_are_in_the_log_under_pseudonyms(session: sa.orm.Session) -> None:
    entry = service.record("user.signed_in", actor=4711)
    assert entry.actor == service.pseudonym(4711) != service.pseudonym(4712)
    row = session.execute(sa.text("SELECT audit_entries::text FROM audit_entries")).scalar_one()
    assert "4711" not in row.replace(entry.id, "").replace(str(entry.actor), "")
    with config.override(audit_pseudonym_key="ab" * 32):
        assert service.pseudonym(4711) != entry.actor
        assert queries.page(actor=4711) == ([], None)


@pytest.mark.parametrize(
    "wrong",
    [{"action": "Gift"}, {"subject": "ada@people.example"}, {"data": {"name": "Ada L"}}, {"data": {"amount": 1.5}}],
)
def test_what_may_name_a_person_is_refused(session: sa.orm.Session, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        service.record(**{"action": "gift.sent", "actor": None, **wrong})  # type: ignore[arg-type]


FILTERS: list[tuple[dict[str, object], Callable[[int], bool]]] = [
    ({}, lambda number: True),
    ({"action": "scan.done"}, lambda number: number % 4 == 0),
    ({"action": "gift."}, lambda number: number % 4 != 0),
    ({"action": "gift"}, lambda number: False),
    ({"actor": 3}, lambda number: number % 7 == 3),
    ({"subject": "gift:17"}, lambda number: number == 17),
    ({"subject": ""}, lambda number: False),
    ({"since": datetime(2026, 1, 1, 0, 10, tzinfo=UTC)}, lambda number: number >= 10),
    ({"until": datetime(2026, 1, 1, 0, 10, tzinfo=UTC)}, lambda number: number < 10),
    ({"action": "gift.sent", "actor": 3}, lambda number: number % 4 != 0 and number % 7 == 3),
]


@pytest.mark.parametrize(("filters", "fits"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_pages_hold_what_was_asked_for_the_newest_first(
    session: sa.orm.Session, filters: dict[str, object], fits: Callable[[int], bool]
) -> None:
    for number in range(40):
        with clock.at(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)):
            record(number)
    found, cursor = [], None
    for _ in range(100):
        page, cursor = queries.page(**filters, cursor=cursor, limit=7)  # type: ignore[arg-type]
        assert len(page) == 7 or cursor is None
        found += [entry.data["post"] for entry in page]
        if cursor is None:
            break
    assert found == [number for number in range(39, -1, -1) if fits(number)]


def test_a_cursor_tells_nothing_and_cannot_be_made_up(session: sa.orm.Session) -> None:
    for number in range(3):
        record(number)
    with pytest.raises(Invalid):
        queries.page(cursor="WzFd")
    assert queries.page(cursor=queries.encode_cursor(["0" * 26])) == ([], None)


def test_an_unknown_entry_is_not_found(session: sa.orm.Session) -> None:
    with pytest.raises(NotFound) as caught:
        queries.by_id("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert caught.value.error_code == "entry_not_found"


SIZES = [1, 2, 255, 256, 257, 512, 700]


def test_proofs_hold_across_the_stored_tiles(session: sa.orm.Session) -> None:
    for number in range(700):
        record(number)
    chain_all()
    leaves = [row for (row,) in session.execute(sa.text("SELECT hash FROM audit_chain ORDER BY seq"))]
    for size in SIZES:
        root = queries.root(size)
        for index in {0, 1, size // 2, 255, 256, size - 1}:
            if index < size:
                proof = queries.inclusion_proof(index, size)
                assert (proof.leaf_hash, proof.root) == (leaves[index], root)
                assert verify_inclusion(leaves[index], index, size, proof.proof, root)
        for old in SIZES[: SIZES.index(size) + 1]:
            consistency = queries.consistency_proof(old, size)
            assert (consistency.old_root, consistency.new_root) == (queries.root(old), root)
            assert verify_consistency(old, size, queries.root(old), root, consistency.proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, 4), (0, 10**18)])
def test_a_proof_about_entries_that_are_not_there_is_refused(session: sa.orm.Session, index: int, size: int) -> None:
    for number in range(3):
        record(number)
    chain_all()
    for call in (queries.inclusion_proof, lambda old, new: queries.consistency_proof(old + 1, new)):
        with pytest.raises(Invalid) as caught:
            call(index, size)
        assert caught.value.error_code == "invalid_range"


def test_upper_levels_of_tiles_are_made_as_they_fill(session: sa.orm.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tiles of 4 leaves instead of 256 the third level is near."""
    monkeypatch.setattr(service, "TILE", 4)
    for number in range(70):
        record(number)
    while service.chain_committed(limit=9):
        pass
    counts = session.execute(sa.text("SELECT level, count(*) FROM audit_tiles GROUP BY level ORDER BY level")).all()
    assert [tuple(row) for row in counts] == [(1, 17), (2, 4), (3, 1)]


def test_a_checkpoint_is_made_once_and_continues_the_last_one(session: sa.orm.Session) -> None:
    empty = service.checkpoint()
    assert (empty.size, queries.latest_checkpoint()) == (0, empty)
    record(1)
    assert service.checkpoint() == empty, "nothing is signed that is not in the chain"
    chain_all()
    made = service.checkpoint()
    assert service.checkpoint() == made == queries.latest_checkpoint() == queries.checkpoint_at(1)
    assert open_checkpoint(made.note, keys.signer().key) == (1, made.root)
    assert session.scalar(sa.select(sa.func.count()).select_from(CheckpointRow)) == 2
    with pytest.raises(NotFound):
        queries.checkpoint_at(7)


def test_a_new_key_signs_a_checkpoint_of_its_own(session: sa.orm.Session) -> None:
    old = service.checkpoint()
    with config.override(audit_key="cd" * 32):
        assert "another key than ours" in inspection.inspect().problems[0]
        new = service.checkpoint()
        assert (new.size, new.root) == (old.size, old.root)
        assert new.key != old.key
        assert inspection.inspect().problems == []


def test_the_keys_are_made_once_and_kept_from_others(settings: config.Settings, tmp_path: Path) -> None:
    with config.override(home=tmp_path):
        key, name = keys.signer().key, keys.pseudonym(1)
        keys._signer.cache_clear()
        keys._pseudonym_secret.cache_clear()
        assert (keys.signer().key, keys.pseudonym(1)) == (key, name)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "audit.key": 0o600,
        "audit.pseudonyms": 0o600,
    }


@pytest.mark.parametrize(
    ("setting", "use"), [("audit_key", keys.signer), ("audit_pseudonym_key", lambda: keys.pseudonym(1))]
)
def test_a_key_of_the_wrong_form_is_named(settings: config.Settings, setting: str, use: Callable[[], object]) -> None:
    with config.override(**{setting: "too short"}), pytest.raises(config.SettingError, match=setting.upper()):
        use()


@pytest.mark.parametrize("count", [0, 1, 300])
def test_an_export_is_what_the_verifier_proves(session: sa.orm.Session, count: int) -> None:
    for number in range(count):
        record(number)
    chain_all()
    made = service.checkpoint()
    record(9999)
    chain_all()
    whole = b"".join(export(made))
    report = verify_export(io.BytesIO(whole), keys.signer().key, made.note)
    assert (report.problems, report.entries, report.root) == ([], count, made.root)
    assert b'"post":9999' not in whole
