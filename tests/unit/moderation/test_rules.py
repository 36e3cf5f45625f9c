from __future__ import annotations

import pytest

from popoff.moderation import rules


@pytest.mark.parametrize(("reporters", "hidden"), [(0, False), (2, False), (3, True), (4, True)])
def test_enough_distinct_people_hide_a_post(reporters: int, hidden: bool) -> None:
    assert rules.hides(reporters, threshold=3) is hidden
