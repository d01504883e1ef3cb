"""The queues of all endpoints of one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic

from connectors.webhook.endpoint_queue import MAX_COOLDOWN, SOONEST, EndpointQueue, Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.webhook.backlog import Order

RETURNS = 500
"""Deliveries per second, of all endpoints together, that come back only to see whether it is their turn."""


class EndpointQueues(Generic[Item]):
    """The queues of all endpoints that had deliveries lately.

    Args:
        clock: of the rate limits, monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[str, EndpointQueue[Item]] = {}

    def of(self, endpoint: str, limit: int, edited_at: int = 0) -> EndpointQueue[Item]:
        """Return an endpoint's queue with its present limit; reset it if the endpoint was edited."""
        queue = self._queues.get(endpoint)
        if queue is None:
            queue = self._queues[endpoint] = EndpointQueue(limit, edited_at, self._clock)
        queue.limit = max(1, limit)
        if queue.edited_at < edited_at:
            queue.reset(edited_at)
        return queue

    def all(self) -> list[EndpointQueue[Item]]:
        """Every queue."""
        return list(self._queues.values())

    def again(self) -> float:
        """Seconds after which a delivery that was put off comes back to see whether it is its turn.

        They grow with the number of such deliveries: an early return costs work that all endpoints share.
        """
        return max(SOONEST, sum(len(queue.backlog) for queue in self._queues.values()) / RETURNS)

    def oldest(self, now: float, *, held: bool = False) -> Order | None:
        """The place of the delivery that has waited for the longest, in the queues that are held or in all others."""
        queues = (queue for queue in self._queues.values() if queue.is_held(now) == held)
        return min((order for queue in queues if (order := queue.oldest(now)) is not None), default=None)

    def forget_idle(self, now: float, idle: float = 2 * MAX_COOLDOWN) -> None:
        """Drop queues that were idle for ``idle`` seconds."""
        for endpoint, queue in list(self._queues.items()):
            if queue.oldest(now) is None and queue.is_rested and now - queue.used_at > idle:
                del self._queues[endpoint]
