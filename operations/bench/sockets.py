"""Many WebSocket clients in one process that do next to nothing: ``python -m operations.bench.sockets job.json``.

Job: ``{"host", "port", "connections", "hello", "marker"}``. Each client sends ``hello`` (a text frame; none when empty)
and waits for an answer to it. When all have theirs the process prints how many, then, for every number that it reads
from standard input, waits until the clients have together seen ``marker`` that many times, and prints the seconds since
the first.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, cast

import uvloop

_HANDSHAKE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_SHORT, _MEDIUM = 126, 65_536
_MASKED = 0x80
_AT_ONCE = 100


class Tally:
    """What all clients have seen together."""

    def __init__(self, marker: bytes) -> None:
        self.marker = marker
        self.greeted = 0
        self.seen = 0
        self.first_at = 0.0


class _Socket(asyncio.Protocol):
    def __init__(self, tally: Tally, hello: bytes) -> None:
        self._tally = tally
        self._hello = hello
        self._upgraded = False
        self._greeted = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if not self._upgraded:
            self._upgraded = True
            data = data.partition(b"\r\n\r\n")[2]
            if self._hello:
                self._transport.write(masked_frame(self._hello))
        if not self._greeted and (data or not self._hello):
            self._greeted = True
            tally.greeted += 1
        text = self._rest + data
        found = text.count(tally.marker)
        if found:
            tally.first_at = tally.first_at or time.perf_counter()
            tally.seen += found
            text = text[text.rindex(tally.marker) + len(tally.marker) :]
        self._rest = text[-len(tally.marker) + 1 :]

    def connection_lost(self, exc: Exception | None) -> None:
        # A benchmark with fewer clients than it says would be wrong.
        sys.stderr.write(f"a connection ended: {exc or self._rest!r}\n")
        os._exit(1)


def masked_frame(payload: bytes) -> bytes:
    """A client's text frame, with the mask that changes nothing."""
    length = len(payload)
    if length < _SHORT:
        head = bytes((0x81, _MASKED | length))
    elif length < _MEDIUM:
        head = bytes((0x81, _MASKED | _SHORT)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x81, _MASKED | _SHORT + 1)) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


async def _run(job: dict[str, Any]) -> None:
    tally = Tally(job["marker"].encode())
    loop = asyncio.get_running_loop()
    hello = job["hello"].encode()
    transports: list[object] = []
    for first in range(0, job["connections"], _AT_ONCE):
        opened = min(job["connections"], first + _AT_ONCE)
        while len(transports) < opened:
            transports.append(await loop.create_connection(lambda: _Socket(tally, hello), job["host"], job["port"]))
        while tally.greeted < opened:  # noqa: ASYNC110  # an event would have to be looked at in the hot path
            await asyncio.sleep(0.001)
    print(tally.greeted, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        while tally.seen < int(line):  # noqa: ASYNC110  # an event would have to be looked at in the hot path
            await asyncio.sleep(0.01)
        print(time.perf_counter() - tally.first_at if tally.first_at else 0.0, flush=True)
    os._exit(0)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_run(json.loads(Path(sys.argv[1]).read_text())))
