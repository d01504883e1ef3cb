from __future__ import annotations

from connectors.webhook.backlog import OVERDUE
from connectors.webhook.endpoint_queue import (
    FIRST_COOLDOWN,
    FIRST_WINDOW,
    HOLD,
    HORIZON,
    LOOK_AGAIN,
    LOOKS,
    MAX_COOLDOWN,
    MAX_QUEUE,
    SHORT_HOLD,
    SOONEST,
    TRIP_AFTER,
    EndpointQueue,
)
from connectors.webhook.endpoint_queues import RETURNS, EndpointQueues
from schemas.model.endpoint import RateLimit


def offer(lane: EndpointQueue[int], number: int, now: float, within: float = HOLD) -> bool:
    """A delivery was routed before all those with greater numbers."""
    return lane.offer(number, now, (number, 0), within)


def fill(lane: EndpointQueue[int], count: int, now: float = 0.0) -> int:
    return sum(offer(lane, number, now) for number in range(count))


def run(lane: EndpointQueue[int], now: float, seconds: float, *, healthy: bool = True) -> None:
    assert offer(lane, 0, now)
    taken = lane.take(now)
    assert taken is not None
    lane.done(taken[0], now + seconds, healthy=healthy)


def trip(lane: EndpointQueue[int], now: float = 0.0) -> None:
    for _ in range(TRIP_AFTER):
        run(lane, now, 0.01, healthy=False)


def test_no_more_than_the_window_is_in_flight() -> None:
    lane: EndpointQueue[int] = EndpointQueue(16)
    fill(lane, 10)
    taken = [lane.take(0.0) for _ in range(10)]
    assert [item is not None for item in taken] == [True] * FIRST_WINDOW + [False] * (10 - FIRST_WINDOW)
    assert lane.in_flight == FIRST_WINDOW


def test_deliveries_leave_in_the_order_they_came() -> None:
    lane: EndpointQueue[int] = EndpointQueue(3)
    fill(lane, 3)
    assert [taken[1] for taken in (lane.take(0.0), lane.take(0.0), lane.take(0.0)) if taken] == [0, 1, 2]


def test_answers_open_the_window_up_to_the_endpoints_limit() -> None:
    lane: EndpointQueue[int] = EndpointQueue(6)
    for _ in range(20):
        run(lane, 0.0, 0.01)
    assert lane.window(1.0) == 6
    lane.limit = 2
    assert lane.window(1.0) == 2


def test_answers_that_take_longer_and_longer_do_not_open_the_window() -> None:
    lane: EndpointQueue[int] = EndpointQueue(64)
    for _ in range(4):
        run(lane, 0.0, 0.1)
    assert lane.window(1.0) == 2 * FIRST_WINDOW
    for _ in range(4):
        run(lane, 0.0, 0.3)
    assert lane.window(1.0) == 2 * FIRST_WINDOW
    for _ in range(200):
        run(lane, 0.0, 0.3)
    assert lane.window(1.0) == 64


def test_a_lane_takes_what_its_endpoint_could_answer_with_its_window_wide_open() -> None:
    lane: EndpointQueue[int] = EndpointQueue(64)
    run(lane, 0.0, 0.1)
    assert fill(lane, 5_000) == MAX_QUEUE
    lane = EndpointQueue(64)
    run(lane, 0.0, 0.4)
    assert fill(lane, 5_000) == 64 * HOLD / 0.4


def test_failures_halve_the_window_and_leave_one() -> None:
    lane: EndpointQueue[int] = EndpointQueue(16)
    for expected in (2, 1, 1):
        run(lane, 0.0, 0.01, healthy=False)
        assert lane.window(1.0) == expected


