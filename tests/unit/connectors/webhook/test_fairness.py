"""An endpoint that is offered more than it takes for a while: first in, first out, whatever waits where.

A simulated clock drives the lane as the connector does, and the retry tiers as the hopper does. Nobody may wait much
longer than in one endless queue in front of the same endpoint.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from connectors.webhook.endpoint_queues import EndpointQueues
from connectors.webhook.rate_limit import TokenBucket
from connectors.webhook.retry_schedule import tier_for
from schemas.model.endpoint import RateLimit
from tests.unit.connectors.webhook.test_rate_limit import most_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.webhook.endpoint_queue import EndpointQueue

TICK = 0.1
HOP = 0.2
"""Seconds that a move off a tier takes: the hopper's poll, its transaction, the worker's poll."""

ALLOWED = 10.0
"""Seconds that a delivery may wait for longer than in one queue."""

SMALLEST_TIER = 5.0


def steady(rate: float, seconds: float, since: float = 0.0) -> list[float]:
    return [since + number / rate for number in range(int(rate * seconds))]


@dataclass(kw_only=True)
class Workload:
    """What one endpoint is sent, and how it answers.

    Attributes:
        arrivals: when deliveries are routed.
        latency: seconds that a request takes that begins at a time.
        limit: requests at once.
        rate: requests per second.
        outages: from when to when no connector runs.
    """

    arrivals: list[float]
    latency: Callable[[float], float]
    limit: int = 16
    rate: RateLimit | None = None
    outages: list[tuple[float, float]] = field(default_factory=list)

    def runs_from(self, now: float) -> float:
        """The earliest time from ``now`` on at which a request can begin."""
        return next((end for begin, end in self.outages if begin <= now < end), now)

    def working_time(self, now: float) -> float:
        """Seconds until ``now`` without the outages."""
        return now - sum(min(now, end) - begin for begin, end in self.outages if begin < now)


def one_queue(work: Workload) -> list[float]:
    """When each delivery is answered by an endpoint with one endless queue."""
    free = [0.0] * work.limit
    answered = []
    clock = VirtualClock()
    tokens = work.rate and TokenBucket(work.rate, 0.0, clock)
    for arrival in sorted(work.arrivals):
        begin = work.runs_from(max(arrival, heapq.heappop(free)))
        if tokens:
            clock.now = begin
            clock.now = begin = begin + tokens.wait()
            assert tokens.take()
        answered.append(begin + work.latency(begin))
        heapq.heappush(free, answered[-1])
    return answered


class VirtualClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Simulation:
    """The connector's way with one endpoint; deliveries are numbered as they were routed."""

    def __init__(self, work: Workload) -> None:
        self.work = work
        self.answered: dict[int, float] = {}
        self.put_off = 0
        self.sent: list[float] = []
        self._clock = VirtualClock()
        self._lanes: EndpointQueues[int] = EndpointQueues(self._clock)
        self._owns_since = 0.0
        self._queued: list[int] = []
        self._events: list[tuple[float, int, str, int]] = []
        self._due: dict[int, float] = {}
        self._tickets: dict[int, tuple[EndpointQueue[int], int]] = {}
        self._count = itertools.count()

    def run(self) -> list[float]:
        """When each delivery was answered."""
        for number, arrival in enumerate(sorted(self.work.arrivals)):
            self._at(arrival, "arrives", number)
        for begin, _ in self.work.outages:
            self._at(begin, "stops", 0)
        self._at(0.0, "ticks", 0)
        while len(self.answered) < len(self.work.arrivals):
            now, _, what, number = heapq.heappop(self._events)
            runs = self.work.runs_from(now)
            self._clock.now = now
            if what == "answers":
                self._answer(number, now)
            elif what == "stops":
                self._stop(runs)
            elif runs > now:
                self._at(runs, what, number)
            elif what == "ticks":
                self._tick(now)
            else:
                self._take(number, now)
        return [self.answered[number] for number in range(len(self.work.arrivals))]

    def _stop(self, runs: float) -> None:
        """The next process reads again what only queued in this one."""
        for queued in self._lane().remove(lambda _: True):
            self._at(runs, "arrives", queued)
        self._lanes = EndpointQueues(self._clock)
        self._owns_since = runs

    def _tick(self, now: float) -> None:
        for late in self._lane().overdue(now):
            self._postpone(late, now)
        self._pump(now)
        self._at(now + TICK, "ticks", 0)

    def _take(self, number: int, now: float) -> None:
        """A delivery that is new, or that has waited on a tier."""
        if self._due.get(number, now) > now:
            self._wait_on_tier(number, now)
        elif self._lane().offer(number, now, (number, 0)):
            self._pump(now)
        else:
            self._postpone(number, now)

    def _at(self, time: float, what: str, number: int) -> None:
        heapq.heappush(self._events, (time, next(self._count), what, number))

    def _lane(self) -> EndpointQueue[int]:
        lane = self._lanes.of("endpoint", self.work.limit)
        lane.limit_rate(self.work.rate, self._owns_since)
        return lane

    def _pump(self, now: float) -> None:
        while (taken := self._lane().take(now)) is not None:
            ticket, number = taken
            self._tickets[number] = self._lane(), ticket
            self.sent.append(now)
            self._at(now + self.work.latency(now), "answers", number)

    def _answer(self, number: int, now: float) -> None:
        lane, ticket = self._tickets.pop(number)
        lane.done(ticket, now, healthy=True)
        self.answered[number] = now
        if self.work.runs_from(now) == now:
            self._pump(now)

    def _postpone(self, number: int, now: float) -> None:
        self.put_off += 1
        self._due[number] = self._lane().put_off(now, (number, 0), again=self._lanes.again())
        self._wait_on_tier(number, now)

    def _wait_on_tier(self, number: int, now: float) -> None:
        self._at(now + tier_for(self._due[number] - now)[0] + HOP, "waited", number)


