"""Single publishes at a fixed rate, with the moment each was sent."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from operations.bench import workload


def publish_paced(base_url: str, key: str, code: str, *, rate: float, seconds: float, prefix: str) -> dict[str, float]:
    """Post ``rate`` events a second; returns subject → moment of sending on ``time.perf_counter``.

    Raises:
        aiohttp.ClientResponseError: one was not accepted.
    """
    return asyncio.run(_publish(base_url, key, code, rate=rate, seconds=seconds, prefix=prefix))


async def _publish(base_url: str, key: str, code: str, *, rate: float, seconds: float, prefix: str) -> dict[str, float]:
    sent: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
    async with aiohttp.ClientSession(base_url, headers=headers, raise_for_status=True) as session:

        async def post(number: int) -> None:
            subject = f"{prefix}-{number}"
            event = {**workload.cloudevent(number), "type": code, "subject": subject}
            sent[subject] = time.perf_counter()
            async with session.post("/headrace/v1/events", json=event) as response:
                await response.read()

        started = time.perf_counter()
        posts: list[asyncio.Task[None]] = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            posts.append(asyncio.create_task(post(number)))
        await asyncio.gather(*posts)
    return sent
