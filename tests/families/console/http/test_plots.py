"""Plots and formats: what is drawn is what the figures say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from families.console.http import formats
from families.console.http.plots import HEIGHT, hourly_outcomes, latencies, partition_bars

UNTIL = "2026-11-30T20:30:00Z"


def count(hour: int, *, live: bool = True, **outcomes: int) -> dict[str, Any]:
    return {"hour": f"2026-11-30T{hour:02}:00:00Z", "live": live, "outcomes": outcomes}


def test_hours_are_stacked_to_their_share_of_the_highest() -> None:
    plot = hourly_outcomes([count(19, delivered=6, dead=2), count(19, delivered=2), count(20, retrying=5)], UNTIL)
    assert plot.top == "10"
    assert plot.kinds == ("delivered", "dead", "retrying")
    delivered, dead, retrying = plot.marks
    assert (delivered.height, dead.height, retrying.height) == (80, 20, 50)
    assert delivered.y + delivered.height == retrying.y + retrying.height == HEIGHT
    assert dead.y + dead.height == delivered.y
    assert delivered.x < retrying.x < 100
    assert plot.rows == (("2026-11-30 20:00", "0", "0", "5"), ("2026-11-30 19:00", "8", "2", "0"))


def test_replays_and_other_days_are_left_out() -> None:
    plot = hourly_outcomes([count(19, live=False, delivered=9)], UNTIL)
    assert plot.marks == ()
    assert hourly_outcomes([], "not a time").marks == ()


def test_a_latency_is_from_routed_to_delivered() -> None:
    first = datetime(2026, 11, 30, 20, tzinfo=UTC)

    def delivery(second: int, seconds: float, **members: Any) -> dict[str, Any]:
        routed = first + timedelta(seconds=second)
        changed = routed + timedelta(seconds=seconds)
        times = {"routed_at": routed.isoformat(), "changed_at": changed.isoformat()}
        return {**times, "outcome": "delivered", "attempts": 1, **members}

    deliveries = [delivery(each, 0.1) for each in range(98)] + [
        delivery(98, 100.0, attempts=3),
        delivery(99, 1.0),
        delivery(99, 1.0, outcome="dead"),
        delivery(99, 1.0, routed_at=None),
    ]
    plot = latencies(deliveries)
    assert plot.title == "Latency of the last 100 deliveries"
    assert dict(plot.rows) == {"p50": "100 ms", "p95": "100 ms", "p99": "1 s", "slowest": "1 min 40 s"}
    slow = next(mark for mark in plot.marks if mark.kind == "retrying")
    assert slow.y == min(mark.y for mark in plot.marks)
    assert "3 attempts" in slow.title
    assert latencies([]).marks == ()


def test_partitions_are_drawn_to_the_hottest() -> None:
    partitions = [{"partition": 0, "lag": 30}, {"partition": 1, "lag": 10}, {"partition": 2, "lag": None}]
    plot = partition_bars(partitions, "lag", "Lag", "records")
    assert [round(mark.height, 3) for mark in plot.marks] == [100, 33.333]
    assert plot.rows[0] == ("0", "30", "75 %")
    assert partition_bars([], "lag", "Lag", "records").marks == ()


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.number(1_234_567), "1,234,567"),
        (formats.number(0.1234), "0.123"),
        (formats.number(12.34), "12.3"),
        (formats.number(None), "—"),
        (formats.size(1_536), "1.5 KiB"),
        (formats.percent(0.995), "99.5 %"),
        (formats.duration(0.0421), "42 ms"),
        (formats.duration(90_061), "1 d 1 h"),
        (formats.clock("2026-11-30T21:00:00.123+01:00"), "2026-11-30 20:00:00"),
        (formats.clock("soon"), "soon"),
        (formats.ago(None), "—"),
        (formats.short("01a22e34-cb0d-767a-befe-bca0ab9ddc52"), "…bca0ab9ddc52"),
        (formats.pretty('{"a":1}'), '{\n  "a": 1\n}'),
        (formats.pretty("<b>"), "<b>"),
        (formats.line({"a": "x" * 200})[-1], "…"),
        (formats.label("WEB_HOOK"), "web hook"),
        (formats.segment("a/b?c"), "a%2Fb%3Fc"),
    ],
)
def test_values_read_well(shown: str, expected: str) -> None:
    assert shown == expected
