"""Evaluates conditions for one event, each within its budget and its owner's share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model.errors import WorkExceeded
from schemas.security.budget import ALL_STEPS, CONDITION_STEPS, EVENT_STEPS, LEAST_SHARE, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from schemas.filters.conditions import Condition
    from schemas.filters.fields import FilterView

EXCEEDED = (
    "The event filter could not be evaluated: its condition takes too many steps on an event of this size. "
    "Use fewer operators, or literals, or an event type with smaller arrays."
)

_FREE = 5_000
"""Steps for one event that are not charged: nearly every event takes fewer, and charging takes time."""


def share_of(owners: Collection[str]) -> int:
    """The steps of each owner of conditions for one event."""
    return max(LEAST_SHARE, EVENT_STEPS // max(1, len(owners)))


class Evaluation:
    """Evaluates the conditions for one event.

    A condition has ``CONDITION_STEPS``. The conditions of one owner have ``share`` together: a client with very many
    expensive ones loses its own deliveries, and no other client's. All conditions have ``ALL_STEPS`` together.
    """

    __slots__ = ("_event", "_share", "_spent", "_total", "_work")

    def __init__(self, event: FilterView, share: int) -> None:
        self._event = event
        self._share = share
        self._spent: dict[str, int] = {}
        self._total = 0
        self._work = Work(0)

    def fits(self, condition: Condition, owner: str) -> bool | None:
        """Whether the event satisfies the condition; None if the budget is exceeded."""
        work = self._work
        if self._total < _FREE:
            work.left = CONDITION_STEPS
            try:
                return condition.matches(self._event, work)
            except WorkExceeded:
                return None
            finally:
                self._total += CONDITION_STEPS - work.left + condition.weight
        spent = self._spent.get(owner, 0)
        left = min(self._share - spent, ALL_STEPS - self._total)
        allowed = work.left = min(CONDITION_STEPS, left - condition.weight)
        if allowed < 0:
            return None
        try:
            return condition.matches(self._event, work)
        except WorkExceeded:
            return None
        finally:
            steps = allowed - work.left + condition.weight
            self._spent[owner] = spent + steps
            self._total += steps
