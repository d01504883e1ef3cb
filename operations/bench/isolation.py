"""``webhook.isolation_p99`` and ``webhook.memory_10k``: how endpoints that hang touch others, and what many cost.

The deliveries are written as the router writes them, so that what is measured is the connector alone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING

from aiohttp import web

from operations.bench.measure import Figure, peak_megabytes, percentile
from operations.bench.tenants import Tenant, gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from operations.bench.rig import Rig
    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType

ENDPOINTS = 200
HANGING = 40
"""A fifth of them."""

_AT_ONCE, _ROUNDS = 20, 10
"""Deliveries in a round, and rounds a second: each endpoint gets one delivery a second."""

_WARM, _MEASURED = 3.0, 20.0
"""Seconds."""

_FACTOR = 1.5
"""By which the p99 of the others may grow."""

MANY = 10_000
_MOST_MEGABYTES = 500.0
_TIMEOUT = 300.0


class Receiver:
    """Notes when each delivery arrived first; while ``hangs`` is set, those of some paths are not answered."""

    def __init__(self) -> None:
        self.arrivals: dict[str, float] = {}
        self.hangs = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._port = 0
        threading.Thread(target=self._serve, name="receiver", daemon=True).start()
        self._ready.wait(_TIMEOUT)

    def url(self, number: int) -> str:
        """Where the endpoint of this number is."""
        return f"http://127.0.0.1:{self._port}/{'may-hang' if number < HANGING else 'sound'}/{number}"

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        runner = web.AppRunner(app, handler_cancellation=True)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024).start())
        self._port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()

    async def _take(self, request: web.Request) -> web.Response:
        if self.hangs and request.path.startswith("/may-hang"):
            await asyncio.sleep(_TIMEOUT)
        self.arrivals.setdefault(request.headers["webhook-id"], time.perf_counter())
        return web.Response(status=204)


def figures(rig: Rig) -> list[Figure]:
    """Both, with a connector each."""
    return [asyncio.run(_isolation(rig)), asyncio.run(_memory(rig))]


async def _isolation(rig: Rig) -> Figure:
    receiver = Receiver()
    async with gateway(rig) as made:
        tenant = Tenant(made, "isolation")
        (kind,) = await tenant.event_types("order")
        endpoints = await tenant.webhooks([receiver.url(number) for number in range(ENDPOINTS)])
        turns = cycle(endpoints)
        with rig.plane("connector", "webhook"):
            await _paced(tenant, kind, turns, _WARM)
            without = await _paced(tenant, kind, turns, _MEASURED)
            receiver.hangs = True
            beside = await _paced(tenant, kind, turns, _MEASURED)
            sound = {each.id for each in endpoints[HANGING:]}
            wanted = [sent for sent in (*without, *beside) if sent[1] in sound]
            await _until(lambda: all(delivery in receiver.arrivals for delivery, _, _ in wanted))
    receiver.close()
    alone, with_hanging = (
        [receiver.arrivals[delivery] - at for delivery, endpoint, at in phase if endpoint in sound]
        for phase in (without, beside)
    )
    before, after = percentile(alone, 0.99), percentile(with_hanging, 0.99)
    return Figure(
        stage="webhook.isolation_p99",
        value=after * 1_000,
        unit="ms p99",
        yardstick=before * 1_000,
        ratio=before / after,
        goal=1 / _FACTOR,
        against="none hangs",
        wall=f"{HANGING} of {ENDPOINTS} hang; p50 {percentile(with_hanging, 0.5) * 1_000:.1f} ms, without "
        f"{percentile(alone, 0.5) * 1_000:.1f} ms",
    )


async def _memory(rig: Rig) -> Figure:
    receiver = Receiver()
    async with gateway(rig) as made:
        tenant = Tenant(made, "many")
        (kind,) = await tenant.event_types("order")
        endpoints = await tenant.webhooks([receiver.url(number) for number in range(MANY)])
        with rig.plane("connector", "webhook") as pid:
            idle = peak_megabytes(pid)
            sent = await tenant.deliver(kind, endpoints)
            await _until(lambda: receiver.arrivals.keys() >= sent.keys())
            peak = peak_megabytes(pid)
    receiver.close()
    return Figure(
        stage="webhook.memory_10k",
        value=peak,
        unit="MB peak",
        yardstick=_MOST_MEGABYTES,
        ratio=_MOST_MEGABYTES / peak,
        goal=1.0,
        against="bound",
        wall=f"{MANY:,} endpoints with a delivery each; {idle:.0f} MB before the first",
    )


async def _paced(
    tenant: Tenant, kind: EventType, turns: Iterator[Endpoint], seconds: float
) -> list[tuple[str, str, float]]:
    """Write deliveries at a steady rate; returns the delivery, its endpoint, and when it was written."""
    sent: list[tuple[str, str, float]] = []
    started = time.perf_counter()
    for number in range(int(seconds * _ROUNDS)):
        await asyncio.sleep(max(0.0, started + number / _ROUNDS - time.perf_counter()))
        chosen: Sequence[Endpoint] = list(islice(turns, _AT_ONCE))
        at = time.perf_counter()
        sent += [(delivery, endpoint, at) for delivery, endpoint in (await tenant.deliver(kind, chosen)).items()]
    return sent


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the deliveries did not arrive")
        await asyncio.sleep(0.05)
