"""An event that is divided among several transactions is at each endpoint once, whoever routes its parts."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.component.stream_processors.installation import wait_until
from tests.component.stream_processors.routed_events import assert_exactly_once, neighbour_of, wide_type

if TYPE_CHECKING:
    from schemas.model.delivery import Delivery
    from schemas.model.endpoint import Endpoint
    from tests.component.stream_processors.installation import Installation

LARGE = json.dumps({"text": "x" * 450_000})
ENDPOINTS = 40
"""Together 18 MB: five transactions."""


def deliveries(installation: Installation, endpoints: list[Endpoint]) -> list[Delivery]:
    return installation.deliveries({each.id for each in endpoints})


def parts(found: list[Delivery], event: str) -> int:
    """The transactions that an event's deliveries were written in."""
    return len({each.routed_at for each in found if each.event == event})


@pytest.mark.parametrize("fault", ["kill:3", "abort:3"])
async def test_a_router_is_struck_between_two_parts(installation: Installation, fault: str) -> None:
    await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, ENDPOINTS)
    await installation.publish(kind, "first", data=LARGE)

    with installation.worker(0, fault=fault) as struck:
        if fault.startswith("kill"):
            await asyncio.to_thread(wait_until, lambda: struck.exit_code is not None, 60, "the router is killed")
            before = await asyncio.to_thread(deliveries, installation, endpoints)
            assert 0 < len(before) < ENDPOINTS
        else:
            await asyncio.to_thread(wait_until, lambda: "fault hook" in struck.log, 60, "a part is aborted")
        await installation.publish(kind, "second", data=LARGE)
        with installation.worker(1) as other:
            ids = {each.id for each in endpoints}
            found = await asyncio.to_thread(installation.wait_for_deliveries, ids, 2 * ENDPOINTS)
            assert await asyncio.to_thread(other.terminate) == 0, other.log

    assert parts(found, "first") >= 4
    assert parts(found, "second") >= 4
    await assert_exactly_once(installation, kind, endpoints, ["first", "second"], found)


async def test_a_partition_moves_between_two_parts(installation: Installation) -> None:
    """The first router comes back when another one has gone on with its event: nothing of it counts any more."""
    await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, ENDPOINTS)
    await installation.publish(kind, "first", data=LARGE)

    with installation.worker(0, fault="stop:3") as stopped:
        await asyncio.to_thread(wait_until, lambda: stopped.is_stopped, 60, "the router is stopped")
        with installation.worker(1) as other:
            ids = {each.id for each in endpoints}
            found = await asyncio.to_thread(installation.wait_for_deliveries, ids, ENDPOINTS)
            stopped.resume()
            await asyncio.to_thread(wait_until, lambda: "reading it again" in stopped.log, 60, "it is refused")
            await installation.publish(kind, "second", data=LARGE)
            found = await asyncio.to_thread(installation.wait_for_deliveries, ids, 2 * ENDPOINTS)
            assert await asyncio.to_thread(other.terminate) == 0, other.log
        assert await asyncio.to_thread(stopped.terminate) == 0, stopped.log

    await assert_exactly_once(installation, kind, endpoints, ["first", "second"], found)


async def test_a_router_that_is_stopped_hands_over_what_it_has_not_finished(installation: Installation) -> None:
    await neighbour_of(installation)
    kind, endpoints = await wide_type(installation, ENDPOINTS)
    events = [f"event-{number}" for number in range(6)]
    await installation.publish(kind, *events, data=LARGE)

    with installation.worker(0) as first:
        await asyncio.to_thread(wait_until, lambda: bool(deliveries(installation, endpoints)), 60, "it has begun")
        assert await asyncio.to_thread(first.terminate) == 0, first.log
    begun = await asyncio.to_thread(deliveries, installation, endpoints)
    with installation.worker(1) as second:
        ids = {each.id for each in endpoints}
        found = await asyncio.to_thread(installation.wait_for_deliveries, ids, len(events) * ENDPOINTS)
        assert await asyncio.to_thread(second.terminate) == 0, second.log

    assert 0 < len(begun) < len(found)
    await assert_exactly_once(installation, kind, endpoints, events, found)
