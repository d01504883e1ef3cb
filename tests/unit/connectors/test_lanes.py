from __future__ import annotations

from connectors.lanes import (
    FIRST_COOLDOWN,
    FIRST_WINDOW,
    HORIZON,
    MAX_COOLDOWN,
    MAX_QUEUE,
    PATIENCE,
    TRIP_AFTER,
    Lane,
    Lanes,
)


def fill(lane: Lane[int], count: int, now: float = 0.0) -> int:
    return sum(lane.offer(number, now) for number in range(count))


def run(lane: Lane[int], now: float, seconds: float, *, healthy: bool = True) -> None:
    assert lane.offer(0, now)
    taken = lane.take(now)
    assert taken is not None
    lane.done(taken[0], now + seconds, healthy=healthy)


def trip(lane: Lane[int], now: float = 0.0) -> None:
    for _ in range(TRIP_AFTER):
        run(lane, now, 0.01, healthy=False)


def test_no_more_than_the_window_is_in_flight() -> None:
    lane: Lane[int] = Lane(16)
    fill(lane, 10)
    taken = [lane.take(0.0) for _ in range(10)]
    assert [item is not None for item in taken] == [True] * FIRST_WINDOW + [False] * (10 - FIRST_WINDOW)
    assert lane.in_flight == FIRST_WINDOW


def test_deliveries_leave_in_the_order_they_came() -> None:
    lane: Lane[int] = Lane(3)
    fill(lane, 3)
    assert [taken[1] for taken in (lane.take(0.0), lane.take(0.0), lane.take(0.0)) if taken] == [0, 1, 2]


def test_answers_open_the_window_up_to_the_endpoints_limit() -> None:
    lane: Lane[int] = Lane(6)
    for _ in range(20):
        run(lane, 0.0, 0.01)
    assert lane.window(1.0) == 6
    lane.limit = 2
    assert lane.window(1.0) == 2


def test_answers_that_take_longer_and_longer_do_not_open_the_window() -> None:
    lane: Lane[int] = Lane(64)
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
    lane: Lane[int] = Lane(64)
    run(lane, 0.0, 0.1)
    assert fill(lane, 5_000) == 64 * PATIENCE / 0.1


def test_failures_halve_the_window_and_leave_one() -> None:
    lane: Lane[int] = Lane(16)
    for expected in (2, 1, 1):
        run(lane, 0.0, 0.01, healthy=False)
        assert lane.window(1.0) == expected


def test_the_queue_holds_what_a_fast_endpoint_takes_within_the_patience() -> None:
    lane: Lane[int] = Lane(4)
    for _ in range(50):
        run(lane, 0.0, 0.1)
    assert 70 <= fill(lane, 1_000) <= 80
    fast: Lane[int] = Lane(16)
    for _ in range(50):
        run(fast, 0.0, 0.001)
    assert fill(fast, 2 * MAX_QUEUE) == MAX_QUEUE


def test_an_endpoint_that_never_answered_is_believed_to_be_fast() -> None:
    assert fill(Lane(4), 1_000) == 800


def test_an_endpoint_that_hangs_soon_takes_no_more() -> None:
    lane: Lane[int] = Lane(4)
    fill(lane, 4)
    while lane.take(0.0):
        pass
    assert fill(lane, 100, now=10.0) == FIRST_WINDOW


def test_what_queues_for_too_long_is_handed_back() -> None:
    lane: Lane[int] = Lane(1)
    lane.offer(1, 0.0)
    lane.offer(2, 0.0)
    lane.take(0.0)
    assert lane.overdue(PATIENCE - 0.01) == []
    assert lane.overdue(PATIENCE) == [2]
    assert lane.queued == 0


def test_what_a_quick_endpoint_gets_to_soon_is_not_handed_back() -> None:
    lane: Lane[int] = Lane(2)
    for _ in range(50):
        run(lane, 0.0, 0.1)
    fill(lane, 40)
    assert lane.overdue(2 * PATIENCE) == []
    fill(lane, 5, now=0.5)
    assert lane.overdue(2 * PATIENCE) == []
    while lane.take(2 * PATIENCE):
        pass
    hung = lane.overdue(4 * PATIENCE)
    assert lane.queued <= 1
    assert hung == sorted(hung)


def test_failures_in_a_row_close_the_lane_and_one_request_probes() -> None:
    lane: Lane[int] = Lane(16)
    trip(lane)
    assert lane.window(1.0) == 0
    assert not lane.offer(0, 1.0)
    after = FIRST_COOLDOWN + 0.01
    assert lane.window(after) == 1
    run(lane, after, 0.01)
    assert lane.window(after + 0.01) > 1


def test_each_probe_that_fails_doubles_the_cooldown_up_to_a_bound() -> None:
    lane: Lane[int] = Lane(16)
    trip(lane)
    now, cooldown = 0.01, FIRST_COOLDOWN
    for _ in range(12):
        assert lane.window(now + cooldown - 0.1) == 0
        now += cooldown
        assert lane.window(now) == 1
        run(lane, now, 0.0, healthy=False)
        cooldown = min(cooldown * 2, MAX_COOLDOWN)


def test_requests_that_were_under_way_do_not_close_it_for_longer() -> None:
    lane: Lane[int] = Lane(32)
    for _ in range(40):
        run(lane, 0.0, 0.01)
    fill(lane, 32)
    tickets = [taken[0] for _ in range(32) if (taken := lane.take(0.0))]
    for ticket in tickets:
        lane.done(ticket, 1.0, healthy=False)
    assert lane.window(1.0 + FIRST_COOLDOWN) == 1


def test_what_does_not_fit_comes_back_spread_out() -> None:
    lane: Lane[int] = Lane(4)
    for _ in range(50):
        run(lane, 0.0, 0.4)
    times = [lane.reserve(100.0) for _ in range(20)]
    assert times == sorted(set(times))
    assert 101.5 <= times[-1] <= 102.5


def test_what_comes_back_is_not_before_the_pause_ends_nor_long_after() -> None:
    lane: Lane[int] = Lane(1)
    times = [lane.reserve(0.0, 1_000.0) for _ in range(10_000)]
    assert all(1_000.0 <= time <= 1_000.0 + HORIZON for time in times)


def test_a_closed_lane_sends_them_past_its_cooldown() -> None:
    lane: Lane[int] = Lane(4)
    trip(lane)
    assert lane.reserve(1.0) >= FIRST_COOLDOWN


def test_lanes_are_kept_while_they_have_work_or_memory() -> None:
    lanes: Lanes[int] = Lanes()
    busy, idle = lanes.of("busy", 4), lanes.of("idle", 4)
    busy.offer(1, 0.0)
    lanes.forget_idle(10_000.0)
    assert lanes.of("busy", 4) is busy
    assert lanes.of("idle", 4) is not idle


def test_an_endpoint_that_was_edited_is_tried_at_once() -> None:
    lanes: Lanes[int] = Lanes()
    trip(lanes.of("mended", 16, 1))
    assert lanes.of("mended", 16, 1).window(1.0) == 0
    lane = lanes.of("mended", 16, 2)
    assert lane.window(1.0) == FIRST_WINDOW
    assert lane.offer(0, 1.0)


def test_what_was_under_way_when_it_was_edited_says_nothing_of_the_endpoint() -> None:
    lanes: Lanes[int] = Lanes()
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
