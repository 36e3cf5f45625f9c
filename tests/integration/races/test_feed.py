"""One person's feed asked for from many threads at the same moment."""

from __future__ import annotations

from tests.integration.races.conftest import Crowd
from tests.support.races import at_once

FEED = "/api/media/get_feed/"


def test_pages_that_are_asked_for_at_once_after_one_cursor_share_no_post(crowd: Crowd) -> None:
    for number in range(24):
        crowd.post_of(f"ada{number % 8}")
    cursor = crowd["eve"].get(f"{FEED}?batch_size=3").json["next_cursor"]
    ask = crowd.call(crowd["eve"], "get", f"{FEED}?batch_size=3&cursor={cursor}")
    assert at_once([ask] * 5) == [200] * 5
    shown = [row["post_id"] for row in crowd["eve"].get("/api/user/export/").json["impressions"]]
    assert len(shown) == len(set(shown)) == 3 + 5 * 3
