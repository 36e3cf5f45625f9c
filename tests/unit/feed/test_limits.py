"""What creators read about what limits a post."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from popoff.feed.limits import Audience, State, limits
from popoff.media.rules import Stage, Visibility

FREE = State(
    stage=Stage.READY,
    failure=None,
    visibility=Visibility.PUBLIC,
    playable=True,
    elsewhere=False,
    indexed=True,
    has_words=True,
    suspended_until=None,
    leaving=False,
)
DONE = Audience(promised=30, given=30, owed=False)


def codes(audience: Audience = DONE, **change: object) -> list[str]:
    return [limit.code for limit in limits(replace(FREE, **change), audience)]  # type: ignore[arg-type]


def test_nothing_limits_a_post_that_had_its_first_audience() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("not_playable", {"stage": Stage.TRANSCODING, "playable": False}),
        ("failed", {"stage": Stage.FAILED, "failure": "no_video", "playable": False}),
        ("kept_elsewhere", {"playable": False, "elsewhere": True}),
        ("hidden", {"visibility": Visibility.HIDDEN}),
        ("removed", {"visibility": Visibility.REMOVED}),
        ("author_suspended", {"suspended_until": datetime(2027, 3, 1, tzinfo=UTC)}),
        ("author_leaving", {"leaving": True}),
        ("not_read", {"indexed": False, "has_words": False}),
        ("no_words", {"has_words": False}),
    ],
)
def test_each_limit_is_told_in_a_sentence(code: str, change: dict[str, object]) -> None:
    assert codes(**change) == [code]
    (limit,) = limits(replace(FREE, **change), DONE)  # type: ignore[arg-type]
    assert limit.sentence[0].isupper() and limit.sentence.endswith(".")


def test_a_post_that_can_be_shown_may_be_in_its_first_audience() -> None:
    (limit,) = limits(FREE, Audience(promised=30, given=7, owed=True))
    assert limit.code == "first_audience"
    assert "first 30 people" in limit.sentence and "7 have seen it" in limit.sentence
    assert codes(Audience(30, 0, owed=True), visibility=Visibility.HIDDEN) == ["hidden"]


def test_a_suspension_says_until_when() -> None:
    (limit,) = limits(replace(FREE, suspended_until=datetime(2027, 3, 1, tzinfo=UTC)), DONE)
    assert "1 March 2027" in limit.sentence


def test_a_post_that_failed_says_why() -> None:
    (limit,) = limits(replace(FREE, stage=Stage.FAILED, failure="empty_file", playable=False), DONE)
    assert "The file is empty." in limit.sentence


def test_every_state_is_told_with_the_gravest_first() -> None:
    grave = ["author_suspended", "author_leaving", "hidden", "removed", "kept_elsewhere", "failed", "not_playable"]
    order = [*grave, "first_audience", "not_read", "no_words"]
    for visibility, playable, elsewhere, leaving, owed in product(Visibility, *[(False, True)] * 4):
        change = {"visibility": visibility, "playable": playable, "elsewhere": elsewhere, "leaving": leaving}
        found = codes(Audience(30, 1, owed), has_words=False, **change)
        assert found == sorted(found, key=order.index)
