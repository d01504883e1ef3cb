"""Budgets of work: how much of a tenant's own making is evaluated before it fails alone.

Filters, documents and lists are written by tenants, and their cost multiplies: alternatives by elements by
subscriptions. Whoever evaluates one of them counts steps on a ``Work``; past its limit the evaluation ends with
``WorkExceeded``, and only what it belongs to fails.

A step takes about 0.1 µs: one test of one short value.
"""

from __future__ import annotations

import threading
import time

from schemas.model.errors import InvalidRequest, WorkExceeded

CONDITION_TESTS = 1_000
"""That a new filter's condition may hold: every operator, every list of literals, every nested object is one."""

CONDITION_STEPS = 100_000
"""For one condition and one event."""

EVENT_STEPS = 200_000
"""For all conditions that one event is compared with, shared evenly by the clients whose filters they are."""

LEAST_SHARE = 1_000
"""Steps that a client has for one event, however many clients share."""

ALL_STEPS = 1_000_000
"""For one event in any case, some 100 ms: all workspaces wait for it. Only more than a thousand clients come to it."""

PROJECTION_STEPS = 100_000
"""For one projection and one event; each is a part of the expression that is evaluated, or a value gone through."""

ANSWER_VALUES = 15_000
"""Items and their members in one answer whose parts the caller chooses, all its lists together."""

ANSWER_CHARACTERS = 32 * 1024 * 1024
"""Of text in one answer, likewise."""

ANSWER_LOOKED_AT = 100_000
"""Items that all lists in one answer may look through, whether they show them or not. One list may in any case."""

PAGE_BYTES = 4_000_000
"""Of resources on one page of a list, or those of one resource: the page ends early, and its cursor goes on."""

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


class AnswerBudget:
    """Values and characters that one answer may still hold, and look through, in all of its parts. From any thread.

    Args:
        values: the limit of items and their members in all lists together.
        characters: the limit of text.
    """

    def __init__(self, values: int = ANSWER_VALUES, characters: int = ANSWER_CHARACTERS) -> None:
        self._values = self._values_left = values
        self._characters = self._characters_left = characters
        self._looked_at_left = ANSWER_LOOKED_AT
        self._lock = threading.Lock()

    def take(self, *, values: int = 0, characters: int = 0, looked_at: int = 0) -> None:
        """Take what a part of the answer needs, before it is built.

        Args:
            values: items and their members.
            characters: of text.
            looked_at: items among which those of a list are found.

        Raises:
            InvalidRequest: there is not so much left, or there was not for another part.
        """
        with self._lock:
            self._values_left -= values
            self._characters_left -= characters
            self._looked_at_left -= min(looked_at, ANSWER_LOOKED_AT)
            if min(self._values_left, self._characters_left, self._looked_at_left) >= 0:
                return
        raise InvalidRequest(
            f"One answer may have {self._values:,} values and {self._characters:,} characters in all of its fields "
            f"together, and look through {ANSWER_LOOKED_AT:,} items: ask for fewer at a time."
        )
