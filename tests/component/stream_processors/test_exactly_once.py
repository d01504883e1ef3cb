"""Routers killed, stopped and aborted between produce and commit: every event once, in order, accounted for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.component.stream_processors.installation import PARTITIONS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import Record
    from schemas.delivery import Delivery
    from schemas.event_type import EventType
    from schemas.subscription import Endpoint
    from tests.component.stream_processors.installation import Installation

RATE = 6_000
"""Events per second."""
KEYS = 24
_ROUND = 120
"""Events of one publish; each round has every key equally often."""
_AFTERWARDS = 2
"""Seconds of publishing at ``RATE`` after the last strike."""


async def test_an_abort_drops_the_batches_queued_behind_it(installation: Installation) -> None:
    orders, endpoints = await _two_endpoints(installation)
    events = [f"event-{number}" for number in range(6_000)]
    await installation.producer.send(_records(installation, orders, events))

    with installation.worker(0, fault="abort:3", HEADRACE_PROCESSORS_BATCH_EVENTS="200") as worker:
        found = await asyncio.to_thread(_wait, installation, endpoints, len(events))
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert "aborted by the fault hook" in worker.log
    assert "dropped a batch" in worker.log
    await _assert_exactly_once(installation, orders, endpoints, events, found)


async def test_killed_stopped_and_aborted_routers_route_every_event_once(
    installation: Installation, record_testsuite_property: Callable[[str, object], None]
) -> None:
    orders, endpoints = await _two_endpoints(installation)
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
            found = await asyncio.to_thread(_wait, installation, endpoints, len(events))
            assert await asyncio.to_thread(successor.terminate) == 0, successor.log
        assert await asyncio.to_thread(stopped.terminate) == 0, stopped.log

    record_testsuite_property("kill_test_events_per_second", rate)
    assert "aborted by the fault hook" in successor.log
    await _assert_exactly_once(installation, orders, endpoints, events, found)


async def _two_endpoints(installation: Installation) -> tuple[EventType, list[Endpoint]]:
    orders = await installation.event_type("Order")
    endpoints = [await installation.endpoint(name) for name in ("one", "two")]
    event_filter = await installation.event_filter("Order")
    for endpoint in endpoints:
        await installation.link(event_filter, endpoint)
    return orders, endpoints


def _records(installation: Installation, event_type: EventType, events: Sequence[str]) -> list[Record]:
    keys = itertools.cycle(f"key-{number}" for number in range(KEYS))
    return [installation.event(event_type, event, key=key) for event, key in zip(events, keys, strict=False)]


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
        await installation.producer.send(_records(installation, event_type, batch))
        events += batch
        await asyncio.sleep(max(0.0, began + len(events) / RATE - time.monotonic()))
    return events, len(events) / (time.monotonic() - began)


def _wait(installation: Installation, endpoints: Sequence[Endpoint], events: int) -> list[Delivery]:
    return installation.wait_for_deliveries({each.id for each in endpoints}, len(endpoints) * events, 120)


async def _assert_exactly_once(
    installation: Installation,
    event_type: EventType,
    endpoints: Sequence[Endpoint],
    events: Sequence[str],
    found: Sequence[Delivery],
) -> None:
    times = Counter((each.event, each.endpoint) for each in found)
    assert {pair: count for pair, count in times.items() if count != 1} == {}
    assert times.keys() == {(event, endpoint.id) for event in events for endpoint in endpoints}

    order: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for each in found:
        order[each.endpoint, each.source.partition].append(each.source.offset)
    for offsets in order.values():
        assert offsets == sorted(offsets)

    receipts = await asyncio.to_thread(
        installation.assert_receipts_tile, event_type.topic, await installation.ends(event_type)
    )
    assert sum(each.events for each in receipts) == len(events)
    matched: Counter[str] = Counter()
    for each in receipts:
        for endpoint, hours in each.matched.items():
            matched[endpoint] += sum(hours.values())
    assert matched == {endpoint.id: len(events) for endpoint in endpoints}
