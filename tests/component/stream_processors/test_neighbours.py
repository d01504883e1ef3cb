"""What one workspace makes expensive, another does not wait for."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING

from schemas import timestamps

if TYPE_CHECKING:
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
