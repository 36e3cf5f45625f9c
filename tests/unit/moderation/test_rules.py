from __future__ import annotations

import pytest

from popoff.kernel.errors import Invalid
from popoff.moderation import rules


def test_a_reason_is_kept_without_what_surrounds_it() -> None:
    assert rules.check_reason("  Inappropriate content\n") == "Inappropriate content"


@pytest.mark.parametrize(("text", "code"), [("", "empty_reason"), (" \t", "empty_reason"), ("x" * 501, "too_long")])
def test_a_reason_says_something_and_comes_to_an_end(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_reason(text)
    assert refused.value.error_code == code


@pytest.mark.parametrize(("reporters", "hidden"), [(0, False), (2, False), (3, True), (4, True)])
def test_enough_distinct_people_hide_a_post(reporters: int, hidden: bool) -> None:
    assert rules.hides(reporters, threshold=3) is hidden
