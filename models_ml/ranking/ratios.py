"""Ratios of sums, such as watch time a session or likes an impression, and how sure they are when people are drawn.

All that one person does hangs together, so a person is the unit: what counts as drawn is people, each with all of
their rows. The standard error is that of the ratio estimator, from what each person adds to the numerator beyond their
part of the denominator (Cochran, Sampling Techniques, 1977, 6.4; called the delta method for experiments by Deng,
Knoblich and Lu, KDD 2018). Intervals are Student's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SURE = 0.95

Numbers = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Ratio:
    """`value` and its standard `error` (nan where it cannot be told), from so many people."""

    value: float
    error: float
    people: int

    @property
    def interval(self) -> Interval:
        """The ends of the 95 % interval; nan with fewer than two people."""
        return _around(self.value, self.error, self.people - 1)


@dataclass(frozen=True)
class Difference:
    """One ratio less another, of other people, with the ends of its 95 % interval."""

    value: float
    interval: Interval

    @property
    def surely_more(self) -> bool:
        return self.interval[0] > 0

    @property
    def surely_less(self) -> bool:
        return self.interval[1] < 0


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike, people: npt.ArrayLike | None = None) -> Ratio:
    """Sum over sum, of rows (n,). `people`: whose each row is; without it each row is a person.

    The value is nan where the denominators sum to nothing.
    """
    over, under = _by_person(numerators, people), _by_person(denominators, people)
    total, number = float(under.sum()), len(under)
    if total == 0:
        return Ratio(math.nan, math.nan, number)
    value = float(over.sum()) / total
    if number < 2:
        return Ratio(value, math.nan, number)
    apart = over - value * under
    return Ratio(value, math.sqrt(number / (number - 1) * float(apart @ apart)) / abs(total), number)


def difference(one: Ratio, other: Ratio) -> Difference:
    """One less the other, for two groups of people who have nobody in common (Welch, Biometrika, 1947)."""
    value, error = one.value - other.value, math.hypot(one.error, other.error)
    parts = [(each.error**4, each.people - 1) for each in (one, other)]
    spread = sum(part / freedom for part, freedom in parts if freedom > 0)
    freedom = error**4 / spread if spread > 0 else float(min(each.people for each in (one, other)) - 1)
    return Difference(value, _around(value, error, freedom))


def _around(value: float, error: float, freedom: float) -> Interval:
    if math.isnan(value) or math.isnan(error) or freedom <= 0:
        return math.nan, math.nan
    from scipy.special import stdtrit  # takes a quarter of a second: whoever only serves imports this module as well

    reach = float(stdtrit(freedom, (1 + SURE) / 2)) * error
    return value - reach, value + reach


def _by_person(values: npt.ArrayLike, people: npt.ArrayLike | None) -> Numbers:
    numbers = np.asarray(values, dtype=np.float64)
    if people is None:
        return numbers
    _, whose = np.unique(np.asarray(people), return_inverse=True)
    return np.bincount(whose, numbers).astype(np.float64)
