from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from popoff.kernel import clock

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_time_can_stand_still_and_goes_on_afterwards() -> None:
    with clock.at(NOON):
        assert clock.now() == NOON
        assert clock.timestamp() == NOON.timestamp()
    assert clock.now() > NOON


def test_journeys_add_up() -> None:
    before = clock.now()
    with clock.shifted(timedelta(days=1)), clock.shifted(timedelta(hours=-1)):
        assert timedelta(hours=22, minutes=59) < clock.now() - before < timedelta(hours=23, minutes=1)
    assert clock.now() - before < timedelta(minutes=1)


def test_moments_are_written_in_utc_to_the_millisecond() -> None:
    assert clock.rfc3339(NOON) == "2026-01-31T12:00:00.000Z"
    assert clock.rfc3339(NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-01-31T12:00:00.000Z"
