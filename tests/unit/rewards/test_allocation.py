"""Who gets what: every cent of a pool, to nobody else, whatever the numbers."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.money import Minor
from popoff.rewards import rules
from popoff.rewards.rules import Allocation, Late, LateKind, Owed, PostInput, Terms

amounts = st.integers(0, 10**12)
weights = st.lists(st.integers(0, 10**15), max_size=60)


def terms(ad_pool: int = 1_000_000, creator_fund: int = 2_000_000, **more: int) -> Terms:
    values = {"gift_share": 40, "ad_share": 30, "fund_share": 30, "min_views": 1, **more}
    return Terms(ad_pool=Minor(ad_pool), creator_fund=Minor(creator_fund), **values)  # type: ignore[arg-type]


@st.composite
def posts_of_a_period(draw: st.DrawFn) -> list[PostInput]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 8),  # creator
                st.integers(0, 10**7),
                st.integers(0, 10**6),
                st.integers(0, 10**10),
                st.none() | st.integers(0, 10_000),
                st.booleans(),
            ),
            max_size=40,
        )
    )
    return [PostInput(number, *row) for number, row in enumerate(rows, 1)]


any_terms = st.builds(
    terms,
    amounts,
    amounts,
    gift_share=st.integers(0, 100),
    ad_share=st.integers(0, 100),
    fund_share=st.integers(0, 100),
    ad_carried=amounts,
    fund_carried=amounts,
    min_views=st.integers(0, 3),
)


@given(amounts, weights)
def test_shares_sum_to_the_whole_and_are_within_a_cent_of_exact(total: int, parts: list[int]) -> None:
    shares = rules.largest_remainder(total, parts)
    if not sum(parts):
        assert shares == [0] * len(parts)
        return
    assert sum(shares) == total
    for share, part in zip(shares, parts, strict=True):
        assert abs(share - Fraction(total * part, sum(parts))) < 1
        assert part or not share


@given(amounts, weights)
def test_more_weight_never_earns_less(total: int, parts: list[int]) -> None:
    shares = sorted(zip(parts, rules.largest_remainder(total, parts), strict=True))
    assert [share for _, share in shares] == sorted(share for _, share in shares)


@given(any_terms, posts_of_a_period())
def test_each_pool_is_paid_out_to_the_cent_or_carried_on(terms: Terms, posts: list[PostInput]) -> None:
    shared = rules.allocate(terms, posts)
    assert sum(r.gifts for r in shared.rewards) == rules.part(Minor(sum(p.gifts for p in posts)), terms.gift_share)
    assert sum(r.ads for r in shared.rewards) + shared.ads_left == terms.ads
    assert sum(r.fund for r in shared.rewards) + shared.fund_left == terms.fund
    assert min((shared.ads_left, shared.fund_left, *(min(r[2:]) for r in shared.rewards))) >= 0
    assert all(type(amount) is int for reward in shared.rewards for amount in reward)


@given(any_terms, posts_of_a_period(), st.randoms(use_true_random=False))
def test_the_order_of_the_posts_does_not_matter(terms: Terms, posts: list[PostInput], dice: random.Random) -> None:
    shuffled = list(posts)
    dice.shuffle(shuffled)
    assert rules.allocate(terms, shuffled) == rules.allocate(terms, posts)


@given(any_terms, posts_of_a_period())
def test_who_takes_no_part_in_a_pool_gets_nothing_from_it(terms: Terms, posts: list[PostInput]) -> None:
    for post, reward in zip(posts, rules.allocate(terms, posts).rewards, strict=True):
        assert post.gifts or not reward.gifts
        if not post.eligible:
            assert reward.ads == reward.fund == 0
        if post.score is None or post.views == 0:
            assert reward.fund == 0


@given(any_terms, posts_of_a_period())
def test_pools_are_shared_as_the_formula_says(terms: Terms, posts: list[PostInput]) -> None:
    """0.30 × ad pool × (½ views share + ½ watch-time share) + 0.30 × fund × mean score share, within rounding."""
    shared = rules.allocate(terms, posts)
    eligible = [post for post in posts if post.eligible]
    views, watch = sum(post.views for post in eligible), sum(post.watch_ms for post in eligible)
    scored: dict[int, list[int]] = {}
    for post in eligible:
        if post.score is not None and post.views >= max(terms.min_views, 1):
            scored.setdefault(post.creator_id, []).append(post.score)
    means = {creator: Fraction(sum(values), len(values)) for creator, values in scored.items()}
    by_creator: dict[int, int] = dict.fromkeys(means, 0)
    for post, reward in zip(posts, shared.rewards, strict=True):
        if post.creator_id in by_creator:
            by_creator[post.creator_id] += reward.fund
        if post.eligible and views and watch:
            exact = Fraction(terms.ads, 2) * (Fraction(post.views, views) + Fraction(post.watch_ms, watch))
            assert abs(reward.ads - exact) < 1
    for creator, earned in by_creator.items():
        if sum(means.values()):
            assert abs(earned - terms.fund * means[creator] / sum(means.values())) < 1


def post(number: int, creator: int, **values: int | bool | None) -> PostInput:
    usual = {"gifts": 0, "views": 1, "watch_ms": 1000, "score": None, "eligible": True}
    return PostInput(number, creator, **{**usual, **values})  # type: ignore[arg-type]


def earned(shared: Allocation, creator: int) -> int:
    return sum(reward.total for reward in shared.rewards if reward.creator_id == creator)


def test_many_weak_posts_earn_no_more_of_the_fund_than_a_few_good_ones() -> None:
    weak = [post(number, 1, score=2000) for number in range(1, 101)]
    shared = rules.allocate(terms(ad_pool=0), [*weak, post(101, 2, score=8000)])
    assert (earned(shared, 1), earned(shared, 2)) == (120_000, 480_000)


def test_within_a_creator_the_better_post_earns_more() -> None:
    shared = rules.allocate(terms(ad_pool=0), [post(1, 1, score=2000), post(2, 1, score=6000)])
    assert [reward.fund for reward in shared.rewards] == [150_000, 450_000]


def test_when_nobody_is_eligible_everything_is_carried_on() -> None:
    shared = rules.allocate(terms(), [post(1, 1, gifts=1000, views=0, watch_ms=0)])
    assert [reward.total for reward in shared.rewards] == [400]
    assert (shared.ads_left, shared.fund_left) == (300_000, 600_000)


def test_a_half_without_shares_stays_in_the_pool() -> None:
    came_back = post(1, 1, views=0, watch_ms=5000)
    assert rules.allocate(terms(creator_fund=0), [came_back]).ads_left == 150_000


def test_scores_of_zero_are_no_reason_to_divide_by_zero() -> None:
    assert rules.allocate(terms(), [post(1, 1, score=0), post(2, 2, score=0)]).fund_left == 600_000


def test_what_was_carried_over_is_shared_too() -> None:
    shared = rules.allocate(terms(creator_fund=0, ad_carried=123), [post(1, 1)])
    assert earned(shared, 1) == 300_123


@pytest.mark.parametrize(("score", "kept"), [(None, None), (float("nan"), None), (float("inf"), None), (62.5, 6250)])
def test_a_score_that_is_no_number_is_no_score(score: float | None, kept: int | None) -> None:
    assert rules.hundredths(score) == kept


@given(st.integers(1, 10**12), st.integers(0, 100))
def test_the_platform_has_always_got_what_it_refunds(amount: int, share: int) -> None:
    refunded = amount - rules.creators_part(Minor(amount), share)
    assert 0 <= refunded <= amount - rules.part(Minor(amount), share)


@given(
    posts_of_a_period(),
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 9), st.integers(1, 8), st.integers(1, 10**8)), max_size=12),
)
def test_debts_are_taken_from_earnings_and_never_below_zero(
    posts: list[PostInput], debts: list[tuple[int, int, int, int]]
) -> None:
    owed = [Owed(*debt) for debt in debts]
    statements, late = rules.settle(posts, rules.allocate(terms(), posts).rewards, [], owed)
    taken: dict[int, int] = {}
    for line in late:
        assert line.kind is LateKind.REVERSAL and line.amount < 0
        taken[line.creator_id] = taken.get(line.creator_id, 0) - line.amount
    for one in statements:
        due = sum(debt.amount for debt in owed if debt.creator_id == one.creator_id)
        assert taken.get(one.creator_id, 0) == min(due, one.gifts + one.ads + one.fund)
        assert one.total >= 0


def test_a_cleared_gift_is_paid_even_to_somebody_with_nothing_else() -> None:
    released = Late(7, 3, 5, LateKind.RELEASE, 1000, 400)
    statements, late = rules.settle([], [], [released], [Owed(8, 3, 5, 100)])
    assert [(one.creator_id, one.total) for one in statements] == [(5, 300)]
    assert [line.amount for line in late] == [400, -100]
