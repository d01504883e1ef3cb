from __future__ import annotations

import asyncio

import pytest

from connectors.webhook.stall_clock import StallClock


class Monotonic:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def looked(clock: StallClock) -> None:
    """Until it has looked often enough to know that nobody asks it any more."""
    while clock._looking:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.001)


async def test_it_stands_still_while_the_loop_is_behind() -> None:
    monotonic = Monotonic()
    clock = StallClock(monotonic)
    began = clock.now()
    monotonic.seconds += 0.004
    assert clock.now() - began == pytest.approx(0.004)
    monotonic.seconds += 30.0
    assert clock.now() - began < 0.01
    await looked(clock)
    assert clock.now() - began < 0.01


async def test_it_runs_while_the_loop_keeps_up() -> None:
    monotonic = Monotonic()
    clock = StallClock(monotonic)
    began = clock.now()
    for _ in range(20):
        before = clock._looked_at
        monotonic.seconds += 0.005
        while clock._looked_at == before:
            clock.now()
            await asyncio.sleep(0.001)
    assert clock.now() - began == pytest.approx(0.1)


async def test_the_time_in_which_nobody_asks_counts_whole() -> None:
    monotonic = Monotonic()
    clock = StallClock(monotonic)
    began = clock.now()
    await looked(clock)
    monotonic.seconds += 500.0
    assert clock.now() - began == pytest.approx(500.0)
