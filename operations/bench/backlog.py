"""``webhook.backlog_1m``: a connector that starts on a million deliveries for one endpoint that takes ten a second.

It puts nearly all of them off onto the retry tiers, so that the partition goes on. Its memory must stay bounded.
"""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from typing import TYPE_CHECKING

from operations.bench.isolation import Receiver
from operations.bench.measure import Figure, peak_megabytes
from operations.bench.setup import records, wait_until_routed
from operations.bench.tenants import Tenant, gateway
from schemas.model.endpoint import RateLimit
from schemas.model.topics import RETRY_TIERS, WEBHOOK_DELIVERIES

if TYPE_CHECKING:
    from operations.bench.rig import Rig

BACKLOG = 1_000_000
_PART = 20_000
_LIMIT = RateLimit(per_second=10, burst=10)
_MOST_MEGABYTES = 500.0


def figures(rig: Rig) -> list[Figure]:
    """Peak memory until every delivery has been read, and has been sent or waits on a tier."""
    receiver = Receiver()
    asyncio.run(_fill(rig, receiver))
    with rig.plane("connector", "webhook") as pid:
        started = time.perf_counter()
        wait_until_routed(rig, WEBHOOK_DELIVERIES, "headrace-webhook", seconds=1_800.0)
        wall = time.perf_counter() - started
        peak = peak_megabytes(pid)
    receiver.close()
    waiting = records(rig, RETRY_TIERS.values())
    return [
        Figure(
            stage="webhook.backlog_1m",
            value=peak,
            unit="MB peak",
            yardstick=_MOST_MEGABYTES,
            ratio=_MOST_MEGABYTES / peak,
            goal=1.0,
            against="bound",
            wall=f"{BACKLOG / wall:,.0f} deliveries/s read; {len(receiver.arrivals):,} sent in {wall:.0f} s at "
            f"{_LIMIT.per_second:g}/s; {waiting:,} moves onto tiers",
        )
    ]


async def _fill(rig: Rig, receiver: Receiver) -> None:
    async with gateway(rig) as made:
        tenant = Tenant(made, "backlog")
        (kind,) = await tenant.event_types("order")
        (endpoint,) = await tenant.webhooks([receiver.url(10**6)], rate_limit=_LIMIT)
        for _ in range(BACKLOG // _PART):
            await tenant.deliver(kind, repeat(endpoint, _PART))
