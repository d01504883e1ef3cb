"""One kind of request, sent again and again over several connections: a tenant's heavy traffic.

Run as ``python -m operations.bench.traffic JOBFILE``; the job is JSON with ``url``, ``method``, ``body`` (a file or
null), ``headers``, ``connections`` and ``seconds``. It prints one JSON object with the number of answers by status.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

NUMBER = "@NUMBER@"
"""Stands in a body or a header for eight digits that are others in each request."""

_NICE = 10
"""The sender must not take the processor from those whose latency is measured."""

_LONGEST = 60.0


async def send(job: dict[str, Any], body: bytes | None) -> Counter[str]:
    """Send until the job's seconds are over; each connection has one request under way."""
    numbers, counts = itertools.count(), Counter[str]()
    ends = time.monotonic() + job["seconds"]
    timeout = aiohttp.ClientTimeout(total=_LONGEST)
    connector = aiohttp.TCPConnector(limit=0)

    async def again() -> None:
        while time.monotonic() < ends:
            number = f"{next(numbers):08d}"
            headers = {name: value.replace(NUMBER, number) for name, value in job["headers"].items()}
            data = None if body is None else body.replace(NUMBER.encode(), number.encode())
            try:
                async with session.request(
                    job["method"], job["url"].replace(NUMBER, number), data=data, headers=headers
                ) as response:
                    async for _ in response.content.iter_any():
                        pass
                    counts[str(response.status)] += 1
            except aiohttp.ClientError as error:
                counts[type(error).__name__] += 1

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(again() for _ in range(job["connections"])))
    return counts


def main() -> None:
    """Read the job, run it, print JSON."""
    os.nice(_NICE)
    job = json.loads(Path(sys.argv[1]).read_text())
    body = None if job["body"] is None else Path(job["body"]).read_bytes()
    print(json.dumps(asyncio.run(send(job, body))))


if __name__ == "__main__":
    main()
