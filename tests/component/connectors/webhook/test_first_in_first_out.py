"""What was routed first is sent first, also by a worker that has just taken over."""

from __future__ import annotations

import asyncio
import signal
import uuid
from typing import TYPE_CHECKING

from aiohttp import web

from tests.component.connectors.post_office import until
from tests.component.connectors.webhook.test_failover import arrived, connector_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

_TIER = 1.0
_ALLOWED = 4.0 + _TIER
"""Seconds by which a delivery may miss its turn: one tier, and moves between topics on a busy machine."""

_EACH = 0.1
"""Seconds that the endpoint takes for a request, one at a time."""

SHORT_WAITS = f"""
from schemas.model import topics
shortest, *others = topics.RETRY_TIERS.items()
topics.RETRY_TIERS.clear()
topics.RETRY_TIERS.update({{int({_TIER}): shortest[1], **dict(others)}})
topics.SHORTEST_DELAY = int({_TIER})
from connectors.webhook import endpoint_queue as lanes
lanes.HOLD = 1.5 * {_TIER}
"""
"""Makes the smallest tier five times shorter, and the queue accordingly."""


def delays(mailbox: Mailbox, routed: list[str]) -> dict[str, float]:
    """Seconds between each delivery's turn and its arrival.

    The first request is the turn of the delivery that was routed first, and so on. So the time without a worker, which
    delays all requests, does not count.
    """
    came = {received.id: received.at for received in mailbox.received}
    turns = sorted(came.values())
    return {delivery: came[delivery] - turn for delivery, turn in zip(routed, turns, strict=True)}


async def test_nobody_waits_beyond_its_turn_though_the_worker_is_replaced(
    office: PostOffice, receiver: Receiver, tmp_path: Path
) -> None:
    async def take_long(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(_EACH)
        return web.Response()

    name = uuid.uuid4().hex
    mailbox = receiver.mailbox(name)
    mailbox.answering = take_long
    endpoint = await office.endpoint(receiver.url(name), max_in_flight=1)
    routed: list[str] = []

    async def route(count: int) -> None:
        routed.extend(delivery.id for delivery in await office.deliver(endpoint, count))

    with connector_on(office, tmp_path / "first", before=SHORT_WAITS) as first:
        await first.is_ready()
        await route(1)
        await until(lambda: len(mailbox.received) == 1, "the worker knows how slow the endpoint is")
        await route(50)
        await until(lambda: bool(office.returned(endpoint)[51:]), "some are back from the tier")
        assert first.end(signal.SIGTERM) == 0
    await route(80)
    with connector_on(office, tmp_path / "second", before=SHORT_WAITS) as second:
        await second.is_ready()
        await until(lambda: arrived(mailbox).keys() >= set(routed), "everything arrived")
        assert second.end(signal.SIGTERM) == 0
    assert arrived(mailbox) == dict.fromkeys(routed, 1)
    assert max(delays(mailbox, routed).values()) <= _ALLOWED
