"""What looks wrong about a gift, and what may be done about a flag."""

from __future__ import annotations

from dataclasses import replace

import pytest

from popoff.integrity import rules
from popoff.integrity.rules import FlagState, GiftFacts, Rule, SubjectKind
from popoff.kernel.errors import Conflict, Forbidden, Invalid
from popoff.kernel.money import Minor
from popoff.rewards import gifts

LIMIT = Minor(200_000)
PLAIN = GiftFacts(entry_id="E", gift_id="g", amount=500, day_total=500, day_to_creator=500, forth=500)


def broken(**facts: object) -> list[str]:
    return [finding.rule for finding in rules.judge(replace(PLAIN, **facts), LIMIT)]  # type: ignore[arg-type]


def test_most_gifts_are_fine() -> None:
    assert rules.judge(PLAIN, LIMIT) == []


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"hour_count": 30}, Rule.VELOCITY),
        ({"hour_to_creator": 10}, Rule.REPEAT_GIFTING),
        ({"amount": 10_000, "past_count": 5, "past_mean": 1_000.0, "past_max": 5_000}, Rule.UNUSUAL_AMOUNT),
        ({"forth": 2_000, "back": 1_000}, Rule.RECIPROCITY),
        ({"forth": 1_000, "back": 2_000}, Rule.RECIPROCITY),
        ({"day_total": 180_000, "near_limit_days": 3}, Rule.STRUCTURING),
        ({"day_total": 190_000, "day_count": 5}, Rule.STRUCTURING),
        ({"granted": 5_000, "day_to_creator": 4_000, "granted_givers": 5}, Rule.DRAIN_AFTER_GRANT),
        ({"young": True, "young_givers": 5, "young_total": 10_000}, Rule.YOUNG_ACCOUNTS),
    ],
)
def test_each_rule_finds_what_it_is_about(facts: dict[str, object], rule: Rule) -> None:
    assert broken(**facts) == [rule]


@pytest.mark.parametrize(
    "facts",
    [
        {"hour_count": 29},
        {"hour_to_creator": 9},
        {"amount": 9_999, "past_count": 5, "past_mean": 1_000.0, "past_max": 1_000},
        {"amount": 10_000, "past_count": 5, "past_mean": 1_000.0, "past_max": 5_001},
        {"amount": 10_000, "past_count": 4, "past_mean": 1_000.0, "past_max": 1_000},
        {"amount": 4_999, "past_count": 5, "past_mean": 10.0, "past_max": 10},
        {"forth": 2_001, "back": 1_000},
        {"forth": 999, "back": 999},
        {"day_total": 179_999, "near_limit_days": 7},
        {"day_total": 180_000, "near_limit_days": 2},
        {"day_total": 189_999, "day_count": 50},
        {"granted": 5_000, "day_to_creator": 3_999, "granted_givers": 9},
        {"granted": 5_000, "day_to_creator": 5_000, "granted_givers": 4},
        {"granted": 0, "day_to_creator": 5_000, "granted_givers": 9},
        {"young": False, "young_givers": 9, "young_total": 99_999},
        {"young": True, "young_givers": 4, "young_total": 99_999},
        {"young": True, "young_givers": 9, "young_total": 9_999},
    ],
)
def test_just_short_of_a_rule_is_fine(facts: dict[str, object]) -> None:
    assert broken(**facts) == []


def test_a_reason_says_how_in_numbers() -> None:
    (finding,) = rules.judge(replace(PLAIN, forth=150_000, back=100_050), LIMIT)
    assert finding.reason == "Within a week the two gave each other 1500.00 and 1000.50."


def test_a_gift_may_break_several_rules() -> None:
    assert broken(hour_count=30, hour_to_creator=30) == [Rule.VELOCITY, Rule.REPEAT_GIFTING]


def test_the_actions_are_those_that_rewards_writes() -> None:
    assert rules.SEND == gifts.SEND
    assert rules.GIFT_ACTIONS == (gifts.SEND, gifts.REPEATED)
    assert rules.NOTED_ACTIONS == (gifts.SELF, gifts.REPEATED)


@pytest.mark.parametrize("outcome", [FlagState.CLEARED, FlagState.CONFIRMED])
def test_an_open_flag_can_be_decided(outcome: FlagState) -> None:
    rules.check_outcome(FlagState.OPEN, outcome, decided_by=None, by=1)


def test_a_confirmed_flag_is_cleared_by_another_person() -> None:
    rules.check_outcome(FlagState.CONFIRMED, FlagState.CLEARED, decided_by=1, by=2)
    with pytest.raises(Forbidden):
        rules.check_outcome(FlagState.CONFIRMED, FlagState.CLEARED, decided_by=1, by=1)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (FlagState.CLEARED, FlagState.CONFIRMED),
        (FlagState.CLEARED, FlagState.CLEARED),
        (FlagState.CONFIRMED, FlagState.CONFIRMED),
        (FlagState.OPEN, FlagState.OPEN),
    ],
)
def test_other_decisions_are_refused(state: FlagState, outcome: FlagState) -> None:
    with pytest.raises(Conflict):
        rules.check_outcome(state, outcome, decided_by=1, by=2)


def test_nobody_decides_about_their_own_money() -> None:
    rules.check_impartial(["a", None], "b")
    with pytest.raises(Forbidden):
        rules.check_impartial(["a", None], "a")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("6f9619ff-8b86-4d01-b42d-00cf4fc964ff", (SubjectKind.PERSON, SubjectKind.CONTENT)),
        ("6f9619ff8b864d01b42d00cf", (SubjectKind.GIFT,)),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", (SubjectKind.ENTRY,)),
        ("17", ()),
        ("", ()),
        ("6f9619ff-8b86-4d01-b42d-00cf4fc964ff\n", ()),
    ],
)
def test_an_id_is_known_by_its_shape(text: str, kinds: tuple[SubjectKind, ...]) -> None:
    assert rules.kinds_of(text) == kinds


def test_descriptions_are_optional_and_bounded() -> None:
    assert rules.check_description("  ") == ""
    with pytest.raises(Invalid):
        rules.check_description("x" * 5001)