def test_the_queue_holds_some_seconds_of_an_endpoints_work() -> None:
    lane: EndpointQueue[int] = EndpointQueue(4)
    for _ in range(50):
        run(lane, 0.0, 0.1)
    assert 230 <= fill(lane, 1_000) <= 240
    lane = EndpointQueue(4)
    for _ in range(50):
        run(lane, 0.0, 0.1)
    assert 70 <= sum(offer(lane, number, 0.0, SHORT_HOLD) for number in range(1_000)) <= 80
    assert len(lane.overdue(SHORT_HOLD, SHORT_HOLD)) == 0
    fast: EndpointQueue[int] = EndpointQueue(16)
    for _ in range(50):
        run(fast, 0.0, 0.001)
    assert fill(fast, 2 * MAX_QUEUE) == MAX_QUEUE


def test_an_endpoint_that_never_answered_is_believed_to_be_fast() -> None:
    assert fill(EndpointQueue(3), 5_000) == 3 * HOLD / 0.01


def test_an_endpoint_that_hangs_soon_takes_no_more() -> None:
    lane: EndpointQueue[int] = EndpointQueue(4)
    fill(lane, 4)
    while lane.take(0.0):
        pass
    assert fill(lane, 100, now=10.0) == FIRST_WINDOW


def test_what_comes_back_goes_before_all_that_were_routed_later() -> None:
    lane: EndpointQueue[int] = EndpointQueue(1)
    for number in (5, 3, 8, 4):
        assert offer(lane, number, 0.0)
    left = []
    while taken := lane.take(0.0):
        left.append(taken[1])
        lane.done(taken[0], 0.0, healthy=True)
    assert left == [3, 4, 5, 8]


def test_the_youngest_makes_room_for_an_older_one() -> None:
    lane: EndpointQueue[int] = EndpointQueue(1)
    run(lane, 0.0, 2.0)
    assert [offer(lane, number, 2.0) for number in (10, 20, 30, 40)] == [True, True, True, False]
    assert offer(lane, 15, 2.0)
    assert lane.overdue(2.0) == [30]
    assert [taken[1] for _ in range(1) if (taken := lane.take(2.0))] == [10]


def test_what_a_slower_endpoint_will_not_get_to_is_handed_back_from_the_end() -> None:
    lane: EndpointQueue[int] = EndpointQueue(2)
    fill(lane, 10)
    while lane.take(0.0):
        pass
    assert lane.overdue(SHORT_HOLD - 0.01) == []
    assert lane.overdue(SHORT_HOLD) == [9, 8]
    assert lane.overdue(HOLD) == [7, 6, 5, 4]
    # However slow it is, a window full stays: they are the next.
    assert lane.overdue(100 * HOLD) == []
    assert lane.queued == 2


def test_what_a_quick_endpoint_gets_to_soon_is_not_handed_back() -> None:
    lane: EndpointQueue[int] = EndpointQueue(2)
    for _ in range(50):
        run(lane, 0.0, 0.1)
    fill(lane, 100)
    assert lane.overdue(2 * HOLD) == []


def test_a_closed_lane_hands_back_all_that_queues() -> None:
    lane: EndpointQueue[int] = EndpointQueue(32)
    for _ in range(40):
        run(lane, 0.0, 0.01)
    fill(lane, 20)
    tickets = [taken[0] for _ in range(TRIP_AFTER) if (taken := lane.take(0.0))]
    for ticket in tickets:
        lane.done(ticket, 1.0, healthy=False)
    assert lane.overdue(1.0) == []
    assert sorted(lane.overdue(SHORT_HOLD)) == list(range(TRIP_AFTER, 20))


def test_failures_in_a_row_close_the_lane_and_one_request_probes() -> None:
    lane: EndpointQueue[int] = EndpointQueue(16)
    trip(lane)
    assert lane.window(1.0) == 0
    assert not offer(lane, 0, 1.0)
    after = FIRST_COOLDOWN + 0.01
    assert lane.window(after) == 1
    run(lane, after, 0.01)
    assert lane.window(after + 0.01) > 1


