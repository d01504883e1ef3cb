"""Answers on the wire: the bytes are uvicorn's, in fewer writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest_api.http_limits import BoundedConnection
from tests.support.connections import KeptWrites, connected

LENGTH = (b"Content-Length", b"2")
GET = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def written(protocol: type[HttpToolsProtocol], request: bytes, *messages: dict[str, Any]) -> KeptWrites:
    """What the connection writes for an app that sends these messages, until it raises."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    connection, transport = connected(protocol, app)
    connection.data_received(request)
    await asyncio.gather(*connection.tasks, return_exceptions=True)
    connection.connection_lost(None)
    return transport


@pytest.mark.parametrize(
    ("request_", "messages"),
    [
        (GET, [start(LENGTH), part(b"ok")]),
        (GET, [start((b"X-Own", b"1"), LENGTH, (b"x-own", b"2"), status=599), part(b"ok")]),
        (GET, [start(LENGTH), part(b"o", more=True), part(b"k")]),
        (GET, [start(LENGTH), part(b"", more=True), part(b"ok")]),
        (GET, [start((b"content-length", b"0")), part(b"")]),
        (GET, [start(), part(b"o", more=True), part(b"k")]),
        (GET, [start((b"transfer-encoding", b"chunked")), part(b"ok")]),
        (GET, [start(status=204), part(b"")]),
        (GET, [start((b"connection", b"close"), LENGTH), part(b"ok")]),
        (GET.replace(b"1.1", b"1.0"), [start(LENGTH), part(b"ok")]),
        (GET.replace(b"Host: x", b"Host: x\r\nConnection: close"), [start(LENGTH), part(b"ok")]),
        (GET.replace(b"GET", b"HEAD"), [start(LENGTH), part(b"ok")]),
    ],
)
async def test_the_bytes_are_uvicorns(request_: bytes, messages: list[dict[str, Any]]) -> None:
    ours = await written(BoundedConnection, request_, *messages)
    theirs = await written(HttpToolsProtocol, request_, *messages)
    assert b"".join(ours.writes) == b"".join(theirs.writes)
    assert ours.closed == theirs.closed


async def test_a_usual_answer_is_one_write() -> None:
    ours = await written(BoundedConnection, GET, start(LENGTH), part(b"ok"))
    assert ours.writes == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"]


@pytest.mark.parametrize("messages", [[start(LENGTH), part(b"o")], [start(LENGTH), part(b"okay")], [start(LENGTH)]])
async def test_a_body_of_another_length_ends_the_connection(messages: list[dict[str, Any]]) -> None:
    assert (await written(BoundedConnection, GET, *messages)).closed


@pytest.mark.parametrize("header", [(b"x-own", b"a\r\nset-cookie: b"), (b"x-own\n", b"a")])
async def test_no_header_splits_an_answer(header: tuple[bytes, bytes]) -> None:
    ours = await written(BoundedConnection, GET, start(header, LENGTH), part(b"ok"))
    assert b"".join(ours.writes).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
