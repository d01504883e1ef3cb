"""``webhook``: deliveries made per CPU-second of a webhook connector, against a bare client that posts as much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from operations.bench.echo_server import echo_server
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import fill, order_type, records, subscribe, wait_until_routed
from operations.errors import CannotStart
from schemas.model.topics import RETRY_TIERS, WEBHOOK_DELIVERIES

if TYPE_CHECKING:
    from operations.bench.rig import Rig

EVENTS = 200
ENDPOINTS = 64
"""Each gets every event."""

_ROUTER, _CONNECTOR = "headrace-router", "headrace-webhook"
_CODE = "bench.hooked"


def figures(rig: Rig) -> list[Figure]:
    """Signed CloudEvents to a receiver that answers at once; the connector starts when all have been routed."""
    with echo_server(rig.home / "receiver.log") as receiver:
        with rig.plane("ingest"):
            producer = order_type(rig, _CODE)
            for _ in range(ENDPOINTS):
                subscribe(rig, receiver.url, _CODE, None)
            fill(rig, producer, _CODE, EVENTS, batch=EVENTS)
        with rig.plane("router"):
            wait_until_routed(rig, producer.topic, _ROUTER)
        deliveries = EVENTS * ENDPOINTS
        headrace, wall = _delivered(rig, deliveries)
        bare = rig.job("bare_webhook", {"url": receiver.url, "count": deliveries, "connections": 64})
    yardstick = bare["events"] / bare["cpu"]
    return [
        Figure(
            stage="webhook",
            value=headrace,
            unit="webhooks/CPU-s",
            yardstick=yardstick,
            ratio=headrace / yardstick,
            goal=None,
            against="bare aiohttp client",
            wall=f"{wall}; yardstick {bare['events'] / bare['wall']:,.0f}/s",
        )
    ]


def _delivered(rig: Rig, deliveries: int) -> tuple[float, str]:
    """Deliveries per CPU-second from start until all are settled, less what a start with nothing to send costs."""
    with rig.plane("connector", "webhook") as pid:
        started = time.perf_counter()
        wait_until_routed(rig, WEBHOOK_DELIVERIES, _CONNECTOR)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    spilled = records(rig, RETRY_TIERS.values())
    if spilled:
        raise CannotStart(f"{spilled} of {deliveries} deliveries were put off, although the receiver is quick.")
    with rig.plane("connector", "webhook") as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    return deliveries / (used - idle), f"{deliveries / wall:,.0f}/s"
