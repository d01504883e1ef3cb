"""Events that a router has to route exactly once, and the proof that it did."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Record
    from schemas.model.delivery import Delivery
    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType
    from tests.component.stream_processors.installation import Installation

KEYS = 24


async def two_endpoints(installation: Installation) -> tuple[EventType, list[Endpoint]]:
    """An event type whose events go to two endpoints."""
    orders = await installation.event_type("Order")
    endpoints = [await installation.endpoint(name) for name in ("one", "two")]
    event_filter = await installation.event_filter("Order")
    for endpoint in endpoints:
        await installation.link(event_filter, endpoint)
    return orders, endpoints


async def neighbour_of(installation: Installation) -> tuple[Installation, EventType, Endpoint]:
    """Another workspace with an event type and an endpoint: where it is alone, nobody waits for a workspace."""
    neighbour = dataclasses.replace(installation, workspace=f"{installation.workspace}-neighbour")
    orders = await neighbour.event_type("Order", partitions=1)
    endpoint = await neighbour.endpoint("all")
    await neighbour.link(await neighbour.event_filter("Order"), endpoint)
    return neighbour, orders, endpoint


async def wide_type(
    installation: Installation, endpoints: int, *, condition: str | None = None
) -> tuple[EventType, list[Endpoint]]:
    """An event type of one partition whose events go to many endpoints."""
    kind = await installation.event_type("Wide", partitions=1)
    made = await asyncio.gather(*(installation.endpoint(f"wide-{number}") for number in range(endpoints)))
    event_filter = await installation.event_filter("Wide", condition=condition)
    await asyncio.gather(*(installation.link(event_filter, endpoint) for endpoint in made))
    return kind, made


def event_records(installation: Installation, event_type: EventType, events: Sequence[str]) -> list[Record]:
    """Events over ``KEYS`` keys in turn."""
    keys = itertools.cycle(f"key-{number}" for number in range(KEYS))
    return [installation.event(event_type, event, key=key) for event, key in zip(events, keys, strict=False)]


def wait_for(installation: Installation, endpoints: Sequence[Endpoint], events: int) -> list[Delivery]:
    """The deliveries of so many events, once all are there."""
    return installation.wait_for_deliveries({each.id for each in endpoints}, len(endpoints) * events, 120)


async def assert_exactly_once(
    installation: Installation,
    event_type: EventType,
    endpoints: Sequence[Endpoint],
    events: Sequence[str],
    found: Sequence[Delivery],
) -> None:
    """Every event once at every endpoint, in order, and accounted for by receipts without gap or overlap."""
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
