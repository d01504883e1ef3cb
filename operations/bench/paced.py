"""Publish single events at a fixed rate and receive their webhooks, in one event loop and with little CPU time.

Run as ``python -m operations.bench.paced JOBFILE``; the job is JSON with ``url`` (of the route that takes events),
``key``, ``code``, ``rate`` (events per second), ``seconds``, ``prefix`` (of the events' subjects) and ``port`` (where
webhooks arrive). Prints ``{"latencies": […]}``: milliseconds from sending each event to the arrival of its webhook.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from operations.bench import workload

_RECEIVED = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
_LONGEST = 120.0
"""Seconds that the last webhooks may take."""


class _Answers(asyncio.Protocol):
    """A connection that events are published on, one at a time; it is in ``idle`` while none is under way."""

    def __init__(self, idle: list[_Answers], refused: list[int]) -> None:
        self._idle, self._refused = idle, refused
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Take note of the answer."""
        status = self._parser.get_status_code()
        if status != HTTPStatus.CREATED:
            self._refused.append(status)
        self._idle.append(self)

    def publish(self, request: bytes) -> None:
        """Send one request."""
        self._transport.write(request)


class _Arrivals(asyncio.Protocol):
    """A connection that webhooks arrive on; notes when each event arrived first."""

    def __init__(self, arrived: dict[str, float]) -> None:
        self._arrived = arrived
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read_at = time.perf_counter()
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect it."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer, and note the event."""
        self._transport.write(_RECEIVED)
        body, self._body = self._body, b""
        self._arrived.setdefault(json.loads(body)["subject"], self._read_at)


async def _latencies(job: dict[str, Any]) -> list[float]:
    loop = asyncio.get_running_loop()
    target = urlsplit(job["url"])
    idle: list[_Answers] = []
    refused: list[int] = []
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}
    await loop.create_server(lambda: _Arrivals(arrived), "127.0.0.1", job["port"])
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.netloc}",
        f"Authorization: Bearer {job['key']}",
        "Content-Type: application/cloudevents+json",
    ]
    head = "\r\n".join(lines)
    started = loop.time()
    for number in range(int(job["rate"] * job["seconds"])):
        await asyncio.sleep(max(0.0, started + number / job["rate"] - loop.time()))
        if idle:
            connection = idle.pop()
        else:
            _, connection = await loop.create_connection(
                lambda: _Answers(idle, refused), target.hostname or "", target.port
            )
        subject = f"{job['prefix']}-{number}"
        body = json.dumps({**workload.cloudevent(number), "type": job["code"], "subject": subject}).encode()
        sent[subject] = time.perf_counter()
        connection.publish(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(_LONGEST):
        while not sent.keys() <= arrived.keys():
            if refused:
                sys.exit(f"{len(refused)} events were answered {sorted(set(refused))}")
            await asyncio.sleep(0.05)
    return [(arrived[subject] - at) * 1e3 for subject, at in sent.items()]


def main() -> None:
    """Read the job, run it, print JSON."""
    job = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({"latencies": uvloop.run(_latencies(job))}))


if __name__ == "__main__":
    main()
