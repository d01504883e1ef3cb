"""The server's connection and clients that would rather speak another protocol."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from ingest_api.http_limits import BoundedConnection

# What Java's HTTP client sends by default to a server without TLS.
UPGRADE = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
BODY = b'{"total": 5}'
POST = b"POST /there?a=b HTTP/1.1\r\nX-Own: kept\r\n" + UPGRADE
WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers the request's line, what it has of headers, and its body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = b",".join(name for name, _ in scope["headers"])
    line = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"]
    answer = b"%b|%b|%b" % (line, names, body)
    length = str(len(answer)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": answer})


class Transport(asyncio.Transport):
    """Keeps what is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = b""
        self.written = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 -- the interface's
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answered += data
        self.written.set()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def answers(count: int, *parts: bytes) -> list[bytes]:
    """The bodies of so many answers to what comes in these parts."""
    config = uvicorn.Config(echo, ws="none", log_config=None, lifespan="off")
    config.load()
    connection, transport = BoundedConnection(config, ServerState(), {}), Transport()
    connection.connection_made(transport)
    for part in parts:
        connection.data_received(part)
        await asyncio.sleep(0)
    async with asyncio.timeout(15):
        while connection.server_state.total_requests < count:
            transport.written.clear()
            await transport.written.wait()
    connection.connection_lost(None)
    assert transport.answered.count(b"HTTP/1.1 ") == transport.answered.count(b"HTTP/1.1 200 OK\r\n") == count
    _, *bodies = re.split(rb"HTTP/1.1 200 OK\r\n.*?\r\n\r\n", transport.answered, flags=re.DOTALL)
    return bodies


@pytest.mark.parametrize(
    "parts", [(WHOLE + BODY,), (WHOLE, BODY), (WHOLE[:50], WHOLE[50:-1], b"\n" + BODY[:3], BODY[3:])]
)
async def test_a_request_that_asks_for_an_upgrade_keeps_its_body(parts: tuple[bytes, ...]) -> None:
    expected = b"POST /there?a=b|x-own,host,connection,content-length|" + BODY
    assert await answers(1, *parts) == [expected]


async def test_a_body_in_chunks_and_the_request_after_it_are_read() -> None:
    chunked = (
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"5\r\n" + BODY[:5] + b"\r\n7\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
    )
    following = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
    first, second = await answers(2, chunked + following)
    assert first.endswith(b"|" + BODY)
    assert second == b"GET /next?|host|"


@pytest.mark.parametrize("upgrade", [b"", UPGRADE])
async def test_what_comes_behind_a_body_is_no_header(upgrade: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + (upgrade or b"Host: x\r\n") + b"\r\n"
    sent = head + b"2\r\nok\r\n0\r\nAuthorization: Bearer key\r\nX-Own: kept\r\n\r\n"
    names = b"transfer-encoding,host" + (b",connection" if upgrade else b"")
    assert await answers(2, sent * 2) == [b"POST /?|" + names + b"|ok"] * 2


async def test_many_in_a_row_are_all_answered() -> None:
    assert (
        await answers(50, (WHOLE + BODY) * 50) == [b"POST /there?a=b|x-own,host,connection,content-length|" + BODY] * 50
    )


async def test_a_websocket_is_answered_as_what_it_is_without_one() -> None:
    request = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert await answers(2, request * 2) == [b"GET /ws?|host,connection|"] * 2
