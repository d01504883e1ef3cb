"""Schedules pings, checks for missing pongs, and expiry of connections. One task serves all connections."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_TICK = 1.0
"""Seconds."""

_SLACK = 1_000
"""Timers of deleted objects that may remain, besides as many as there are live timers."""


class Pinged(Protocol):
    """A connection."""

    def ping(self) -> None:
        """Send a ping."""

    def expect_pong(self) -> None:
        """End the connection if the last ping was not answered."""


class PingScheduler:
    """Pings connections; they are spread over the seconds of the ping interval.

    Args:
        interval: whole seconds between two pings of a connection.
        timeout: whole seconds that a client has to answer, less than ``interval``.
    """

    def __init__(self, interval: int, timeout: int) -> None:
        self._interval = interval
        self._timeout = min(timeout, interval - 1)
        self._buckets: list[set[Pinged]] = [set() for _ in range(interval)]
        self._seconds = 0
        self._timers: list[tuple[float, int, WeakMethod[Callable[[], None]]]] = []
        self._most_timers = _SLACK
        self._number = itertools.count()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()

    def add(self, connection: Pinged) -> Callable[[], None]:
        """Ping a connection from now on, first after half an interval or later; call the result to stop."""
        wait = random.randint((self._interval + 1) // 2, self._interval)
        bucket = self._buckets[(self._seconds + wait) % self._interval]
        bucket.add(connection)
        return lambda: bucket.discard(connection)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call a method at a time (seconds since the epoch), or up to a second later.

        Only a weak reference is kept, and a deleted object is not called: most connections end before their tokens.
        """
        heapq.heappush(self._timers, (when, next(self._number), WeakMethod(call)))
        if len(self._timers) > self._most_timers:
            self._timers = [timer for timer in self._timers if timer[2]() is not None]
            heapq.heapify(self._timers)
            self._most_timers = 2 * len(self._timers) + _SLACK

    def tick(self) -> None:
        """Do the work of one second."""
        self._seconds += 1
        for connection in list(self._buckets[self._seconds % self._interval]):
            connection.ping()
        for connection in list(self._buckets[(self._seconds - self._timeout) % self._interval]):
            connection.expect_pong()
        now = time.time()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2]()
            if call is not None:
                call()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                self.tick()
            except Exception:  # one connection's failure must not end the pings of all others
                log.exception("a connection could not be told the time")
