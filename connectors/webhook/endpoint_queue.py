"""One queue per endpoint, with a bounded window of simultaneous requests, so that no endpoint waits for another.

A queue is in the order of routing: a delivery that comes back from a retry tier goes before all that were routed
later, and the youngest makes room for it. A queue starts nothing and is told the time, so that tests can check it to
the millisecond. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from connectors.webhook.backlog import Backlog
from connectors.webhook.rate_limit import TokenBucket
from schemas.model.topics import SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.shared.offsets import PartitionProgress
    from connectors.webhook.backlog import Order
    from schemas.model.endpoint import RateLimit

Item = TypeVar("Item")

HOLD = 6.0
"""Seconds of an endpoint's work that may queue; the rest goes to a retry tier. It is longer than the smallest tier's
delay, so that an endpoint has work until deliveries come back from there."""

SHORT_HOLD = 2.0
"""``HOLD`` while the process has much to do. Also the least time in the queue, after which a delivery is handed back
because the endpoint became slower."""

SOONEST = float(SHORTEST_DELAY)
"""Seconds after which a delivery that was put off comes back at the earliest."""

FIRST_WINDOW = 4
MAX_QUEUE = 2_000
TRIP_AFTER = 8
"""Failures in a row that open the circuit breaker: no requests for a cool-down."""

FIRST_COOLDOWN = 10.0
MAX_COOLDOWN = 300.0
HORIZON = 300.0
"""Longest delay, in seconds, of a delivery that did not fit, once its endpoint may be called."""

LOOK_AGAIN = 30.0
"""Longest delay, in seconds, of a delivery whose endpoint may not be called now: an edit may have mended it. The first
in line for a probe looks more often."""

LOOKS = 50
"""Deliveries per second, of one endpoint, that come back only for that."""

LIMITED_HORIZON = 1_800.0
"""Longest delay, in seconds, of a delivery that the rate limit puts off. It is a retry tier's, so that a great backlog
costs one move per delivery and half an hour; a limit that was raised is felt by then."""

_FIRST_LATENCY = 0.01
"""Latency of an endpoint, in seconds, that is assumed until one was measured."""

_SMOOTHING = 0.2

_SLOWER = 2.0
"""The window grows no more when a response takes this many times the best latency."""

_FORGET = 1.01
"""Decay of the best latency per response, so that a slower endpoint becomes the new baseline."""


class _Queued(NamedTuple, Generic[Item]):
    order: Order
    arrival: int
    """Orders deliveries of the same place: items cannot be compared."""
    since: float
    item: Item


class EndpointQueue(Generic[Item]):
    """The queue of one endpoint, its latency, its window and its circuit breaker.

    The window grows by one with each response that is about as quick as the others, and is halved when the endpoint
    fails (no response, 429, 5xx). After ``TRIP_AFTER`` failures in a row it is 0 for a cool-down that doubles each
    time; then one request probes.

    Args:
        limit: the endpoint's most simultaneous requests.
        edited_at: when the endpoint was last edited, in microseconds since the epoch; see ``reset``.
        clock: of the rate limit, monotonic seconds.

    Attributes:
        backlog: the deliveries that were put off.
        partition: the partition that all of them come from, if it is one.
        wakes: whether its owner has a timer for the next token.
        is_new: whether its owner has not looked yet how a former owner of the partition left the endpoint.
    """

    def __init__(self, limit: int, edited_at: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.backlog = Backlog()
        self.partition: PartitionProgress | None = None
        self.wakes = False
        self.is_new = True
        self._clock = clock
        self._bucket: TokenBucket | None = None
        self._queue: list[_Queued[Item]] = []
        self._started: dict[int, float] = {}
        self._arrivals = 0
        self._squeezed_in = 0
        self._ticket = 0
        self._tests: set[int] = set()
        self.used_at = 0.0
        self._failures = 0
        self.reset(edited_at)

    def reset(self, edited_at: int) -> None:
        """Forget latency and failures: the endpoint was edited, and may be another server now.

        An open circuit breaker becomes half-open: one request probes. Requests in flight keep their place, but their
        responses do not count.
        """
        self._failures = TRIP_AFTER if self._failures >= TRIP_AFTER else 0
        self.edited_at = edited_at
        self._began_with = self._ticket
        self._window = min(FIRST_WINDOW, self.limit)
        self._latency: float | None = None
        self._quickest = float("inf")
        self._cooldown = FIRST_COOLDOWN
        self._closed_until = 0.0
        self._paused_until = 0.0

    @property
    def queued(self) -> int:
        """Deliveries that wait for room in the window."""
        return len(self._queue)

    @property
    def first(self) -> Item | None:
        """The first delivery that waits for room in the window."""
        return self._queue[0].item if self._queue else None

    @property
    def in_flight(self) -> int:
        """Requests in flight."""
        return len(self._started)

    def limit_rate(self, limit: RateLimit | None, since: float) -> None:
        """Apply the endpoint's rate limit as it is now.

        Args:
            limit: None is none.
            since: when this process got the endpoint's partition, by the rate limit's clock. Tokens from before that
                belong to another owner.
        """
        if limit is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(limit, since, self._clock)
        else:
            self._bucket.empty(since)
            if self._bucket.limit != limit:
                self._bucket.change(limit)

    def token_wait(self) -> float:
        """Seconds until the rate limit allows the next delivery; 0 when it does, or when none waits."""
        return self._bucket.wait() if self._bucket is not None and self._queue else 0.0

    def charge(self) -> None:
        """Count a request beyond the one that ``take`` stands for."""
        if self._bucket is not None:
            self._bucket.charge()

    def window(self, now: float) -> int:
        """Most requests in flight; 0 during a cool-down."""
        if now < self._closed_until:
            return 0
        return 1 if self._failures >= TRIP_AFTER else min(self._window, self.limit)

    def closed_for(self, now: float) -> float:
        """Seconds that the cool-down still lasts."""
        return max(0.0, self._closed_until - now)

    def close(self, now: float, seconds: float) -> None:
        """Begin with an open circuit breaker: a former owner of the partition found the endpoint failing."""
        self._failures = TRIP_AFTER
        self._closed_until = now + min(seconds, MAX_COOLDOWN)
        self._cooldown = min(max(2 * seconds, FIRST_COOLDOWN), MAX_COOLDOWN)

    def offer(self, item: Item, now: float, order: Order, within: float = HOLD) -> bool:
        """Queue a delivery; return False when the queue is full of older ones.

        Args:
            item: the delivery.
            now: seconds.
            order: its place in line.
            within: most seconds of the endpoint's work that may queue, counted with the widest window.
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
        """Take the next delivery, with a ticket for ``done``; None while the window is full or nothing waits.

        None, too, while the rate limit allows no request: ``token_wait`` tells for how long.
        """
        if not self._queue or len(self._started) >= self.window(now):
            return None
        if self._bucket is not None and not self._bucket.take():
            return None
        self._ticket += 1
        self._started[self._ticket] = now
        return self._ticket, self._queue.pop(0).item

    def begin_test(self, now: float, order: Order) -> int | None:
        """Start a test send, with a ticket for ``done``, whatever the circuit breaker says.

        None while the endpoint has its most requests, or the rate limit allows none.

        Args:
            now: seconds.
            order: its place in line, where it may have been put off.
        """
        self.backlog.came_back(order)
        if len(self._started) >= self.limit or (self._bucket is not None and not self._bucket.take()):
            return None
        self.used_at = now
        self._ticket += 1
        self._started[self._ticket] = now
        self._tests.add(self._ticket)
        return self._ticket

    def done(self, ticket: int, now: float, *, healthy: bool | None) -> None:
        """Take note that a request has ended. A test send that succeeds makes an open circuit breaker half-open.

        Args:
            ticket: as ``take`` or ``begin_test`` gave it.
            now: seconds.
            healthy: whether the endpoint works, whatever it said to the event; None when nothing was sent.
        """
        taken = now - self._started.pop(ticket)
        if healthy is None and self._bucket is not None:
            self._bucket.give_back()
        if ticket in self._tests:
            self._tests.remove(ticket)
            if healthy:
                self._closed_until = min(self._closed_until, now)
            return
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
        """Take out the youngest: those whose place older ones took, and more if the endpoint became slower.

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
        while len(self._queue) > most and now - self._queue[-1].since >= SHORT_HOLD:
            found.append(self._queue.pop().item)
        return found

    def remove(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out the waiting deliveries that are unwanted."""
        found = [queued.item for queued in self._queue if unwanted(queued.item)]
        self._queue = [queued for queued in self._queue if not unwanted(queued.item)]
        return found

    def put_off(
        self, now: float, order: Order, not_before: float = 0.0, again: float = SOONEST, *, crowded: bool = False
    ) -> float:
        """Put a delivery on the backlog; return when it comes back: shortly before its turn, or to see whether it is.

        While the endpoint may not be called, that is in ``LOOK_AGAIN`` at the latest, unless very many wait.

        Args:
            now: seconds.
            order: the delivery's place in line.
            not_before: when it can be sent at all.
            again: seconds after which it comes back even if many are in front of it, because the endpoint may be
                faster by then.
            crowded: it waits for room in the process and not for the endpoint: it comes back no earlier than that.
        """
        self.backlog.came_back(order)
        self._paused_until = not_before
        base = max(now, not_before, self._closed_until)
        self.backlog.oldest(now)
        ahead = self.backlog.ahead_of(order) + len(self._queue) + len(self._started)
        turn = ahead * self._seconds_per_request(now) / max(self.limit, 1)
        wait = min(again if crowded else max(0.0, turn - HOLD), again, HORIZON)
        if self._bucket is not None:
            # Unlike a slow endpoint, a limit does not become faster unless somebody edits it.
            turn = self._bucket.wait(ahead - len(self._started), base - now)
            wait = max(wait, min(turn - HOLD, max(LIMITED_HORIZON, again)))
        back_at = base + wait
        if base > now:
            probes = ahead == 0 and not_before <= now and not crowded
            back_at = min(back_at, now + (again if probes else max(LOOK_AGAIN, again, len(self.backlog) / LOOKS)))
        self.backlog.put_off(order, back_at)
        return back_at

    def is_limited(self, now: float) -> bool:
        """Whether deliveries that do not fit wait for the rate limit, and not for the endpoint."""
        if self._bucket is None or self.is_held(now):
            return False
        return self._bucket.limit.per_second * self._seconds_per_request(now) < max(self.limit, 1)

    def is_held(self, now: float) -> bool:
        """Whether nothing may be sent now, because the endpoint asked for a pause or failed too often."""
        return now < max(self._paused_until, self._closed_until)

    def oldest(self, now: float) -> Order | None:
        """The place of the delivery that has waited for the longest, here or on a retry tier, if there is one."""
        first = self.backlog.oldest(now)
        if self._queue and (first is None or self._queue[0].order < first):
            return self._queue[0].order
        return first

    def _widest(self, now: float) -> int:
        """The widest window that the present one may grow to."""
        window = self.window(now)
        return self.limit if window > 1 else window

    @property
    def is_rested(self) -> bool:
        """Whether nothing is lost with it: neither places in line nor requests that the rate limit still counts."""
        return not (self._started or self._queue or self.backlog) and (self._bucket is None or self._bucket.is_full)

    def _most(self, window: int, now: float, within: float) -> int:
        """Most deliveries that may queue: the endpoint's work of ``within`` seconds, but at least a full window.

        A rate limit allows no more than its tokens of these seconds, and so maybe none.
        """
        most = min(MAX_QUEUE, max(window, int(window * within / self._seconds_per_request(now))))
        return most if self._bucket is None else min(most, max(0, self._bucket.allowance(within)))

    def _seconds_per_request(self, now: float) -> float:
        """The smoothed latency, but at least the age of the oldest request: an endpoint that hangs is slow now."""
        oldest = next(iter(self._started.values()), now)
        return max(self._latency or _FIRST_LATENCY, now - oldest, 0.001)
