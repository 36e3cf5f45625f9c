"""The scan: what it flags, that it flags once, and that it changes nothing of the log."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.audit import service as audit
from popoff.audit.models import EntryRow
from popoff.audit.rules import public_id as entry_id_at
from popoff.integrity import facts, queries, rules, service
from popoff.integrity.models import Flag
from popoff.integrity.rules import FlagState, GiftFacts
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Forbidden, NotFound
from popoff.kernel.money import Minor
from popoff.media.models import Post
from popoff.rewards import holds, topups
from popoff.rewards.models import Gift
from tests.support import rewards
from tests.support.rewards import person, post_of

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def post(ada: User) -> Post:
    return post_of(ada)


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return grown_up(person("eve", money=10_000_000))


@pytest.fixture
def judge_person(session: sa.orm.Session) -> User:
    return person("pat")


def grown_up(user: User) -> User:
    """Not a young account at NOON."""
    db.session.execute(sa.update(User).where(User.id == user.id).values(created_at=NOON - timedelta(days=400)))
    return user


def give(giver: User, post: Post, cents: int, hours: float = 0) -> Gift:
    """A gift so many hours after NOON."""
    return rewards.give(giver, post, cents, at=NOON + timedelta(hours=hours))


def scan(hours: float = 1, **more: object) -> service.ScanResult:
    with clock.at(NOON + timedelta(hours=hours)):
        return service.scan(by=None, **more)  # type: ignore[arg-type]


def found(result: service.ScanResult) -> dict[str, list[str]]:
    """The rules that each flagged gift breaks."""
    return {one.entry.subject: sorted(flag.rule for flag in one.flags) for one in result.flagged}


def log_rows() -> list[tuple[object, ...]]:
    rows = db.session.execute(sa.select(EntryRow.__table__).order_by(EntryRow.id))
    return [(*row[:-1], str(row[-1])) for row in rows]


def test_plain_gifts_are_counted_and_left_alone(eve: User, post: Post) -> None:
    give(eve, post, 500)
    result = scan()
    assert (result.count, result.anomalies_detected, result.raised) == (1, 0, 0)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Flag)) == 0


def test_gifts_to_one_creator_again_and_again_are_flagged(eve: User, post: Post) -> None:
    given = [give(eve, post, 100, minutes / 60) for minutes in range(11)]
    assert found(scan()) == {gift.public_id: ["repeat_gifting"] for gift in given[9:]}


def test_an_hour_later_the_count_starts_anew(eve: User, post: Post) -> None:
    for quarters in range(20):
        give(eve, post, 100, quarters / 4)
    assert found(scan(6)) == {}


def test_many_gifts_in_an_hour_are_flagged_whoever_gets_them(eve: User) -> None:
    posts = [post_of(person(f"creator{number}")) for number in range(30)]
    given = [give(eve, one, 100, number / 60) for number, one in enumerate(posts)]
    assert found(scan()) == {given[-1].public_id: ["velocity"]}


def test_an_amount_far_above_ones_own_past_is_flagged(eve: User, post: Post) -> None:
    for days in range(5):
        give(eve, post, 500, -24 * (days + 2))
    large = give(eve, post, 50_000)
    assert found(scan()) == {large.public_id: ["unusual_amount"]}


def test_giving_back_and_forth_is_flagged(eve: User, ada: User, post: Post) -> None:
    theirs = post_of(eve)
    rewards.ledger.grant(grown_up(ada).id, 100_000)
    forth = give(eve, post, 5_000, -3)
    back = give(ada, theirs, 4_000, -1)
    assert found(scan()) == {gift.public_id: ["reciprocity"] for gift in (forth, back)}


def test_days_just_under_the_limit_are_flagged(eve: User, post: Post) -> None:
    other = post_of(person("bob"))
    given = [give(eve, one, 95_000, hours - 24 * days) for days in (2, 1, 0) for hours, one in ((-1, post), (0, other))]
    assert found(scan()) == {given[-1].public_id: ["structuring"]}


def test_grants_of_many_that_go_straight_to_one_creator_are_flagged(post: Post) -> None:
    givers = [grown_up(person(f"giver{number}")) for number in range(6)]
    for giver in givers:
        with clock.at(NOON - timedelta(hours=5)):
            topups.grant(giver.id, Minor(2_000), by=None, reason="for the contest")
    four = [give(giver, post, 1_600) for giver in givers[:4]]
    assert found(scan()) == {}
    little, fifth = give(givers[4], post, 100), give(givers[5], post, 2_000)
    assert found(scan()) == {gift.public_id: ["drain_after_grant"] for gift in (*four, fifth)}
    assert little.public_id not in found(scan())


def test_many_young_accounts_that_give_to_one_creator_are_flagged(eve: User, post: Post) -> None:
    givers = [person(f"giver{number}", money=10_000) for number in range(5)]
    joined = sa.update(User).where(User.id.in_([giver.id for giver in givers]))
    db.session.execute(joined.values(created_at=NOON - timedelta(hours=3)))
    give(eve, post, 2_000)
    given = [give(giver, post, 2_000) for giver in givers]
    result = scan()
    assert found(result) == {gift.public_id: ["young_accounts"] for gift in given}
    reason = result.flagged[0].flags[0].reason
    assert reason == "5 accounts younger than a day gave this creator 100.00 together."


def test_a_scan_adds_entries_and_changes_none(eve: User, post: Post) -> None:
    for minutes in range(10):
        give(eve, post, 100, minutes / 60)
    before = log_rows()
    (flagged,) = scan().flagged
    after = log_rows()
    assert after[: len(before)] == before
    flag, scanned = db.session.scalars(sa.select(EntryRow).order_by(EntryRow.id.desc()).limit(2)).all()[::-1]
    assert (flag.action, flag.subject, flag.actor) == ("audit.flag", flagged.entry.id, None)
    assert flag.data == {"reason": "repeat_gifting"}
    assert (scanned.action, scanned.data) == ("integrity.scan", {"count": 10, "anomalies": 1, "raised": 1})


def test_scanning_again_finds_it_again_and_flags_nothing_new(eve: User, post: Post) -> None:
    for minutes in range(10):
        give(eve, post, 100, minutes / 60)
    first, second = scan(), scan()
    assert (first.raised, second.raised) == (1, 0)
    assert found(first) == found(second)


def test_what_was_cleared_stays_cleared(eve: User, post: Post, judge_person: User) -> None:
    for minutes in range(10):
        give(eve, post, 100, minutes / 60)
    (flag,) = scan().flagged[0].flags
    service.decide(flag.public_id, FlagState.CLEARED, by=judge_person.id, reason="a fan")
    assert scan().raised == 0
    assert queries.flagged_gifts() == set()


def test_gifts_of_last_month_are_context_only(eve: User, post: Post) -> None:
    for minutes in range(11):
        give(eve, post, 100, minutes / 60 - 24 * 8)
    give(eve, post, 100)
    assert scan().count == 1


def test_the_recurring_scan_goes_on_where_the_last_one_was(eve: User, post: Post) -> None:
    give(eve, post, 100, -24)
    with clock.at(NOON):
        assert service.scan_new().count == 1
    give(eve, post, 100, 1)
    with clock.at(NOON + timedelta(hours=2)):
        assert service.scan_new().count == 1


def test_a_recurring_scan_of_nothing_leaves_no_entry(session: sa.orm.Session) -> None:
    assert service.scan_new().count == 0
    assert log_rows() == []


def test_a_model_can_judge_instead(eve: User, post: Post) -> None:
    gift = give(eve, post, 777)

    def model(facts: GiftFacts, _limit: Minor) -> list[rules.Finding]:
        return [rules.Finding("model", f"It is odd: {facts.amount}.")]

    assert found(scan(judge=model)) == {gift.public_id: ["model"]}


def test_flagged_gifts_are_kept_out_of_payouts(eve: User, ada: User, post: Post, judge_person: User) -> None:
    gifts = [give(eve, post, 100, minutes / 60) for minutes in range(11)]
    flags = {one.entry.subject: one.flags[0].public_id for one in scan().flagged}
    assert set(holds.flagged()) == {gifts[9].id, gifts[10].id}
    service.decide(flags[gifts[9].public_id], FlagState.CLEARED, by=judge_person.id, reason="fine")
    service.decide(flags[gifts[10].public_id], FlagState.CONFIRMED, by=judge_person.id, reason="not fine")
    assert set(holds.flagged()) == {gifts[10].id}
    assert queries.flagged_gifts([gifts[9].public_id]) == set()


def test_giver_and_creator_decide_nothing_about_their_gift(eve: User, ada: User, post: Post) -> None:
    for minutes in range(10):
        give(eve, post, 100, minutes / 60)
    (flag,) = scan().flagged[0].flags
    for party in (eve, ada):
        with pytest.raises(Forbidden) as refused:
            service.decide(flag.public_id, FlagState.CLEARED, by=party.id, reason="it is mine")
        assert refused.value.error_code == "own_matter"


def test_a_decision_is_an_entry_and_a_row_and_not_made_twice(eve: User, post: Post, judge_person: User) -> None:
    gift = give(eve, post, 100)
    entry_id = queries.gift_entry(gift.public_id)
    assert entry_id is not None
    flag = service.flag(entry_id, by=judge_person.id, reason="odd", description="very odd")
    decided = service.decide(flag.public_id, FlagState.CONFIRMED, by=judge_person.id, reason="it is")
    assert (decided.state, [one.reason for one in decided.decisions]) == (FlagState.CONFIRMED, ["it is"])
    entry = db.session.scalars(sa.select(EntryRow).order_by(EntryRow.id.desc()).limit(1)).one()
    assert (entry.action, entry.actor) == ("integrity.flag_confirmed", audit.pseudonym(judge_person.id))
    with pytest.raises(Conflict):
        service.decide(flag.public_id, FlagState.CONFIRMED, by=judge_person.id, reason="again")
    with pytest.raises(NotFound):
        service.decide("0" * 24, FlagState.CONFIRMED, by=judge_person.id, reason="none")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE integrity_flags SET reason = 'nothing'",
        "UPDATE integrity_flags SET state = 'open'",
        "DELETE FROM integrity_flags",
        "TRUNCATE integrity_flags CASCADE",
        "UPDATE integrity_decisions SET reason = 'nothing'",
        "DELETE FROM integrity_decisions",
    ],
)
def test_the_database_keeps_flags_and_decisions(eve: User, post: Post, judge_person: User, statement: str) -> None:
    entry_id = queries.gift_entry(give(eve, post, 100).public_id) or ""
    flag = service.flag(entry_id, by=judge_person.id, reason="odd")
    service.decide(flag.public_id, FlagState.CLEARED, by=judge_person.id, reason="not odd")
    with pytest.raises(sa.exc.DBAPIError), db.session.begin_nested():
        db.session.execute(sa.text(statement))


def test_the_facts_are_those_of_the_moment_of_each_gift(eve: User, ada: User, post: Post) -> None:
    give(eve, post, 100, -30)
    give(eve, post, 300, -0.5)
    last = give(eve, post, 700)
    first_of_scan = next(facts.of_gifts(NOON - timedelta(hours=1), NOON + timedelta(hours=1)))
    assert first_of_scan == GiftFacts(
        entry_id=first_of_scan.entry_id,
        gift_id=last.public_id,
        amount=700,
        hour_count=2,
        hour_to_creator=2,
        day_count=2,
        day_total=1000,
        day_to_creator=1000,
        past_count=1,
        past_mean=100.0,
        past_max=100,
        forth=1100,
    )


def test_a_scan_of_many_gifts_does_not_compare_each_with_each(session: sa.orm.Session) -> None:
    db.session.execute(
        sa.text("""
            INSERT INTO audit_entries (public_id, time, action, actor, subject, amount, data)
            SELECT :prefix || upper(lpad(to_hex(number), 16, '0')), CAST(:noon AS timestamptz), 'send_gift',
                   md5((number % 2000)::text), substr(md5(number::text), 1, 24), 100 + number % 900,
                   json_build_object('creator', md5('c' || number % 200))
              FROM generate_series(1, 20000) AS number
        """),
        {"prefix": entry_id_at(NOON, bytes(10))[:10], "noon": NOON},
    )
    started = time.monotonic()
    assert sum(1 for _ in facts.of_gifts(NOON - timedelta(hours=1), NOON + timedelta(hours=1))) == 20_000
    assert time.monotonic() - started < 30  # each with each: many minutes


def test_ids_of_entries_sort_by_time() -> None:
    moments = [NOON + timedelta(milliseconds=step) for step in (-10_000_000, -1, 0, 1, 10_000_000)]
    ids = [entry_id_at(moment, bytes(10)) for moment in moments]
    assert ids == sorted(ids)
