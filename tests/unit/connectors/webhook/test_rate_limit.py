"""The token bucket by a virtual clock: never more than the limit, and no less when there is work."""

from __future__ import annotations

import random

import pytest

from connectors.webhook.endpoint_queue import HOLD, LIMITED_HORIZON, SHORT_HOLD, EndpointQueue
from connectors.webhook.endpoint_queues import EndpointQueues
from connectors.webhook.rate_limit import TokenBucket
from schemas.model.endpoint import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def limit(per_second: float, burst: int = 1) -> RateLimit:
    return RateLimit(per_second=per_second, burst=burst)


def full(clock: Clock, per_second: float, burst: int = 1) -> TokenBucket:
    return TokenBucket(limit(per_second, burst), float("-inf"), clock)


def limited(clock: Clock, per_second: float, burst: int = 1, *, width: int = 64) -> EndpointQueue[int]:
    queue: EndpointQueue[int] = EndpointQueue(width, clock=clock)
    queue.limit_rate(limit(per_second, burst), float("-inf"))
    return queue


def offered(queue: EndpointQueue[int], count: int, now: float = 0.0, within: float = HOLD) -> int:
    return sum(queue.offer(number, now, (number, 0), within) for number in range(count))


def most_in(times: list[float], seconds: float) -> int:
    """Most of the times that lie within so many seconds."""
    return max(sum(begin <= time < begin + seconds for time in times) for begin in times)


@pytest.mark.parametrize(("per_second", "burst"), [(5.0, 1), (5.0, 20), (0.5, 3), (200.0, 200)])
def test_no_window_of_time_has_more_than_its_share_and_the_burst(per_second: float, burst: int) -> None:
    clock, chance = Clock(), random.Random(7)
    bucket, taken = full(clock, per_second, burst), []
    while len(taken) < 400:
        clock.now += chance.choice((0.0, 0.3, 1.0)) * chance.random() / per_second
        if bucket.take():
            taken.append(clock.now)
    for seconds in (0.1, 1.0, 7.0, 60.0):
        assert most_in(taken, seconds) <= per_second * seconds + burst


def test_who_waits_as_told_loses_nothing_of_the_rate() -> None:
    clock = Clock()
    bucket = full(clock, 10.0, 5)
    for _ in range(1_000):
        clock.now += bucket.wait()
        assert bucket.take()
    assert clock.now - 1_000.0 == pytest.approx((1_000 - 5) / 10.0)


def test_a_new_owner_of_a_partition_begins_with_an_empty_bucket() -> None:
    clock = Clock()
    bucket = TokenBucket(limit(10.0, 20), clock.now, clock)
    assert not bucket.take()
    assert bucket.wait() == pytest.approx(0.1)
    clock.now += 0.5
    assert sum(bucket.take() for _ in range(20)) == 5
    # The partition went away and came back: what the other owner sent meanwhile is not known.
    clock.now += 100
    bucket.empty(clock.now)
    assert not bucket.take()


def test_an_owner_of_long_standing_begins_with_a_full_bucket() -> None:
    clock = Clock()
    bucket = TokenBucket(limit(10.0, 20), clock.now - 60, clock)
    assert sum(bucket.take() for _ in range(30)) == 20


def test_the_wait_of_those_behind_is_known() -> None:
    clock = Clock()
    bucket = full(clock, 2.0, 3)
    assert [bucket.wait(ahead) for ahead in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    while bucket.take():
        pass
    assert bucket.wait(9) == pytest.approx(5.0)
    assert bucket.wait(9, later=1.0) == pytest.approx(4.0)
    assert bucket.wait(9, later=1_000.0) == pytest.approx(3.5)


def test_a_request_that_was_not_made_gives_its_token_back_and_a_second_one_takes_another() -> None:
    clock = Clock()
    queue = limited(clock, 1.0, 2)
    offered(queue, 10)
    taken = queue.take(0.0)
    assert taken is not None
    queue.done(taken[0], 0.0, healthy=None)
    assert queue.take(0.0) is not None
    queue.charge()
    assert queue.take(0.0) is None
    assert queue.token_wait() == pytest.approx(1.0)


def test_an_edit_neither_fills_the_bucket_nor_empties_it() -> None:
    clock = Clock()
    queue = limited(clock, 10.0, 10)
    offered(queue, 60)
    assert sum(queue.take(0.0) is not None for _ in range(4)) == 4
    queue.limit_rate(limit(1.0, 100), 0.0)
    queue.reset(1)
    queue.limit = 1_000
    for ticket in range(1, 5):
        queue.done(ticket, 0.0, healthy=True)
    taken = []
    while found := queue.take(0.0):
        taken.append(found)
        queue.done(found[0], 0.0, healthy=True)
    assert len(taken) == 6


def test_a_queue_holds_what_the_limit_lets_through_in_some_seconds() -> None:
    clock = Clock()
    assert offered(limited(clock, 10.0, 1), 1_000) == 10 * HOLD + 1
    assert offered(limited(clock, 10.0, 50), 1_000) == 10 * HOLD + 50
    assert offered(limited(clock, 10.0, 1), 1_000, within=SHORT_HOLD) == 10 * SHORT_HOLD + 1


def test_a_delivery_whose_token_is_far_away_takes_no_place_in_memory() -> None:
    clock = Clock()
    queue = limited(clock, 0.01)
    assert offered(queue, 100) == 1
    assert queue.take(0.0) is not None
    assert offered(queue, 100) == 0
    assert queue.put_off(0.0, (1, 0)) == pytest.approx(100 - HOLD)
    assert queue.is_limited(0.0)


def test_what_the_limit_puts_off_comes_back_shortly_before_its_turn() -> None:
    clock = Clock()
    queue = limited(clock, 10.0)
    times = [queue.put_off(0.0, (number, 0)) for number in range(2_000)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2_000 / 10.0 - HOLD, abs=1)


def test_a_million_that_wait_come_back_rarely_and_take_little_memory() -> None:
    clock = Clock()
    queues: EndpointQueues[int] = EndpointQueues(clock)
    queue = queues.of("e", 16)
    queue.limit_rate(limit(100.0), 0.0)
    for number in range(200_000):
        queue.put_off(0.0, (number, 0), again=queues.again())
    assert len(queue.backlog) == 200_000
    assert len(queue.backlog._line) == 50_000
    assert queue.put_off(0.0, (200_000, 0)) == LIMITED_HORIZON
    assert queue.put_off(0.0, (100_000, 0)) == pytest.approx(1_000, rel=0.01)


def test_a_queue_is_kept_while_its_bucket_is_not_full() -> None:
    clock = Clock()
    queues: EndpointQueues[int] = EndpointQueues(clock)
    queue = queues.of("e", 4)
    queue.limit_rate(limit(0.001), float("-inf"))
    assert queue.offer(1, 0.0, (1, 0))
    taken = queue.take(0.0)
    assert taken is not None
    queue.done(taken[0], 0.1, healthy=True)
    queues.forget_idle(700.0)
    assert queues.of("e", 4) is queue
    clock.now += 1_000.0
    queues.forget_idle(1_400.0)
    assert queues.of("e", 4) is not queue


def test_an_endpoint_that_is_slower_than_its_limit_is_busy_not_limited() -> None:
    clock = Clock()
    queue = limited(clock, 1_000.0, 1_000, width=1)
    assert queue.offer(1, 0.0, (1, 0))
    assert queue.take(0.0) is not None
    assert not queue.is_limited(10.0)
