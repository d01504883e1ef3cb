"""A bare aiohttp client: signs and posts the same number of bodies of the same size, a fixed number at a time.

Job: ``{"url", "count", "connections"}``.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from pathlib import Path

import aiohttp

_BODY = b'{"specversion":"1.0","type":"bench.hooked","data":"%s"}' % (b"x" * 400)
_SECRET = b"0" * 24


async def post_all(job: dict) -> int:
    """Post until ``count`` are answered 2xx."""
    left = iter(range(job["count"]))
    done = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for number in left:
            stamp = str(int(time.time()))
            signed = hmac.new(_SECRET, f"{number}.{stamp}.".encode() + _BODY, hashlib.sha256).digest()
            headers = {
                "content-type": "application/cloudevents+json",
                "webhook-id": str(number),
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
            }
            async with session.post(job["url"], data=_BODY, headers=headers) as response:
                response.raise_for_status()
                await response.read()
            done += 1

    connector = aiohttp.TCPConnector(limit=job["connections"])
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(job["connections"])))
    return done


def main() -> None:
    """Run the job, print what it cost."""
    job = json.loads(Path(sys.argv[1]).read_text())
    cpu, wall = time.process_time(), time.perf_counter()
    done = asyncio.run(post_all(job))
    print(json.dumps({"events": done, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))


if __name__ == "__main__":
    main()
