"""The end of a WebSocket connection whose client reads slowly, or not at all: real sockets with small buffers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

from aiohttp import web

from connectors.websocket import shutdown as closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

_CODE, _REASON = 3010, "events were missed"
_CLOSE_FRAME = bytes([0x88, 2 + len(_REASON)]) + _CODE.to_bytes(2, "big") + _REASON.encode()
_SENT = b"x" * 300_000
_SMALL = 4_096
_SECONDS = 30
_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Node:
    """Sends more than the kernel takes, and then closes the connection."""

    def __init__(self) -> None:
        self.connection_lost = asyncio.Event()
        self.port = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(compress=False)
        await connection.prepare(request)
        transport = cast("asyncio.Transport", request.transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL)
        # Something reads, as in every connection: then aiohttp does not wait for the client's answer to the closing.
        reading = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        transport.write(_SENT)
        await closing.close_socket(connection, transport, _CODE, _REASON)
        await reading
        while not transport.is_closing() or transport.get_write_buffer_size():  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)
        self.connection_lost.set()
        return connection


@contextlib.asynccontextmanager
async def running_node() -> AsyncIterator[Node]:
    node = Node()
    app = web.Application()
    app.router.add_get("/", node.serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    node.port = runner.addresses[0][1]
    try:
        yield node
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def connected(node: Node) -> AsyncIterator[asyncio.StreamReader]:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", node.port))
    reader, writer = await asyncio.open_connection(sock=client, limit=_SMALL)
    writer.write(_HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()


async def test_a_client_that_reads_slowly_gets_all_that_was_sent_and_the_closing() -> None:
    async with running_node() as node, connected(node) as reader, asyncio.timeout(_SECONDS):
        taken = b""
        while chunk := await reader.read(_SMALL):
            taken += chunk
        assert len(taken) == len(_SENT) + len(_CLOSE_FRAME)
        assert taken.endswith(_CLOSE_FRAME)


async def test_what_a_client_does_not_take_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "_SECONDS", 0.1)
    async with running_node() as node, connected(node), asyncio.timeout(_SECONDS):
        await node.connection_lost.wait()
