"""``ledger``: rows indexed per CPU-second of the ledger's process, against bare inserts of as many rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from operations.bench.echo_server import echo_server
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import fill, order_type, subscribe, wait_until_routed
from schemas.model.topics import ATTEMPTS, WEBHOOK_DELIVERIES

if TYPE_CHECKING:
    from operations.bench.rig import Rig

EVENTS = 1_000
ENDPOINTS = 10
"""Each gets every event."""

_ROUTER, _CONNECTOR, _LEDGER = "headrace-router", "headrace-webhook", "headrace-ledger"
_CODE = "bench.indexed"


def figures(rig: Rig) -> list[Figure]:
    """Events with their deliveries and attempts, all of which are there before the ledger starts (SQLite)."""
    with echo_server(rig.home / "receiver.log") as receiver:
        with rig.plane("ingest"):
            producer = order_type(rig, _CODE)
            for _ in range(ENDPOINTS):
                subscribe(rig, receiver.url, _CODE, None)
            fill(rig, producer, _CODE, EVENTS)
        with rig.plane("router"):
            wait_until_routed(rig, producer.topic, _ROUTER)
        with rig.plane("connector", "webhook"):
            wait_until_routed(rig, WEBHOOK_DELIVERIES, _CONNECTOR)
    deliveries = EVENTS * ENDPOINTS
    rows = EVENTS + 2 * deliveries
    with rig.plane("ledger") as pid:
        started = time.perf_counter()
        for topic in (producer.topic, WEBHOOK_DELIVERIES, ATTEMPTS):
            wait_until_routed(rig, topic, _LEDGER)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    with rig.plane("ledger") as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    bare = rig.job("bare_ledger", {"url": f"sqlite:///{rig.home}/bare.sqlite3", "events": EVENTS, "each": ENDPOINTS})
    value, yardstick = rows / (used - idle), bare["rows"] / bare["cpu"]
    return [
        Figure(
            stage="ledger",
            value=value,
            unit="rows/CPU-s",
            yardstick=yardstick,
            ratio=value / yardstick,
            goal=None,
            against="bare executemany",
            wall=f"{rows / wall:,.0f}/s; yardstick {bare['rows'] / bare['wall']:,.0f}/s",
        )
    ]