WORKLOADS = {
    "a little over, then 87 % of capacity": Workload(
        arrivals=steady(29, 150) + steady(23, 200, since=150), latency=lambda _: 0.6
    ),
    "a burst of 30 s, then 75 %": Workload(arrivals=steady(100, 30) + steady(30, 60, since=30), latency=lambda _: 0.4),
    "a fast endpoint and a burst of 5 s": Workload(
        arrivals=steady(1_000, 5) + steady(250, 15, since=5), latency=lambda _: 0.05
    ),
    "3,000 at once, then nothing": Workload(arrivals=[0.0] * 3_000, latency=lambda _: 0.4),
    "a burst every 20 s": Workload(
        arrivals=[arrival for since in range(0, 100, 20) for arrival in steady(700, 2, since=float(since))],
        latency=lambda _: 0.2,
    ),
    "slow, then fast": Workload(arrivals=steady(20, 200), latency=lambda now: 2.0 if now < 100 else 0.05),
    "fast, then slow, then fast": Workload(
        arrivals=steady(20, 250), latency=lambda now: 3.0 if 50 <= now < 150 else 0.2
    ),
    "one request at a time, each longer than a tier's delay": Workload(
        arrivals=steady(0.5, 100), latency=lambda _: 7.0, limit=1
    ),
    "a rate limit, and a burst of 150 s of it": Workload(
        arrivals=steady(100, 30) + steady(15, 60, since=30),
        latency=lambda _: 0.1,
        rate=RateLimit(per_second=20, burst=20),
    ),
    "a rate limit of one request in 20 s": Workload(
        arrivals=steady(1, 20) + steady(0.02, 200, since=20),
        latency=lambda _: 0.1,
        rate=RateLimit(per_second=0.05, burst=1),
    ),
    "a rate limit and two restarts": Workload(
        arrivals=steady(29, 150) + steady(10, 200, since=150),
        latency=lambda _: 0.1,
        rate=RateLimit(per_second=20, burst=5),
        outages=[(80.0, 88.0), (140.0, 160.0)],
    ),
    "two restarts": Workload(
        arrivals=steady(29, 150) + steady(20, 200, since=150),
        latency=lambda _: 0.6,
        outages=[(80.0, 88.0), (140.0, 160.0)],
    ),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_nobody_waits_much_longer_than_in_one_queue(name: str) -> None:
    work = WORKLOADS[name]
    simulation = Simulation(work)
    late = [
        work.working_time(answered) - work.working_time(best)
        for answered, best in zip(simulation.run(), one_queue(work), strict=True)
    ]
    assert simulation.put_off > 0
    if work.rate is not None:
        for seconds in (0.5, 5.0, 60.0):
            assert most_in(simulation.sent, seconds) <= work.rate.per_second * seconds + work.rate.burst + 1e-6
    assert max(late) <= ALLOWED + (SMALLEST_TIER if work.outages else 0.0)
