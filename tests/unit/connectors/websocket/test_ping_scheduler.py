from __future__ import annotations

import time

from connectors.websocket.ping_scheduler import PingScheduler


class Connection:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def ping(self) -> None:
        self.heard.append("ping")

    def expect_pong(self) -> None:
        self.heard.append("pong?")


def test_connections_are_pinged_once_an_interval_and_asked_for_the_pong_in_time() -> None:
    clock = PingScheduler(interval=10, timeout=3)
    connections = [Connection() for _ in range(50)]
    for connection in connections:
        clock.add(connection)

    seconds: list[int] = []
    for second in range(1, 31):
        clock.tick()
        seconds += [second for connection in connections if connection.heard[-1:] == ["ping"] and second <= 10]

    # The first ping comes after half an interval at the earliest, and not for all at once.
    assert min(seconds) >= 5
    assert len(set(seconds)) > 1
    assert {connection.heard.count("ping") for connection in connections} <= {2, 3}


def test_who_left_is_pinged_no_more() -> None:
    clock = PingScheduler(interval=2, timeout=1)
    connection = Connection()
    clock.add(connection)()

    for _ in range(10):
        clock.tick()

    assert connection.heard == []


def test_timers_fire_once_and_in_their_order() -> None:
    clock = PingScheduler(interval=25, timeout=8)
    connection = Connection()
    clock.at(time.time() - 1, connection.expect_pong)
    clock.at(time.time() - 2, connection.ping)
    clock.at(time.time() + 600, connection.ping)

    clock.tick()
    clock.tick()

    assert connection.heard == ["ping", "pong?"]


def test_timers_of_who_is_gone_are_dropped() -> None:
    clock = PingScheduler(interval=25, timeout=8)
    stays = Connection()
    clock.at(time.time() + 600, stays.ping)
    for _ in range(10_000):
        clock.at(time.time() + 600, Connection().ping)
    clock.at(time.time() - 1, Connection().ping)
    clock.tick()

    assert len(clock._timers) < 2_100
    assert any(timer[2]() == stays.ping for timer in clock._timers)