def test_each_probe_that_fails_doubles_the_cooldown_up_to_a_bound() -> None:
    lane: EndpointQueue[int] = EndpointQueue(16)
    trip(lane)
    now, cooldown = 0.01, FIRST_COOLDOWN
    for _ in range(12):
        assert lane.window(now + cooldown - 0.1) == 0
        now += cooldown
        assert lane.window(now) == 1
        run(lane, now, 0.0, healthy=False)
        cooldown = min(cooldown * 2, MAX_COOLDOWN)


def test_requests_that_were_under_way_do_not_close_it_for_longer() -> None:
    lane: EndpointQueue[int] = EndpointQueue(32)
    for _ in range(40):
        run(lane, 0.0, 0.01)
    fill(lane, 32)
    tickets = [taken[0] for _ in range(32) if (taken := lane.take(0.0))]
    for ticket in tickets:
        lane.done(ticket, 1.0, healthy=False)
    assert lane.window(1.0 + FIRST_COOLDOWN) == 1


def test_what_does_not_fit_comes_back_shortly_before_its_turn() -> None:
    lane: EndpointQueue[int] = EndpointQueue(4)
    for _ in range(50):
        run(lane, 0.0, 0.4)
    times = [lane.put_off(100.0, (number, 0), again=HORIZON) for number in range(200)]
    assert times == sorted(times)
    assert 100.0 + 200 * 0.1 - HOLD - 1 <= times[-1] <= 100.0 + 200 * 0.1 - HOLD


def test_places_are_given_up_once_nobody_is_in_front() -> None:
    lane: EndpointQueue[int] = EndpointQueue(1)
    run(lane, 0.0, 1.0)
    for number in range(100):
        lane.put_off(1.0, (number, 0), again=HORIZON)
    for number in range(100):
        lane.backlog.came_back((number, 0))
    assert lane.put_off(200.0, (1_000, 0), again=HORIZON) == 200.0


def test_those_that_never_came_back_are_not_waited_for() -> None:
    lane: EndpointQueue[int] = EndpointQueue(1)
    run(lane, 0.0, 1.0)
    for number in range(100):
        lane.put_off(1.0, (number, 0))
    assert lane.oldest(30.0) == (0, 0)
    assert lane.oldest(1.0 + SOONEST + OVERDUE + 1) is None
    assert lane.put_off(1_000.0, (1_000, 0), again=HORIZON) == 1_000.0


def test_what_comes_back_is_not_before_the_pause_ends_nor_long_after() -> None:
    lane: EndpointQueue[int] = EndpointQueue(1)
    times = [lane.put_off(0.0, (number, 0), 1_000.0, again=1e9) for number in range(10_000)]
    assert all(1_000.0 <= time <= 1_000.0 + HORIZON for time in times)
    assert lane.is_held(999.0)
    assert not lane.is_held(1_000.0)


def test_what_waits_for_a_closed_lane_looks_again_before_a_long_cooldown_ends() -> None:
    lane: EndpointQueue[int] = EndpointQueue(4)
    lane.close(0.0, MAX_COOLDOWN)
    assert lane.is_held(1.0)
    assert lane.put_off(1.0, (1, 0)) == 1.0 + SOONEST
    assert lane.put_off(1.0, (2, 0)) == 1.0 + LOOK_AGAIN
    assert lane.put_off(MAX_COOLDOWN - 10.0, (3, 0), again=20.0) == MAX_COOLDOWN
    assert lane.put_off(1.0, (0, 0), again=40.0, crowded=True) == 41.0


def test_many_that_wait_for_an_endpoint_look_more_rarely() -> None:
    lane: EndpointQueue[int] = EndpointQueue(4)
    times = [lane.put_off(0.0, (number, 0), 86_400.0) for number in range(100 * LOOKS + 1)]
    assert times[1] == LOOK_AGAIN
    assert times[-1] == 100.0


def test_the_more_there_are_the_rarer_they_come_back_too_early() -> None:
    lanes: EndpointQueues[int] = EndpointQueues()
    assert lanes.again() == SOONEST
    for number in range(10 * RETURNS):
        lanes.of(f"e{number % 3}", 1).put_off(0.0, (number, 0))
    assert lanes.again() == 10.0


