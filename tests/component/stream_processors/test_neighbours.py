"""What one workspace makes expensive, another does not wait for."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING

from schemas.model import timestamps
from tests.component.stream_processors.routed_events import assert_exactly_once, neighbour_of, wide_type

if TYPE_CHECKING:
    from schemas.model.delivery import Delivery
    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType
    from tests.component.stream_processors.installation import Installation

SUFFIXES = json.dumps({"data": {"a": [{"suffix": f"x{number}"} for number in range(1_500)]}})
"""As it could be stored before there was a bound."""

ARRAY = json.dumps({"a": [""] * 200_000})
EXPENSIVE = json.dumps({"a": ["y"] * 60})
"""Within the budget, but of some 10 ms each."""

LINES = 400

MOST_MICROSECONDS = 1_000_000
"""On a machine that does much else besides; it was minutes."""


async def test_a_hostile_condition_costs_its_own_subscription_and_nobody_else(installation: Installation) -> None:
    attacker, victim = installation, dataclasses.replace(installation, workspace=f"{installation.workspace}-victim")
    arrays, orders = await attacker.event_type("Array", partitions=1), await victim.event_type("Order", partitions=1)
    hostile, fair, other = [
        await attacker.endpoint("hostile"),
        await attacker.endpoint("fair"),
        await victim.endpoint("v"),
    ]
    await attacker.link(await attacker.event_filter("Array", condition=SUFFIXES), hostile)
    await attacker.link(await attacker.event_filter("Array"), fair)
    await victim.link(await victim.event_filter("Order"), other)

    with installation.worker(0) as worker:
        await victim.publish(orders, "warm")
        await asyncio.to_thread(victim.wait_for_deliveries, {other.id}, 1)
        await attacker.publish(arrays, "large", data=ARRAY)
        await attacker.publish(arrays, *(f"e{number}" for number in range(LINES)), data=EXPENSIVE)
        published = {}
        for number in range(20):
            published[f"v{number}"] = timestamps.now()
            await victim.publish(orders, f"v{number}")
        routed = await asyncio.to_thread(victim.wait_for_deliveries, {other.id}, 21)
        found = await asyncio.to_thread(attacker.wait_for_deliveries, {fair.id}, LINES + 1)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    waited = sorted(each.routed_at - published[each.event] for each in routed if each.event in published)
    assert waited[len(waited) // 2] < MOST_MICROSECONDS, waited
    overtaking = [each for each in routed if each.routed_at < found[-1].routed_at]
    assert len(overtaking) > 1, "the attacker's events were all routed before the victim's were published"
    dead = await asyncio.to_thread(installation.dead_letters, arrays.topic)
    assert [(each["hr_endpoint"], each["hr_event"], each["hr_dead_kind"]) for each in dead] == [
        (hostile.id.encode(), b"large", b"delivery")
    ]
    assert b"too many steps" in dead[0]["hr_dead_reason"]
    assert "a delivery is over its budget" in worker.log
    for event_type in (arrays, orders):
        await asyncio.to_thread(
            installation.assert_receipts_tile, event_type.topic, await installation.ends(event_type)
        )


LARGE = json.dumps({"a": "x" * 450_000})
LARGE_TEXTS = json.dumps({"a": ["xy"] * 60_000})


async def routed_meanwhile(
    neighbour: Installation, orders: EventType, endpoint: Endpoint, count: int
) -> list[Delivery]:
    """Publish one after the other, and wait until all are routed."""
    for number in range(count):
        await neighbour.publish(orders, f"n{number}")
        await asyncio.sleep(0.02)
    return await asyncio.to_thread(neighbour.wait_for_deliveries, {endpoint.id}, count + 1)


def assert_between_parts(times: set[int], routed: list[Delivery], *, parts: int) -> None:
    """Check that an event was routed in so many transactions at least, and others between its first and its last."""
    assert len(times) >= parts
    assert any(min(times) < each.routed_at < max(times) for each in routed)


async def test_an_event_for_many_endpoints_is_routed_in_parts(installation: Installation) -> None:
    neighbour, orders, endpoint = await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, 40)

    with installation.worker(0) as worker:
        await neighbour.publish(orders, "warm")
        await asyncio.to_thread(neighbour.wait_for_deliveries, {endpoint.id}, 1)
        events = [f"wide-{number}" for number in range(3)]
        await installation.publish(kind, *events, data=LARGE)
        routed = await routed_meanwhile(neighbour, orders, endpoint, 20)
        found = await asyncio.to_thread(installation.wait_for_deliveries, {each.id for each in endpoints}, 3 * 40)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    for event in events:
        assert len({each.routed_at for each in found if each.event == event}) >= 4
    assert_between_parts({each.routed_at for each in found}, routed, parts=12)
    await assert_exactly_once(installation, kind, endpoints, events, found)


async def test_an_event_that_very_many_filters_match_is_routed_in_parts(installation: Installation) -> None:
    neighbour, orders, endpoint = await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, 1_500, condition='{"data": {"n": [{"numeric": [">", 0]}]}}')

    with installation.worker(0, HEADRACE_PROCESSORS_TRANSACTION_DELIVERIES="500") as worker:
        await neighbour.publish(orders, "warm")
        await asyncio.to_thread(neighbour.wait_for_deliveries, {endpoint.id}, 1)
        events = [f"matched-{number}" for number in range(10)]
        await installation.publish(kind, *events, data='{"n": 1}')
        routed = await routed_meanwhile(neighbour, orders, endpoint, 20)
        ids = {each.id for each in endpoints}
        found = await asyncio.to_thread(installation.wait_for_deliveries, ids, len(events) * len(endpoints))
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert_between_parts({each.routed_at for each in found}, routed, parts=3 * len(events))
    await assert_exactly_once(installation, kind, endpoints, events, found)


async def test_deliveries_over_their_budget_are_set_aside_in_parts(installation: Installation) -> None:
    """Each of them holds the event."""
    neighbour, orders, endpoint = await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, 40, condition=SUFFIXES)

    with installation.worker(0) as worker:
        await neighbour.publish(orders, "warm")
        await asyncio.to_thread(neighbour.wait_for_deliveries, {endpoint.id}, 1)
        await installation.publish(kind, "large", data=LARGE_TEXTS)
        await routed_meanwhile(neighbour, orders, endpoint, 5)
        dead = await asyncio.to_thread(installation.dead_letters, kind.topic)
        while len(dead) < len(endpoints):
            await asyncio.sleep(0.1)
            dead = await asyncio.to_thread(installation.dead_letters, kind.topic)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert sorted(each["hr_endpoint"].decode() for each in dead) == sorted(each.id for each in endpoints)
    assert len({each["hr_routed_at"] for each in dead}) >= 3
    await asyncio.to_thread(installation.assert_receipts_tile, kind.topic, await installation.ends(kind))
