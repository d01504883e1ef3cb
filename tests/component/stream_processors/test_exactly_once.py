"""Routers killed, stopped and aborted between produce and commit: every event once, in order, accounted for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.component.stream_processors.installation import PARTITIONS, wait_until
from tests.component.stream_processors.routed_events import (
    assert_exactly_once,
    event_records,
    two_endpoints,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.model.event_type import EventType
    from tests.component.stream_processors.installation import Installation

RATE = 6_000
"""Events per second."""
_ROUND = 120
"""Events of one publish; each round has every key equally often."""
_AFTERWARDS = 2
"""Seconds of publishing at ``RATE`` after the last strike."""


async def test_an_abort_drops_the_batches_queued_behind_it(installation: Installation) -> None:
    orders, endpoints = await two_endpoints(installation)
    events = [f"event-{number}" for number in range(6_000)]
    await installation.producer.send(event_records(installation, orders, events))

    with installation.worker(0, fault="abort:3", HEADRACE_PROCESSORS_BATCH_EVENTS="200") as worker:
        found = await asyncio.to_thread(wait_for, installation, endpoints, len(events))
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert "aborted by the fault hook" in worker.log
    assert "dropped a batch" in worker.log
    await assert_exactly_once(installation, orders, endpoints, events, found)


async def test_killed_stopped_and_aborted_routers_route_every_event_once(
    installation: Installation, record_testsuite_property: Callable[[str, object], None]
) -> None:
    orders, endpoints = await two_endpoints(installation)
    struck = asyncio.Event()

    with (
        installation.worker(0, fault="kill:15") as killed,
        installation.worker(1, fault="stop:25") as stopped,
    ):
        publishing = asyncio.create_task(_publish_until(struck, installation, orders))
        await asyncio.to_thread(wait_until, lambda: killed.exit_code is not None, 60, "the first worker is killed")
        with installation.worker(0, fault="abort:5", HEADRACE_PROCESSORS_BATCH_EVENTS="500") as successor:
            await asyncio.to_thread(wait_until, lambda: stopped.is_stopped, 60, "the second worker is stopped")
            # Long enough for the group to give its partitions away and for its open transaction to time out.
            taken_over = f'"now": {PARTITIONS}'
            await asyncio.to_thread(
                wait_until, lambda: taken_over in successor.log, 60, "its partitions are taken over"
            )
            stopped.resume()
            struck.set()
            events, rate = await publishing
            found = await asyncio.to_thread(wait_for, installation, endpoints, len(events))
            assert await asyncio.to_thread(successor.terminate) == 0, successor.log
        assert await asyncio.to_thread(stopped.terminate) == 0, stopped.log

    record_testsuite_property("kill_test_events_per_second", rate)
    assert "aborted by the fault hook" in successor.log
    await assert_exactly_once(installation, orders, endpoints, events, found)


async def _publish_until(
    struck: asyncio.Event, installation: Installation, event_type: EventType
) -> tuple[list[str], float]:
    """Publish at ``RATE``, or as fast as a busy machine lets us, until a while after every router was struck.

    Returns:
        The ids of the events, and how many a second there were.
    """
    events: list[str] = []
    began = time.monotonic()
    last: int | None = None
    while last is None or len(events) < last:
        if last is None and struck.is_set():
            last = len(events) + RATE * _AFTERWARDS
        batch = [f"event-{number}" for number in range(len(events), len(events) + _ROUND)]
        await installation.producer.send(event_records(installation, event_type, batch))
        events += batch
        await asyncio.sleep(max(0.0, began + len(events) / RATE - time.monotonic()))
    return events, len(events) / (time.monotonic() - began)
