"""Giving: what a gift needs, what it moves, what is written down."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

import config
from popoff.accounts.models import User
from popoff.audit import service as audit
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import LONGEST_REMEMBERED, db
from popoff.kernel.errors import Conflict, DomainError, Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.ledger.rules import Account, InsufficientFunds, Kind
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.rewards import gifts, periods, queries, rules
from popoff.rewards.models import Gift
from popoff.social import service as social
from tests.support.ledger import has, wallet
from tests.support.rewards import INSIDE, content_id, give, person, post_of, public_id


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def post(ada: User) -> Post:
    return post_of(ada)


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return person("eve", money=500_000)


def escrow(user: User) -> int:
    return has(Account(Kind.GIFTS, user.id))


def actions(subject: str | None = None) -> list[str]:
    statement = sa.select(EntryRow.action).order_by(EntryRow.id)
    return list(db.session.scalars(statement if subject is None else statement.where(EntryRow.subject == subject)))


def refused(expected: str) -> pytest.RaisesExc[DomainError]:
    return pytest.RaisesExc(DomainError, check=lambda error: error.error_code == expected)


def test_a_gift_leaves_the_givers_wallet_and_waits_for_the_creator(eve: User, ada: User, post: Post) -> None:
    gift = give(eve, post, 1250)
    assert (has(wallet(eve.id)), escrow(ada), has(wallet(ada.id))) == (498_750, 1250, 0)
    entry = db.session.scalars(sa.select(EntryRow).where(EntryRow.subject == gift.public_id)).one()
    assert (entry.action, entry.amount, entry.actor) == ("send_gift", 1250, audit.pseudonym(eve.id))


@pytest.mark.parametrize("amount", [0, -1, -500, 12.5, float("nan"), float("inf"), True, "12", 10**18, None])
def test_only_whole_cents_above_zero_are_given(eve: User, post: Post, amount: object) -> None:
    with pytest.raises(Invalid):
        gifts.give(eve.id, uuid.uuid4(), content_id(post), amount)  # type: ignore[arg-type]
    assert not actions()


def test_nobody_gives_more_than_they_have(post: Post) -> None:
    poor = person("poor", money=100)
    with pytest.raises(InsufficientFunds):
        give(poor, post, 101)
    assert has(wallet(poor.id)) == 100 and "send_gift" not in actions()
    give(poor, post, 100)


def test_a_gift_to_oneself_is_refused_and_recorded(ada: User, post: Post) -> None:
    with pytest.raises(gifts.SelfGift) as refusal:
        give(ada, post, 500)
    assert refusal.value.keeps_changes
    entry = db.session.scalars(sa.select(EntryRow)).one()
    assert (entry.action, entry.amount, entry.actor) == ("suspicious_gifting", 500, audit.pseudonym(ada.id))


def test_naming_somebody_else_does_not_make_ones_own_post_a_strangers(ada: User, eve: User, post: Post) -> None:
    with pytest.raises(gifts.SelfGift):
        give(ada, post, 500, creator=eve)
    assert actions()[-1:] == ["suspicious_gifting"]


def test_the_post_must_be_the_creators(eve: User, post: Post) -> None:
    with refused("creator_mismatch"):
        give(eve, post, 500, creator=person("bela"))


def test_unknown_ids_are_not_found(eve: User, ada: User, post: Post) -> None:
    with refused("post_not_found"):
        gifts.give(eve.id, public_id(ada), uuid.uuid4(), Minor(100))
    with refused("user_not_found"):
        gifts.give(eve.id, uuid.uuid4(), content_id(post), Minor(100))


@pytest.mark.parametrize("blocker", ["ada", "eve"])
def test_a_block_hides_the_post_from_gifts_both_ways(ada: User, eve: User, post: Post, blocker: str) -> None:
    one, other = (ada, eve) if blocker == "ada" else (eve, ada)
    social.block(one.id, other.username)
    with refused("post_not_found"):
        give(eve, post, 100)


@pytest.mark.parametrize("visibility", [Visibility.HIDDEN, Visibility.REMOVED])
def test_a_post_that_is_not_shown_takes_no_gifts(eve: User, post: Post, visibility: Visibility) -> None:
    media.set_visibility(post.id, visibility)
    with refused("post_not_found"):
        give(eve, post, 100)


def test_the_same_key_is_the_same_gift_whatever_has_changed_since(eve: User, ada: User, post: Post) -> None:
    first = give(eve, post, 700, key="k1")
    media.set_visibility(post.id, Visibility.REMOVED)
    with config.override(daily_gift_limit=700):
        assert give(eve, post, 700, key="k1").id == first.id
    assert escrow(ada) == 700
    assert actions(first.public_id) == ["send_gift"]


def test_a_key_stands_for_one_request(eve: User, post: Post) -> None:
    give(eve, post, 700, key="k1")
    with pytest.raises(Conflict) as refusal:
        give(eve, post, 701, key="k1")
    assert refusal.value.error_code == "idempotency_conflict"


def test_the_keys_of_two_people_are_two_keys(eve: User, post: Post) -> None:
    other = person("farid", money=1000)
    assert give(eve, post, 700, key="k1").id != give(other, post, 700, key="k1").id


def test_up_to_the_daily_limit_and_not_a_cent_more(eve: User, post: Post) -> None:
    give(eve, post, 199_999)
    with refused("daily_limit_exceeded"):
        give(eve, post, 2)
    give(eve, post, 1)
    with refused("daily_limit_exceeded"):
        give(eve, post, 1)
    give(eve, post, 200_000, at=INSIDE + timedelta(days=1))


def test_a_gift_taken_back_makes_no_room_under_the_limit(eve: User, post: Post) -> None:
    gift = give(eve, post, 200_000)
    gifts.reverse(gift.public_id, by=None, reason="a mistake")
    with refused("daily_limit_exceeded"):
        give(eve, post, 1)


def test_the_day_is_utc(eve: User, post: Post) -> None:
    midnight = INSIDE.replace(hour=0)
    give(eve, post, 200_000, at=midnight - timedelta(seconds=1))
    give(eve, post, 200_000, at=midnight)


def test_a_second_gift_on_a_post_within_the_hour_is_noted(eve: User, ada: User, post: Post) -> None:
    first, second = give(eve, post, 100), give(eve, post, 100, at=INSIDE + timedelta(minutes=59))
    elsewhere = give(eve, post_of(ada), 100, at=INSIDE + timedelta(minutes=59))
    later = give(eve, post, 100, at=INSIDE + timedelta(minutes=119))
    assert actions(first.public_id) == actions(elsewhere.public_id) == actions(later.public_id) == ["send_gift"]
    assert actions(second.public_id) == ["send_gift", "potential_gaming"]


def test_a_gift_can_be_taken_back_once(eve: User, ada: User, post: Post) -> None:
    gift = give(eve, post, 900)
    assert gifts.reverse(gift.public_id, by=None, reason="stolen card").owed == 0
    assert (has(wallet(eve.id)), escrow(ada)) == (500_000, 0)
    assert queries.gift(gift.public_id).status == "REVERSED"
    with refused("already_reversed"):
        gifts.reverse(gift.public_id, by=None, reason="again")
    with pytest.raises(NotFound):
        gifts.reverse("nothing", by=None, reason="what")


def test_the_log_names_nobody_and_counts_nothing(eve: User, ada: User, post: Post) -> None:
    give(eve, post, 100)
    (entry,) = db.session.scalars(sa.select(EntryRow))
    assert entry.data == {"creator": audit.pseudonym(ada.id)}


def test_lists_show_both_sides_in_pages(eve: User, ada: User, post: Post) -> None:
    made = [give(eve, post, 100 + number, at=INSIDE + timedelta(minutes=number)).public_id for number in range(5)]
    cursor, seen = None, []
    for _ in range(3):
        page = queries.sent(eve.id, cursor, limit=2)
        seen += [gift.public_id for gift in page.gifts]
        cursor = page.next_cursor
    assert seen == made[::-1] and cursor is None
    received = queries.received(ada.id).gifts
    assert [gift.public_id for gift in received] == made[::-1]
    assert received[0].giver_ref == public_id(eve) and received[0].content_ref == content_id(post)
    assert queries.sent(ada.id).gifts == queries.received(eve.id).gifts == []


def test_a_cursor_of_somebody_else_is_no_cursor(eve: User, ada: User, post: Post) -> None:
    gift = give(eve, post, 100)
    for whose, cursor in itertools.product((ada, eve), ("nonsense", "")):
        with refused("invalid_cursor"):
            queries.sent(whose.id, cursor)
    with refused("invalid_cursor"):
        queries.sent(ada.id, gift.public_id)


@pytest.mark.parametrize("statement", ["UPDATE gifts SET amount = 1", "DELETE FROM gifts", "TRUNCATE gifts CASCADE"])
def test_the_database_lets_nobody_change_a_gift(eve: User, post: Post, statement: str) -> None:
    give(eve, post, 100)
    with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
        db.session.execute(sa.text(statement))


def test_the_database_knows_no_gift_to_oneself(eve: User, post: Post) -> None:
    gift = give(eve, post, 100)
    again = {name: getattr(gift, name) for name in ("id", "giver_id", "post_id", "amount", "created_at")}
    with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
        db.session.execute(sa.insert(Gift).values(**again, public_id="x", creator_id=eve.id))


def test_a_gift_made_by_a_slow_clock_is_not_in_a_closed_period(eve: User, post: Post) -> None:
    from tests.support.rewards import END, close

    close()
    assert give(eve, post, 100, at=INSIDE).created_at == END
    assert clock.now() > END


def test_a_gift_that_nothing_speaks_against_is_one_statement_which_the_driver_remembers(eve: User, post: Post) -> None:
    give(eve, post, 100)
    refs = public_id(db.session.get_one(User, post.user_id)), content_id(post)
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        with clock.at(clock.now() + 2 * rules.REPEAT_WINDOW):
            gifts.give(eve.id, *refs, Minor(100))
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    assert len(sent) == 1
    assert len(sent[0]) <= LONGEST_REMEMBERED


def test_a_gift_lies_after_what_was_closed_whatever_its_writer_says(eve: User, post: Post) -> None:
    end = clock.to_milliseconds(clock.now())
    period = periods.close(end - timedelta(days=1), end, by=None)
    with clock.at(end - timedelta(hours=1)):
        late = give(eve, post, 100)
    assert late.created_at == db.session.get_one(Gift, late.id).created_at == period.ends_at
