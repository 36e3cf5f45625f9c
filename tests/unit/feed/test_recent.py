"""What a person met last, packed into one value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.feed import recent
from popoff.feed.recent import Act


def test_a_post_met_again_keeps_its_place_and_adds_up() -> None:
    packed = recent.note(b"", 7, 100.0, watch_ms=3000, duration_ms=4000, acts=Act.NONE)
    packed = recent.note(packed, 8, 101.0, acts=Act.COMMENTED)
    packed = recent.note(packed, 7, 102.0, watch_ms=700, acts=Act.LIKED)
    first, second = recent.unpack(packed)
    assert (first["post_id"], first["at"], first["watch_ms"], second["post_id"]) == (7, 100.0, 3700, 8)
    assert recent.liked(first) and recent.to_the_end(first)
    assert not recent.liked(second) and not recent.to_the_end(second)


def test_a_like_taken_back_leaves_what_was_watched() -> None:
    packed = recent.note(b"", 7, 100.0, watch_ms=3000, duration_ms=3000, acts=Act.LIKED | Act.SHARED)
    (record,) = recent.unpack(recent.undo(packed, 7, Act.LIKED))
    assert (record["acts"], record["watch_ms"]) == (Act.SHARED, 3000)


@given(st.lists(st.integers(1, 10**12), max_size=150, unique=True))
def test_the_newest_are_kept_in_order(post_ids: list[int]) -> None:
    packed = b""
    for at, post_id in enumerate(post_ids):
        packed = recent.note(packed, post_id, float(at), acts=Act.NONE)
    assert recent.unpack(packed)["post_id"].tolist() == post_ids[-recent.KEPT :]


def test_rejected_posts_are_told_with_what_was_met_since() -> None:
    packed = b""
    for post_id, acts in ((1, Act.REJECTED), (2, Act.LIKED), (3, Act.REJECTED), (4, Act.NONE)):
        packed = recent.note(packed, post_id, float(post_id), acts=acts)
    assert list(recent.rejected(recent.unpack(packed)).items()) == [(3, 1), (1, 3)]
    assert recent.rejected(recent.unpack(b"")) == {}


def test_a_post_turned_down_now_is_the_latest_met_and_keeps_what_was_done_with_it() -> None:
    packed = b""
    for post_id in (1, 2, 3):
        packed = recent.note(packed, post_id, float(post_id), watch_ms=1000, acts=Act.LIKED)
    packed = recent.note(packed, 2, 9.0, acts=Act.REJECTED)
    records = recent.unpack(packed)
    assert records["post_id"].tolist() == [1, 3, 2]
    assert (records[-1]["at"], records[-1]["watch_ms"], records[-1]["acts"]) == (9.0, 1000, Act.LIKED | Act.REJECTED)
    assert recent.rejected(recent.unpack(recent.undo(packed, 2, Act.REJECTED))) == {}


def test_acts_are_told_by_name() -> None:
    assert Act.of(liked=True, commented=False, shared=True, rejected=False) == Act.LIKED | Act.SHARED


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(ValueError):
        recent.unpack(b"short")
