"""Requests to the realtime port that are not HTTP/1.1 as RFC 9112 has it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.websocket.server import Server
from connectors.websocket.settings import RealtimeSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKS = b"\r\n2\r\nok\r\n0\r\n\r\n"
HOST = b"Host: x\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    node: Any = SimpleNamespace(settings=RealtimeSettings(port=0), sessions=set())
    server = Server(node, [], lambda: None)
    yield await server.start()
    await server.stop()


async def answered(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(15):
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (b"GET /healthz HTTP/1.1", HOST, 200),
        (b"GET /healthz HTTP/1.0", b"", 200),
        (b"GET /healthz HTTP/1.1", b"", 400),
        (b"GET /healthz HTTP/1.1", HOST * 2, 400),
        (b"GET /healthz HTTP/1.1", b"Host: a b\r\n", 400),
        (b"GET /healthz HTTP/1.1", b"Host:\r\n", 400),
        (b"GET /healthz HTTP/1.1", b"Host: x:port\r\n", 400),
        (b"GET /healthz HTTP/2.0", HOST, 505),
        (b"GET /healthz HTTP/1.1", HOST + b"Transfer-Encoding: frob, chunked\r\n", 501),
        (b"GET /healthz HTTP/1.1", HOST + b"Transfer-Encoding: chunked, frob\r\n", 400),
        (b"GET /healthz HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", 400),
        (b"GET /healthz HTTP/1.0", b"Transfer-Encoding: chunked\r\n", 400),
        (b"GET /healthz HTTP/1.1", HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n", 400),
        (b"GET /healthz HTTP/1.1", HOST + b"X-Folded: a\r\n b\r\n", 400),
        (b"GET /healthz?a=%ff HTTP/1.1", HOST, 400),
        (b"GET /%ED%A0%80 HTTP/1.1", HOST, 400),
        (b"GET /connection/websocket HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", 400),
    ],
)
async def test_a_head_that_http_does_not_allow_is_refused(
    port: int, request_line: bytes, headers: bytes, status: int
) -> None:
    line = await answered(port, request_line + b"\r\n" + headers + (CHUNKS if b"chunked" in headers else b"\r\n"))
    assert int(line.split()[1]) == status, line
