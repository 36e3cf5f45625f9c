"""A film is scored by what the pipeline measured of it."""

from __future__ import annotations

import pytest
from sqlalchemy import orm

from popoff.scoring import queries
from tests.support.outbox import run_due
from tests.support.people import People
from tests.support.wire import Wire, posted

pytestmark = pytest.mark.usefixtures("worker")


def test_a_ready_post_is_scored_by_what_was_measured(
    people: People, wire: Wire, tiny: bytes, session: orm.Session
) -> None:
    post_id = posted(people.ada, wire, tiny, description="Three chords on the guitar", tags="music,guitar")
    run_due()
    found = queries.overall([post_id])[post_id]
    assert found.reason is None and found.overall is not None and 0 < found.overall < 100
    quality = queries.quality(post_id)
    measured = quality.inputs
    assert min(measured["width"], measured["height"], measured["frame_rate"], measured["bits_per_second"]) > 0
    assert measured["duration_ms"] > 0
    assert f"{measured['width']} by {measured['height']} pixels" in quality.parts["audioVisual"].feedback


def test_what_is_no_film_is_not_scored_and_says_why(people: People, wire: Wire, session: orm.Session) -> None:
    post_id = posted(people.ada, wire, b"not a film", description="Look")
    run_due()
    quality = queries.quality(post_id)
    assert (quality.score, quality.reason) == (None, "the film could not be processed")
