"""A router behind a slow network: requests of its transactions come late, not at all, or twice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.component.stream_processors.delaying_proxy import KINDS, proxied_broker
from tests.component.stream_processors.installation import installation_on
from tests.component.stream_processors.routed_events import (
    assert_exactly_once,
    event_records,
    two_endpoints,
    wait_for,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence
    from pathlib import Path

_ROUND = 24
_LONGEST = 60.0


async def assert_routed_once(
    directory: Path,
    *,
    seed: int,
    seconds: float,
    share: float = 0.05,
    delay: float = 0.5,
    kinds: Sequence[str] = KINDS,
    enough: Callable[[Counter[str]], bool] = lambda _: True,
) -> tuple[int, int, Counter[str]]:
    """Publish for a while as a router works, then check that every event was routed once and has its receipt.

    A slow machine makes fewer requests: it goes on until enough of them were struck, for a minute at most.

    Returns:
        How many events there were, how many requests of transactions, and which of them were struck how.
    """
    with proxied_broker(directory / "kafka", seed=seed, share=share, delay=delay, kinds=kinds) as (direct, proxy):
        async with installation_on(direct, directory) as installation:
            orders, endpoints = await two_endpoints(installation)
            through_proxy = {
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{proxy.port}",
                "HEADRACE_PROCESSORS_TRANSACTION_TIMEOUT": "3",
            }
            with installation.worker(0, **through_proxy) as worker:
                events: list[str] = []
                began = time.monotonic()
                while (gone := time.monotonic() - began) < seconds or (gone < _LONGEST and not enough(proxy.strikes)):
                    batch = [f"event-{number}" for number in range(len(events), len(events) + _ROUND)]
                    await installation.producer.send(event_records(installation, orders, batch))
                    events += batch
                    await asyncio.sleep(0.01)
                proxy.calm()
                found = await asyncio.to_thread(wait_for, installation, endpoints, len(events))
                assert await asyncio.to_thread(worker.terminate) == 0, worker.log
            await assert_exactly_once(installation, orders, endpoints, events, found)
            return len(events), proxy.requests, proxy.strikes