def test_the_oldest_of_all_that_wait_is_known() -> None:
    lanes: EndpointQueues[int] = EndpointQueues()
    assert lanes.oldest(0.0) is None
    first, second, third = (lanes.of(name, 1) for name in "abc")
    offer(first, 7, 0.0)
    second.put_off(0.0, (3, 0))
    third.put_off(0.0, (1, 0), 100.0)
    assert lanes.oldest(1.0) == (3, 0)
    assert lanes.oldest(1.0, held=True) == (1, 0)
    offer(second, 3, 2.0)
    second.take(2.0)
    assert lanes.oldest(2.0) == (7, 0)


def test_lanes_are_kept_while_they_have_work_or_memory() -> None:
    lanes: EndpointQueues[int] = EndpointQueues()
    busy, idle = lanes.of("busy", 4), lanes.of("idle", 4)
    offer(busy, 1, 0.0)
    lanes.forget_idle(10_000.0)
    assert lanes.of("busy", 4) is busy
    assert lanes.of("idle", 4) is not idle


def test_an_endpoint_that_was_edited_is_tried_at_once() -> None:
    lanes: EndpointQueues[int] = EndpointQueues()
    trip(lanes.of("mended", 16, 1))
    assert lanes.of("mended", 16, 1).window(1.0) == 0
    lane = lanes.of("mended", 16, 2)
    assert lane.window(1.0) == 1
    assert offer(lane, 0, 1.0)
    run(lane, 1.0, 0.01)
    assert lane.window(1.0) > FIRST_WINDOW


def test_one_failure_closes_an_endpoint_that_an_edit_has_not_mended() -> None:
    lane: EndpointQueue[int] = EndpointQueue(16)
    lane.close(0.0, MAX_COOLDOWN)
    lane.reset(1)
    run(lane, 1.0, 0.0, healthy=False)
    assert 1.0 < lane.closed_for(1.0) + 1.0 <= 1.0 + FIRST_COOLDOWN
    lane.reset(2)
    run(lane, 1.0, 0.0)
    lane.reset(3)
    assert lane.window(1.0) == FIRST_WINDOW


def test_what_was_under_way_when_it_was_edited_says_nothing_of_the_endpoint() -> None:
    lanes: EndpointQueues[int] = EndpointQueues()
    lane = lanes.of("edited", 32, 1)
    for _ in range(40):
        run(lane, 0.0, 0.01)
    fill(lane, 2 * TRIP_AFTER)
    before = [taken[0] for _ in range(TRIP_AFTER) if (taken := lane.take(0.0))]
    lanes.of("edited", 32, 2)
    for ticket in before:
        lane.done(ticket, 1.0, healthy=False)
    assert lane.window(1.0) == FIRST_WINDOW
    assert lane.in_flight == 0
    after = [taken[0] for _ in range(FIRST_WINDOW) if (taken := lane.take(1.0))]
    lane.done(after[0], 1.01, healthy=False)
    assert lane.window(1.01) < FIRST_WINDOW


def test_a_test_send_passes_the_breaker_but_neither_the_limit_nor_the_window() -> None:
    lane: EndpointQueue[int] = EndpointQueue(2)
    lane.close(0.0, MAX_COOLDOWN)
    lane.put_off(0.0, (2, 0))
    failing, working = lane.begin_test(1.0, (1, 0)), lane.begin_test(1.0, (2, 0))
    assert lane.oldest(1.0) is None
    assert failing is not None
    assert working is not None
    assert lane.begin_test(1.0, (3, 0)) is None
    lane.done(failing, 2.0, healthy=False)
    assert (lane.window(2.0), lane.closed_for(2.0)) == (0, MAX_COOLDOWN - 2.0)
    lane.done(working, 2.0, healthy=True)
    assert lane.window(2.0) == 1

    lane.limit_rate(RateLimit(per_second=0.001, burst=1), 0.0)
    lane.charge()
    assert lane.begin_test(3.0, (3, 0)) is None
