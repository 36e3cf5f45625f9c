"""Counts and sums over spans of time that end with each row: two look-ups in sorted keys, no loop over groups.

Times are whole seconds. What happens within the same second as a row is known with it.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
HOUR, DAY = 3600, 86400
EVER = 1 << 40
"""Seconds longer than any history."""


class Series:
    """Events of many groups, with values to add up. `group`, `time`, `values`: shape (n,)."""

    def __init__(self, group: Ints, time: Ints, values: Floats | None = None) -> None:
        self.order = np.lexsort((time, group))
        self._span = int(time.max(initial=0)) + 2
        self._keys = group[self.order] * self._span + time[self.order]
        self._values = np.ones(len(group)) if values is None else np.asarray(values, dtype=np.float64)[self.order]
        self._sums = np.concatenate([[0.0], np.cumsum(self._values)])

    def upto(self, group: Ints, time: Ints) -> Ints:
        """How many places of `order` belong to earlier groups, or to this one until this time and with it."""
        return np.searchsorted(self._keys, group * self._span + np.clip(time, -1, self._span - 2), side="right")

    def first(self, group: Ints) -> Ints:
        """The first place of `order` that belongs to the group."""
        return np.searchsorted(self._keys, group * self._span, side="left")

    def total(self, group: Ints, since: Ints, until: Ints) -> Floats:
        """Sum of values with since < time <= until; with values of whole numbers it is exact."""
        return np.asarray(self._sums[self.upto(group, until)] - self._sums[self.upto(group, since)])

    def count(self, group: Ints, since: Ints, until: Ints) -> Ints:
        """Number of events with since < time <= until."""
        return self.upto(group, until) - self.upto(group, since)

    def latest(self, group: Ints, until: Ints, running: Floats) -> Floats:
        """The value at the last place of the group until then; NaN where there is none.

        `running`: shape (n,), a value for each place of `order`.
        """
        place = self.upto(group, until)
        found = np.full(len(group), np.nan)
        some = place > self.first(group)
        found[some] = running[place[some] - 1]
        return found

    def running_max(self, values: Floats, group: Ints) -> Floats:
        """Greatest of `values` (given by event) so far in each group, for each place of `order`."""
        result, last, best = np.empty(len(values)), -1, 0.0
        for place, index in enumerate(self.order):
            owner = group[index]
            best = values[index] if owner != last else max(best, values[index])
            result[place], last = best, owner
        return result


def distinct(group: Ints, item: Ints, time: Ints, span: int, *, use: npt.NDArray[np.bool_] | None = None) -> Ints:
    """How many different items each row's group has had within `span` seconds, with the row's own second.

    `use`: the rows that count; the others are only answered.
    """
    order = np.lexsort((np.arange(len(time)), time))
    counts: dict[int, Counter[int]] = {}
    queues: dict[int, deque[tuple[int, int]]] = {}
    result = np.zeros(len(time), dtype=np.int64)
    groups, items, times = group[order].tolist(), item[order].tolist(), time[order].tolist()
    counted = [True] * len(times) if use is None else use[order].tolist()
    at = 0
    while at < len(times):
        end = at
        while end < len(times) and times[end] == times[at]:
            if counted[end]:
                counts.setdefault(groups[end], Counter())[items[end]] += 1
                queues.setdefault(groups[end], deque()).append((times[end], items[end]))
            end += 1
        for row in range(at, end):
            known, queue = counts.get(groups[row]), queues.get(groups[row])
            if known is None or queue is None:
                continue
            while queue and queue[0][0] <= times[at] - span:
                gone = queue.popleft()[1]
                known[gone] -= 1
                if not known[gone]:
                    del known[gone]
            result[order[row]] = len(known)
        at = end
    return result


class Rings:
    """Who passed how much to whom within a span, and which gifts close a ring."""

    def __init__(self, span: int, longest: int = 6) -> None:
        self._span, self._longest = span, longest
        self._given: dict[int, dict[int, int]] = {}
        self._got: dict[int, dict[int, int]] = {}
        self._queue: deque[tuple[int, int, int, int]] = deque()

    def add(self, time: int, giver: int, creator: int, amount: int) -> None:
        """Record a gift and forget what is too old. Gifts come in order of time."""
        while self._queue and self._queue[0][0] <= time - self._span:
            _, old_giver, old_creator, old_amount = self._queue.popleft()
            _change(self._given, old_giver, old_creator, -old_amount)
            _change(self._got, old_creator, old_giver, -old_amount)
        self._queue.append((time, giver, creator, amount))
        _change(self._given, giver, creator, amount)
        _change(self._got, creator, giver, amount)

    def closes(self, giver: int, creator: int, amount: int) -> int:
        """People in the smallest ring in which this gift comes back to the giver; 0 when it does not.

        Each of the others passed on at least half of the amount. Two searches meet: from the creator along gifts, and
        from the giver against them.
        """
        if giver not in self._got or creator not in self._given:
            return 0
        least = (amount + 1) // 2
        ahead, behind, length = {creator}, {giver}, 1
        seen = {giver, creator}
        while length < self._longest and ahead and behind:
            forward = len(ahead) <= len(behind)
            table = self._given if forward else self._got
            front, goal = (ahead, behind) if forward else (behind, ahead)
            reached = {other for one in front for other, sum_ in table.get(one, {}).items() if sum_ >= least}
            length += 1
            if reached & goal:
                return length
            reached -= seen
            seen |= reached
            ahead, behind = (reached, behind) if forward else (ahead, reached)
        return 0


def _change(table: dict[int, dict[int, int]], one: int, other: int, amount: int) -> None:
    row = table.setdefault(one, {})
    row[other] = row.get(other, 0) + amount
    if not row[other]:
        del row[other]
        if not row:
            del table[one]
