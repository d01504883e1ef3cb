"""One lane per endpoint: a bounded window of simultaneous requests and a short queue, so that none waits for another.

A lane only keeps count; it starts nothing and has no clock of its own, so that its behaviour can be tested to the
millisecond. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

PATIENCE = 2.0
"""Seconds that an endpoint may need for what queues for it; what is beyond goes to a retry tier instead."""

FIRST_WINDOW = 4
MAX_QUEUE = 2_000
TRIP_AFTER = 8
"""Failures of the endpoint in a row, until no more requests are tried for a while."""

FIRST_COOLDOWN = 10.0
MAX_COOLDOWN = 300.0
HORIZON = 300.0
"""Most seconds that deliveries which did not fit are spread over."""

_FIRST_LATENCY = 0.01
"""Seconds that an endpoint is believed to need until it has answered once or taken longer."""

_SMOOTHING = 0.2

_SLOWER = 2.0
"""An answer that takes so many times as long as the quickest lately says that more requests at once bring nothing."""

_FORGET = 1.01
"""By this factor the quickest answer grows older with each answer: what is slower from now on becomes the measure."""


class Lane(Generic[Item]):
    """What is known of one endpoint: how fast it answers, how much it may have at once, whether it is worth trying.

    The window grows by one with each answer that is about as quick as the others, and is halved when the endpoint fails
    (no answer, 429, 5xx). After ``TRIP_AFTER`` failures in a row it is 0 for a cool-down that doubles each time; then
    one request probes.

    Args:
        limit: the endpoint's most simultaneous requests.
        edited_at: when the endpoint was last edited, in microseconds since the epoch; see ``begin_anew``.
    """

    def __init__(self, limit: int, edited_at: int = 0) -> None:
        self.limit = limit
        self._queue: deque[tuple[float, Item]] = deque()
        self._started: dict[int, float] = {}
        self._ticket = 0
        self.used_at = 0.0
        self.begin_anew(edited_at)

    def begin_anew(self, edited_at: int) -> None:
        """Forget how the endpoint answered: it was edited, and may be another server now.

        What is under way keeps its place, but says nothing of the endpoint as it is.
        """
        self.edited_at = edited_at
        self._began_with = self._ticket
        self._window = min(FIRST_WINDOW, self.limit)
        self._latency: float | None = None
        self._quickest = float("inf")
        self._failures = 0
        self._cooldown = FIRST_COOLDOWN
        self._closed_until = 0.0
        self._free_at = 0.0

    @property
    def queued(self) -> int:
        """Deliveries that wait for the window."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._started)

    def window(self, now: float) -> int:
        """How many requests it may have at once; 0 while it cools down."""
        if now < self._closed_until:
            return 0
        return 1 if self._failures >= TRIP_AFTER else min(self._window, self.limit)

    def offer(self, item: Item, now: float) -> bool:
        """Queue a delivery, unless it would wait for longer than ``PATIENCE`` however far the window may yet open."""
        self.used_at = now
        window = self.window(now)
        widest = self.limit if window > 1 else window
        if len(self._queue) >= min(MAX_QUEUE, max(widest, self._room(widest, now))):
            return False
        self._queue.append((now, item))
        return True

    def take(self, now: float) -> tuple[int, Item] | None:
        """The next delivery to send, with a ticket for ``done``; None while the window is full or the queue empty."""
        if not self._queue or len(self._started) >= self.window(now):
            return None
        self._ticket += 1
        self._started[self._ticket] = now
        return self._ticket, self._queue.popleft()[1]

    def done(self, ticket: int, now: float, *, healthy: bool | None) -> None:
        """A request is over.

        Args:
            ticket: as ``take`` gave it.
            now: seconds.
            healthy: whether the endpoint works, not whether it liked the event; None when nothing was sent.
        """
        taken = now - self._started.pop(ticket)
        if healthy is None or ticket <= self._began_with:
            return
        known = taken if self._latency is None else self._latency
        self._latency = known + (taken - known) * _SMOOTHING
        if healthy:
            self._failures = 0
            self._cooldown = FIRST_COOLDOWN
            if taken <= self._quickest * _SLOWER:
                self._window = min(self._window + 1, self.limit)
            self._quickest = max(min(taken, self._quickest) * _FORGET, _FIRST_LATENCY)
            return
        self._failures += 1
        self._window = max(1, self._window // 2)
        if self._failures >= TRIP_AFTER and now >= self._closed_until:
            self._closed_until = now + self._cooldown
            self._cooldown = min(self._cooldown * 2, MAX_COOLDOWN)

    def overdue(self, now: float) -> list[Item]:
        """Take out what has queued for ``PATIENCE`` seconds, unless the endpoint gets to it in as many more."""
        found: list[Item] = []
        room = max(0, self._room(self.window(now), now) - len(self._started))
        while len(self._queue) > room and now - self._queue[0][0] >= PATIENCE:
            found.append(self._queue.popleft()[1])
        return found

    def remove(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out what queues and is not wanted any more."""
        found = [item for _, item in self._queue if unwanted(item)]
        self._queue = deque(entry for entry in self._queue if not unwanted(entry[1]))
        return found

    def reserve(self, now: float, not_before: float = 0.0) -> float:
        """When a delivery that did not fit shall come back.

        Each gets a place of its own at the endpoint's present speed, so that they do not all return at once; but none
        later than ``HORIZON`` after it could be sent at all.
        """
        base = max(now, not_before, self._closed_until)
        step = self._seconds_per_request(now) / max(self.limit, 1)
        self._free_at = min(max(self._free_at, base) + step, base + HORIZON)
        return self._free_at

    def _room(self, window: int, now: float) -> int:
        """How many requests the endpoint answers within ``PATIENCE`` at its present speed with such a window."""
        return int(window * PATIENCE / self._seconds_per_request(now))

    def _seconds_per_request(self, now: float) -> float:
        """Smoothed, but no less than the oldest request has already taken: an endpoint that hangs is slow now."""
        oldest = next(iter(self._started.values()), now)
        return max(self._latency or _FIRST_LATENCY, now - oldest, 0.001)


class Lanes(Generic[Item]):
    """The lanes of all endpoints that had deliveries lately."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane[Item]] = {}

    def of(self, endpoint: str, limit: int, edited_at: int = 0) -> Lane[Item]:
        """An endpoint's lane, with the limit that it has now; it begins anew when the endpoint has been edited."""
        lane = self._lanes.get(endpoint)
        if lane is None:
            lane = self._lanes[endpoint] = Lane(limit, edited_at)
        lane.limit = max(1, limit)
        if lane.edited_at < edited_at:
            lane.begin_anew(edited_at)
        return lane

    def all(self) -> list[Lane[Item]]:
        """Every lane."""
        return list(self._lanes.values())

    def forget_idle(self, now: float, idle: float = 2 * MAX_COOLDOWN) -> None:
        """Drop lanes that have had nothing to do for ``idle`` seconds."""
        for endpoint, lane in list(self._lanes.items()):
            if not lane.queued and not lane.in_flight and now - lane.used_at > idle:
                del self._lanes[endpoint]
