"""One lane per endpoint: a bounded window of simultaneous requests and a short queue, so that none waits for another.

The queue is in the order of routing: a delivery that comes back from a retry tier goes before all that were routed
later, and the youngest makes room for it. A lane starts nothing and has no clock of its own, so that tests can check
it to the millisecond. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from connectors.backlog import Backlog
from schemas.topics import SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.backlog import Order
    from connectors.offsets import PartitionProgress

Item = TypeVar("Item")

HOLD = 6.0
"""Seconds of an endpoint's work that may queue; the rest goes to a retry tier. It is longer than the smallest tier's
delay: an endpoint has something to do until what waits there is back."""

PATIENCE = 2.0
"""Seconds of an endpoint's work that may queue while the process has much to do; and the least time in the queue
after which a delivery is handed back because the endpoint became slower."""

SOONEST = float(SHORTEST_DELAY)
"""Seconds after which a delivery that was put off can be back at the earliest."""

RETURNS = 500
"""Deliveries per second that come back only to see whether it is their turn already, of all endpoints together."""

FIRST_WINDOW = 4
MAX_QUEUE = 2_000
TRIP_AFTER = 8
"""Failures of the endpoint in a row, until no more requests are tried for a while."""

FIRST_COOLDOWN = 10.0
MAX_COOLDOWN = 300.0
HORIZON = 300.0
"""Most seconds after which a delivery that did not fit comes back, if its endpoint may be called at all by then."""

_FIRST_LATENCY = 0.01
"""Seconds that an endpoint is believed to need until it has answered once or taken longer."""

_SMOOTHING = 0.2

_SLOWER = 2.0
"""An answer that takes so many times as long as the quickest lately says that more requests at once bring nothing."""

_FORGET = 1.01
"""By this factor the quickest answer grows older with each answer: what is slower from now on becomes the measure."""


class _Queued(NamedTuple, Generic[Item]):
    order: Order
    arrival: int
    """Keeps deliveries of the same place apart: what queues is never compared."""
    since: float
    item: Item


class Lane(Generic[Item]):
    """What is known of one endpoint: how fast it answers, how much it may have at once, whether it is worth trying.

    The window grows by one with each answer that is about as quick as the others, and is halved when the endpoint fails
    (no answer, 429, 5xx). After ``TRIP_AFTER`` failures in a row it is 0 for a cool-down that doubles each time; then
    one request probes.

    Args:
        limit: the endpoint's most simultaneous requests.
        edited_at: when the endpoint was last edited, in microseconds since the epoch; see ``begin_anew``.

    Attributes:
        backlog: the deliveries that were put off.
        partition: where they come from, if it is one.
    """

    def __init__(self, limit: int, edited_at: int = 0) -> None:
        self.limit = limit
        self.backlog = Backlog()
        self.partition: PartitionProgress | None = None
        self._queue: list[_Queued[Item]] = []
        self._started: dict[int, float] = {}
        self._arrivals = 0
        self._squeezed_in = 0
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
        self._paused_until = 0.0

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

    def offer(self, item: Item, now: float, order: Order, within: float = HOLD) -> bool:
        """Queue a delivery, unless the queue is full of older ones.

        Args:
            item: the delivery.
            now: seconds.
            order: its place in line.
            within: most seconds of the endpoint's work that may queue, however far the window may yet open.
        """
        self.used_at = now
        self.backlog.came_back(order)
        full = len(self._queue) >= self._most(self._widest(now), now, within)
        if full and (not self._queue or self._queue[-1].order <= order):
            return False
        self._squeezed_in += full
        self._arrivals += 1
        queued = _Queued(order, self._arrivals, now, item)
        if not self._queue or self._queue[-1].order <= order:
            self._queue.append(queued)
        else:
            self._queue.insert(bisect_left(self._queue, (order, self._arrivals)), queued)
        return True

    def take(self, now: float) -> tuple[int, Item] | None:
        """The next delivery to send, with a ticket for ``done``; None while the window is full or the queue empty."""
        if not self._queue or len(self._started) >= self.window(now):
            return None
        self._ticket += 1
        self._started[self._ticket] = now
        return self._ticket, self._queue.pop(0).item

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

    def overdue(self, now: float, within: float = HOLD) -> list[Item]:
        """Take out the youngest: as many as older ones took the place of, and more if the endpoint became slower.

        Args:
            now: seconds.
            within: as ``offer`` has it.
        """
        found: list[Item] = []
        most = self._most(self._widest(now), now, within)
        while self._squeezed_in > 0 and len(self._queue) > most:
            self._squeezed_in -= 1
            found.append(self._queue.pop().item)
        self._squeezed_in = 0
        most = self._most(self.window(now), now, within)
        while len(self._queue) > most and now - self._queue[-1].since >= PATIENCE:
            found.append(self._queue.pop().item)
        return found

    def remove(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out what queues and is not wanted any more."""
        found = [queued.item for queued in self._queue if unwanted(queued.item)]
        self._queue = [queued for queued in self._queue if not unwanted(queued.item)]
        return found

    def put_off(self, now: float, order: Order, not_before: float = 0.0, again: float = SOONEST) -> float:
        """Return when a delivery that did not fit shall come back: shortly before its turn, or to look whether it is.

        Args:
            now: seconds.
            order: the delivery's place in line.
            not_before: when it can be sent at all.
            again: seconds after which it comes back even if many are in front of it, because the endpoint may be
                faster by then.
        """
        self._paused_until = not_before
        base = max(now, not_before, self._closed_until)
        self.backlog.oldest(now)
        ahead = self.backlog.ahead_of(order) + len(self._queue) + len(self._started)
        turn = ahead * self._seconds_per_request(now) / max(self.limit, 1)
        back_at = base + min(max(0.0, turn - HOLD), again, HORIZON)
        self.backlog.put_off(order, back_at)
        return back_at

    def is_held(self, now: float) -> bool:
        """Whether nothing may be sent now: the endpoint asked for a pause, or failed too often."""
        return now < max(self._paused_until, self._closed_until)

    def oldest(self, now: float) -> Order | None:
        """The place of the delivery that waits for the longest, here or on a retry tier; None when none is known."""
        first = self.backlog.oldest(now)
        if self._queue and (first is None or self._queue[0].order < first):
            return self._queue[0].order
        return first

    def _widest(self, now: float) -> int:
        """The window to which the present one may yet open."""
        window = self.window(now)
        return self.limit if window > 1 else window

    def _most(self, window: int, now: float, within: float) -> int:
        """How many may queue: what the endpoint answers within so many seconds, and a window full at the least."""
        return min(MAX_QUEUE, max(window, int(window * within / self._seconds_per_request(now))))

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

    def again(self) -> float:
        """Seconds after which a delivery that was put off may come back to see whether it is its turn.

        The more there are, the longer: what returns too early costs work that all endpoints share.
        """
        return max(SOONEST, sum(len(lane.backlog) for lane in self._lanes.values()) / RETURNS)

    def oldest(self, now: float, *, held: bool = False) -> Order | None:
        """The place of the delivery that waits for the longest, of all lanes that are held or of all the others."""
        lanes = (lane for lane in self._lanes.values() if lane.is_held(now) == held)
        return min((order for lane in lanes if (order := lane.oldest(now)) is not None), default=None)

    def forget_idle(self, now: float, idle: float = 2 * MAX_COOLDOWN) -> None:
        """Drop lanes that have had nothing to do for ``idle`` seconds."""
        for endpoint, lane in list(self._lanes.items()):
            if not lane.in_flight and lane.oldest(now) is None and now - lane.used_at > idle:
                del self._lanes[endpoint]
