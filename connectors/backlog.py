"""The deliveries of one endpoint that were put off because they did not fit, in the order in which they were routed."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

Order = tuple[int, int]
"""A delivery's place in line: when it was routed (microseconds since the epoch), and its event's offset."""

OVERDUE = 30.0
"""Seconds after its time at which a delivery that did not come back no longer counts: another process has it."""

MOST = 50_000
"""Deliveries that are remembered. More are waited for as if they were the last in line."""


class _PutOff(NamedTuple):
    order: Order
    back_at: float


class Backlog:
    """Counts how many deliveries are in front of another one. It starts empty in each process.

    An entry that is missing makes a delivery return too early, and it is put off again. So nothing is lost when this
    process knows less than there is.
    """

    def __init__(self) -> None:
        self._line: list[_PutOff] = []

    def __len__(self) -> int:
        return len(self._line)

    def put_off(self, order: Order, back_at: float) -> None:
        """Note a delivery that comes back at ``back_at`` (seconds of the lane's clock)."""
        if len(self._line) < MOST:
            self._line.insert(bisect_left(self._line, (order,)), _PutOff(order, back_at))

    def came_back(self, order: Order) -> None:
        """Forget a delivery that is here again, if it is known."""
        if not self._line:
            return
        at = bisect_left(self._line, (order,))
        if at < len(self._line) and self._line[at].order == order:
            del self._line[at]

    def ahead_of(self, order: Order) -> int:
        """How many were routed before this one."""
        return bisect_left(self._line, (order,))

    def oldest(self, now: float) -> Order | None:
        """The first in line; those that did not come back in time are forgotten before."""
        lost = 0
        while lost < len(self._line) and self._line[lost].back_at + OVERDUE < now:
            lost += 1
        del self._line[:lost]
        return self._line[0].order if self._line else None

    def clear(self) -> None:
        """Forget all of them: the partition went to another process."""
        self._line.clear()
