"""The backlog of one endpoint: deliveries that did not fit its queue, in the order of routing."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

Order = tuple[int, int]
"""A delivery's place in line: when it was routed (microseconds since the epoch), and its event's offset."""

OVERDUE = 30.0
"""Seconds after which a delivery that did not come back in time no longer counts: another process has it."""

MOST = 50_000
"""Most deliveries whose places are known, the oldest ones. Of those behind them only the number is."""


class _PutOff(NamedTuple):
    order: Order
    back_at: float


class Backlog:
    """Counts the deliveries in front of another one. It starts empty in each process.

    A missing entry makes a delivery return too early, and it is put off again. So nothing is lost when this process
    knows only a part of the backlog.
    """

    def __init__(self) -> None:
        self._line: list[_PutOff] = []
        self._rest = 0
        self._youngest: Order = (0, 0)
        self._rest_back_at = 0.0

    def __len__(self) -> int:
        return len(self._line) + self._rest

    def put_off(self, order: Order, back_at: float) -> None:
        """Note a delivery that comes back at ``back_at`` (seconds of the queue's clock)."""
        self._line.insert(bisect_left(self._line, (order,)), _PutOff(order, back_at))
        if len(self._line) > MOST:
            youngest = self._line.pop()
            self._rest += 1
            self._youngest = max(self._youngest, youngest.order)
            self._rest_back_at = max(self._rest_back_at, youngest.back_at)

    def came_back(self, order: Order) -> None:
        """Remove a delivery that is here again."""
        at = bisect_left(self._line, (order,))
        if at < len(self._line):
            if self._line[at].order == order:
                del self._line[at]
        elif self._rest and order <= self._youngest:
            self._rest -= 1

    def ahead_of(self, order: Order) -> int:
        """The number of deliveries that were routed before this one; behind the known ones, an estimate."""
        at = bisect_left(self._line, (order,))
        if at < len(self._line) or not self._rest:
            return at
        if order > self._youngest or not self._line:
            return at + self._rest
        # They were routed at an even rate, for all that is known.
        first, last = self._line[-1].order[0], self._youngest[0]
        return at + int(self._rest * (order[0] - first) / max(1, last - first))

    def oldest(self, now: float) -> Order | None:
        """The first in line, after those that did not come back in time are removed."""
        lost = 0
        while lost < len(self._line) and self._line[lost].back_at + OVERDUE < now:
            lost += 1
        del self._line[:lost]
        if self._rest and self._rest_back_at + OVERDUE < now:
            self._forget_the_rest()
        return self._line[0].order if self._line else None

    def clear(self) -> None:
        """Remove all: the partition went to another process."""
        self._line.clear()
        self._forget_the_rest()

    def _forget_the_rest(self) -> None:
        self._rest = 0
        self._youngest = (0, 0)
        self._rest_back_at = 0.0
