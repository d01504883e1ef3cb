"""Budgets of work: how much of a tenant's own making is evaluated before it fails alone.

Filters, documents and lists are written by tenants, and their cost multiplies: alternatives by elements by
subscriptions. Whoever evaluates one of them counts steps on a ``Work``; past its limit the evaluation ends with
``WorkExceeded``, and only what it belongs to fails.

A step takes about 0.1 µs: one test of one short value.
"""

from __future__ import annotations

import time

from schemas.errors import WorkExceeded

CONDITION_TESTS = 1_000
"""That a new filter's condition may hold: every operator, every list of literals, every nested object is one."""

CONDITION_STEPS = 100_000
"""For one condition and one event."""

EVENT_STEPS = 200_000
"""For all conditions that one event is compared with, shared evenly by the clients whose filters they are."""

LEAST_SHARE = 1_000
"""Steps that a client has for one event, however many clients share."""

_STEPS_BETWEEN_LOOKS = 2_000
"""After so many steps a ``TimedWork`` looks at the clock."""


class Work:
    """Steps that may still be taken.

    On hot paths take steps in line: ``work.left -= steps``, and ``work.more()`` once ``left`` is negative. Not to be
    shared between threads.

    Args:
        steps: the limit.
    """

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def more(self) -> None:
        """Ask for more steps, when those left are used up.

        Raises:
            WorkExceeded: there are no more.
        """
        raise WorkExceeded("it would take too many steps")


class TimedWork(Work):
    """As many steps as fit into a time, and at most ``steps`` of them.

    Args:
        steps: the limit.
        deadline: of ``time.monotonic()``.
    """

    __slots__ = ("_deadline", "_rest")

    def __init__(self, steps: int, deadline: float) -> None:
        super().__init__(0)
        self._rest = steps
        self._deadline = deadline

    def more(self) -> None:
        """Have the next steps, unless there are no more or the time is over."""
        if self._rest <= 0:
            raise WorkExceeded("it would take too many steps")
        if time.monotonic() > self._deadline:
            raise WorkExceeded("it would take too long")
        granted = min(self._rest, max(_STEPS_BETWEEN_LOOKS, -self.left))
        self._rest -= granted
        self.left += granted
        if self.left < 0:
            raise WorkExceeded("it would take too many steps")
