from __future__ import annotations

import math

import pytest

from connectors.webhook.retry_schedule import DEFAULT_SCHEDULE, next_delay, parse_retry_after, tier_for
from schemas.model.topics import RETRY_TIERS, SHORTEST_DELAY

NOW = 1_763_697_600.0  # Fri, 21 Nov 2025 04:00:00 GMT


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    assert sum(DEFAULT_SCHEDULE) == (75 * 60 + 35) * 60 + 5
    assert len(DEFAULT_SCHEDULE) + 1 == 10


def test_attempts_are_one_more_than_the_schedule_has_delays() -> None:
    assert next_delay((1.0, 2.0), 1) is not None
    assert next_delay((1.0, 2.0), 2) is not None
    assert next_delay((1.0, 2.0), 3) is None
    assert next_delay((), 1) is None


def test_jitter_adds_a_fifth_at_most_and_does_vary() -> None:
    delays = [next_delay(DEFAULT_SCHEDULE, 2) or 0 for _ in range(200)]
    assert all(300 <= delay <= 360 for delay in delays)
    assert max(delays) - min(delays) > 30


@pytest.mark.parametrize("asked", [0.0, 1.0, 4.9, 5.0, 60.0, 86_400.0])
def test_jitter_never_goes_below_retry_after(asked: float) -> None:
    for _ in range(200):
        delay = next_delay(DEFAULT_SCHEDULE, 1, asked)
        assert delay is not None
        assert max(asked, 5.0) <= delay < max(asked, 5.0) + 1.0 + SHORTEST_DELAY


@pytest.mark.parametrize("schedule", [DEFAULT_SCHEDULE, (1.0,), (7.0,), (61.0, 3_601.0, 86_400.0)])
def test_no_try_comes_before_the_schedule_says(schedule: tuple[float, ...]) -> None:
    for number, scheduled in enumerate(schedule, 1):
        for _ in range(50):
            delay = next_delay(schedule, number)
            assert delay is not None
            assert scheduled <= delay < max(scheduled, 5.0) * 1.2 + SHORTEST_DELAY


@pytest.mark.parametrize("asked", [None, 0.0, 7.0, 86_400.0])
@pytest.mark.parametrize("hop", [0.0, 0.05, 0.3])
def test_the_next_try_is_when_it_is_said_to_be(asked: float | None, hop: float) -> None:
    """On a virtual clock: each record waits its tier's delay, and each move takes ``hop`` seconds."""
    for schedule in ((5.0,), (7.0,), (60.0,), (600.0,), (18_000.0,), (86_400.0,)):
        delay = next_delay(schedule, 1, asked)
        assert delay is not None
        waited, hops = 0.0, 0
        while waited < delay:
            waited += tier_for(delay - waited)[0] + hop
            hops += 1
        assert delay <= waited <= delay + hop * hops + 0.001
        assert waited < delay + SHORTEST_DELAY + hop


def test_a_delay_of_few_tiers_takes_few_hops() -> None:
    left, tiers = 18_000.0, []
    while left > 0:
        tiers.append(tier_for(left)[0])
        left -= tiers[-1] + 0.1
    assert tiers == [7_200, 7_200, 1_800, 1_800]


@pytest.mark.parametrize(
    ("left", "delay"),
    [(0, 5), (-3, 5), (4, 5), (5, 5), (28.9, 5), (29.9, 30), (30, 30), (298, 30), (300, 300), (10**9, 86_400)],
)
def test_the_largest_tier_that_is_not_longer_than_the_time_left_and_a_second(left: float, delay: int) -> None:
    assert tier_for(left) == (delay, RETRY_TIERS[delay])


@pytest.mark.parametrize("total", [1, 5, 7, 31, 299, 4_000, 36_000, 100_000])
def test_tiers_add_up_to_never_early_and_late_by_at_most_the_smallest(total: float) -> None:
    waited = 0.0
    while waited < total:
        waited += tier_for(total - waited)[0]
    assert total <= waited < total + min(RETRY_TIERS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Fri, 21 Nov 2025 04:02:00 GMT", 120.0),
        ("Fri, 21 Nov 2025 03:02:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("1.", None),
        ("1e3", None),
        ("٣", None),
        ("5, 6", None),
        ("", None),
        (None, None),
        ("9" * 400, math.inf),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds
