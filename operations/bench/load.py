"""An HTTP/1.1 load generator: a fixed number of keep-alive connections, each with one request in flight.

Run as ``python -m operations.bench.load URL BODYFILE SECONDS CONNECTIONS [HEADER: VALUE]…``; prints one JSON object
with the number of 2xx answers, of others, the wall seconds, and latency percentiles in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import uvloop

from operations.bench.measure import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class Tally:
    """What all connections saw; ``latencies`` in seconds."""

    accepted: int = 0
    refused: int = 0
    first_refusal: str | None = None
    latencies: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Sends the same request again as soon as the last one is answered, until the deadline."""

    def __init__(self, request: bytes, tally: Tally, deadline: float, done: asyncio.Future[None]) -> None:
        self._request = request
        self._tally = tally
        self._deadline = deadline
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up, or we did."""
        if not self._done.done():
            if exc is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(exc)

    def data_received(self, data: bytes) -> None:
        """Collect one response; count it; go on."""
        self._buffer += data
        head, found, rest = self._buffer.partition(_HEAD_END)
        if not found:
            return
        lowered = head.lower()
        start = lowered.find(_LENGTH)
        length = int(lowered[start + len(_LENGTH) :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = b""
        now = time.perf_counter()
        self._tally.latencies.append(now - self._sent_at)
        if head[9:10] == b"2":
            self._tally.accepted += 1
        else:
            self._tally.refused += 1
            self._tally.first_refusal = self._tally.first_refusal or (head + _HEAD_END + rest).decode(errors="replace")
        if now < self._deadline:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        if self._transport is not None:
            self._sent_at = time.perf_counter()
            self._transport.write(self._request)


async def generate(
    url: str, body: bytes, *, seconds: float, connections: int, headers: Sequence[str]
) -> dict[str, object]:
    """Post ``body``, or GET where it is empty, for ``seconds`` over ``connections`` connections.

    Returns what ``__main__`` prints.
    """
    target = urlsplit(url)
    method, length = ("POST", [f"Content-Length: {len(body)}"]) if body else ("GET", [])
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.netloc}", *length, *headers, "", ""]
    request = "\r\n".join(lines).encode() + body
    loop = asyncio.get_running_loop()
    tally = Tally()
    started = time.perf_counter()
    waiters = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        waiters.append(done)
        await loop.create_connection(
            lambda done=done: Connection(request, tally, started + seconds, done),  # type: ignore[misc]
            target.hostname or "127.0.0.1",
            target.port or 80,
        )
    await asyncio.gather(*waiters)
    return {
        "accepted": tally.accepted,
        "refused": tally.refused,
        "first_refusal": tally.first_refusal,
        "seconds": time.perf_counter() - started,
        "p50_ms": percentile(tally.latencies, 0.5) * 1e3,
        "p99_ms": percentile(tally.latencies, 0.99) * 1e3,
    }


def main() -> None:
    """Read the command line, run, print JSON."""
    url, body, seconds, connections, *headers = sys.argv[1:]
    uvloop.install()
    result = asyncio.run(
        generate(
            url,
            Path(body).read_bytes(),
            seconds=float(seconds),
            connections=int(connections),
            headers=headers,
        )
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
