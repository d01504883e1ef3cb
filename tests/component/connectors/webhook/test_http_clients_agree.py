"""Our own HTTP client and aiohttp's come to the same outcome, whatever a receiver does; no Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from typing import TYPE_CHECKING, NamedTuple

import pytest

from connectors.webhook.aiohttp_client import AiohttpClient
from connectors.webhook.destination_guard import DestinationGuard
from connectors.webhook.http_client import HttpClient
from connectors.webhook.transport import HttpRequest
from schemas.model.standing import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.webhook.transport import Response

LIMIT = 100
SENDS = 2
RESET = struct.pack("ii", 1, 0)


class Behaviour(NamedTuple):
    """What a receiver does on each connection: an answer to each request, then an end.

    ``early``: the answer is written before a request is read. ``last`` is what happens after ``answers`` answers.
    ``unsure``: our own client sees at once that a body cannot be read; with aiohttp it depends on how the bytes arrive
    whether it does, takes the head for the cause, or waits for more until it times out.
    """

    answer: bytes
    last: str = "keep"
    answers: int = 1_000
    early: bool = False
    method: str = "POST"
    body: bytes = b"body"
    seconds: float = 20.0
    unsure: bool = False


def head(lines: str, body: bytes = b"") -> bytes:
    return lines.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body


def ok(*lines: str, body: bytes = b"ok", status: str = "200 OK", length: object = None) -> bytes:
    length = len(body) if length is None else length
    return head("\n".join((f"HTTP/1.1 {status}", f"Content-Length: {length}", *lines)), body)


def chunked(body: bytes, *lines: str) -> bytes:
    return head("\n".join(("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *lines)), body)


BEHAVIOURS = {
    "a plain answer": Behaviour(ok()),
    "no body": Behaviour(ok(body=b"")),
    "204": Behaviour(head("HTTP/1.1 204 No Content")),
    "204 with a length": Behaviour(head("HTTP/1.1 204 No Content\nContent-Length: 0")),
    "304": Behaviour(head("HTTP/1.1 304 Not Modified\nContent-Length: 9")),
    "201 with a location": Behaviour(ok("Location: http://127.0.0.1:1/elsewhere", status="201 Created")),
    "a redirect": Behaviour(ok("Location: http://127.0.0.1:1/elsewhere", status="302 Found")),
    "a redirect to itself": Behaviour(ok("Location: /", status="307 Temporary Redirect")),
    "410": Behaviour(ok(status="410 Gone")),
    "429 with seconds": Behaviour(ok("Retry-After: 30", status="429 Too Many Requests")),
    "503 with two": Behaviour(ok("Retry-After: 3", "retry-after: 7", status="503 Busy")),
    "no reason": Behaviour(ok(status="200 ")),
    "no reason, nor a space": Behaviour(ok(status="200")),
    "a long reason": Behaviour(ok(status="500 It is far too late for this")),
    "a reason in Latin-1": Behaviour(ok(status="500 Schl\xe4ft")),
    "status 299": Behaviour(ok(status="299 Odd")),
    "status 999": Behaviour(ok(status="999 Odder")),
    "status 99": Behaviour(ok(status="99 Small")),
    "status 2000": Behaviour(ok(status="2000 Large")),
    "a status that is no number": Behaviour(ok(status="OK 200")),
    "HTTP/1.0": Behaviour(head("HTTP/1.0 200 OK\nContent-Length: 2", b"ok"), "close", 1),
    "HTTP/1.0 that keeps alive": Behaviour(head("HTTP/1.0 200 OK\nContent-Length: 2\nConnection: keep-alive", b"ok")),
    "HTTP/2.0": Behaviour(head("HTTP/2.0 200 OK\nContent-Length: 2", b"ok"), "close", 1),
    "HTTP/0.9": Behaviour(b"<html>hello</html>", "close", 1),
    "SSH": Behaviour(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "TLS": Behaviour(b"\x15\x03\x01\x00\x02\x02\x0a", "close", 1),
    "nothing, then the end": Behaviour(b"", "close", 1),
    "nothing, then a reset": Behaviour(b"", "reset", 1),
    "nothing at all": Behaviour(b"", "hang", 1, seconds=0.3),
    "half a status line": Behaviour(b"HTTP/1.1 2", "close", 1),
    "half a head": Behaviour(b"HTTP/1.1 200 OK\r\nContent-Le", "close", 1),
    "half a head, then silence": Behaviour(b"HTTP/1.1 200 OK\r\nContent-Le", "hang", 1, seconds=0.3),
    "half a body": Behaviour(ok(length=50), "close", 1),
    "half a body, then a reset": Behaviour(ok(length=50), "reset", 1),
    "half a body, then silence": Behaviour(ok(length=50), "hang", 1, seconds=0.3),
    "a length that is too short": Behaviour(ok(body=b"too long", length=3)),
    "a length that is no number": Behaviour(ok(length="two")),
    "a length below zero": Behaviour(ok(length=-1)),
    "a length beyond 64 bits": Behaviour(ok(length=10**30)),
    "two lengths": Behaviour(ok("Content-Length: 3")),
    "the same length twice": Behaviour(ok("Content-Length: 2")),
    "a list of lengths": Behaviour(ok(length="2, 2")),
    "length and chunks": Behaviour(chunked(b"2\r\nok\r\n0\r\n\r\n", "Content-Length: 2")),
    "no length, then the end": Behaviour(head("HTTP/1.1 200 OK", b"ok"), "close", 1),
    "no length, nor an end": Behaviour(head("HTTP/1.1 200 OK", b"ok"), "hang", 1, seconds=0.3),
    "no length, too long": Behaviour(head("HTTP/1.1 200 OK", b"x" * 300), "hang", 1),
    "a body as long as the limit": Behaviour(ok(body=b"x" * LIMIT)),
    "a body that is longer than the limit": Behaviour(ok(body=b"x" * (LIMIT + 1))),
    "a body that is far longer": Behaviour(ok(body=b"x" * 300_000)),
    "a body that is no UTF-8": Behaviour(ok(body=b"\xff\xfe\x00ok")),
    "chunks": Behaviour(chunked(b"2\r\nok\r\n3\r\n...\r\n0\r\n\r\n")),
    "chunks of upper case": Behaviour(chunked(b"0A\r\n0123456789\r\n0\r\n\r\n")),
    "chunks with an extension": Behaviour(chunked(b"2;a=b\r\nok\r\n0\r\n\r\n")),
    "chunks with a trailer": Behaviour(chunked(b"2\r\nok\r\n0\r\nRetry-After: 9\r\nX-Sum: 1\r\n\r\n")),
    "chunks that exceed the limit": Behaviour(chunked(b"".join(b"40\r\n%s\r\n" % (b"x" * 64) for _ in range(9)))),
    "chunks that end too early": Behaviour(chunked(b"2\r\nok\r\n5\r\nab"), "close", 1),
    "chunks without the last": Behaviour(chunked(b"2\r\nok\r\n"), "close", 1),
    "a chunk that is no number": Behaviour(chunked(b"zz\r\nok\r\n0\r\n\r\n"), seconds=0.3, unsure=True),
    "a chunk below zero": Behaviour(chunked(b"-2\r\nok\r\n0\r\n\r\n"), seconds=0.3, unsure=True),
    "a chunk that is too long": Behaviour(chunked(b"2\r\nokay\r\n0\r\n\r\n"), seconds=0.3, unsure=True),
    "a space after the size of a chunk": Behaviour(chunked(b"2 \r\nok\r\n0\r\n\r\n")),
    "a coding that is not chunked": Behaviour(head("HTTP/1.1 200 OK\nTransfer-Encoding: gzip", b"ok"), "close", 1),
    "gzip and chunked": Behaviour(head("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked", b"2\r\nok\r\n0\r\n\r\n")),
    "a compressed body": Behaviour(ok("Content-Encoding: gzip", body=gzip.compress(b"ok", mtime=0))),
    "a compressed body that is none": Behaviour(ok("Content-Encoding: gzip")),
    "an unknown coding": Behaviour(ok("Content-Encoding: x-secret")),
    "100 first": Behaviour(head("HTTP/1.1 100 Continue") + ok()),
    "102 and 103 first": Behaviour(
        head("HTTP/1.1 102 Processing") + head("HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload") + ok("X: 1")
    ),
    "a hundred times 103": Behaviour(head("HTTP/1.1 103 Early Hints\nRetry-After: 9") * 100 + ok()),
    "100 and nothing": Behaviour(head("HTTP/1.1 100 Continue"), "close", 1),
    "101": Behaviour(head("HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket"), "hang", 1),
    "an offer to upgrade": Behaviour(ok("Connection: upgrade", "Upgrade: h2c")),
    "it says that it closes": Behaviour(ok("Connection: close"), "close", 1),
    "it closes without saying so": Behaviour(ok(), "close", 1),
    "it resets after an answer": Behaviour(ok(), "reset", 1),
    "it says that it closes, and does not": Behaviour(ok("Connection: close")),
    "it closes after the second request": Behaviour(ok(), "drop", 1),
    "an answer that was not asked for": Behaviour(ok() + ok(status="500 Unasked")),
    "garbage after an answer": Behaviour(ok() + b"\0garbage"),
    "a line end after an answer": Behaviour(ok() + b"\r\n"),
    "a body with 204": Behaviour(head("HTTP/1.1 204 No Content\nContent-Length: 5", b"hello")),
    "an answer before the request": Behaviour(ok(), "close", 1, early=True, body=b"x" * 500_000),
    "obs-fold": Behaviour(ok("X-Long: a", " b", "\tc")),
    "a header without a value": Behaviour(ok("X-Empty:", "X-Next: 1")),
    "a header without a colon": Behaviour(ok("X-Bad")),
    "a space before a colon": Behaviour(ok("X-Bad : 1")),
    "a name that is no token": Behaviour(ok("X(Bad: 1")),
    "a header without a name": Behaviour(ok(": 1")),
    "a header of UTF-8": Behaviour(ok("X-Name: \xc3\xbc")),
    "spaces around a value": Behaviour(ok("X-Name: \t a b \t ")),
    "a null in a header": Behaviour(ok("X-Name: a\0b")),
    "control characters in a header": Behaviour(ok("X-Name: a\x01b")),
    "the same header twice": Behaviour(ok("Set-Cookie: a=1", "Set-Cookie: b=2")),
    "a header of 60,000 bytes": Behaviour(ok(f"X-Long: {'x' * 60_000}")),
    "a header of 70,000 bytes": Behaviour(ok(f"X-Long: {'x' * 70_000}")),
    "a hundred headers": Behaviour(ok(*(f"X-{number}: {number}" for number in range(100)))),
    "line feeds alone": Behaviour(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    "carriage returns alone": Behaviour(b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok", "close", 1),
    "an empty line first": Behaviour(b"\r\n" + ok()),
    "a space first": Behaviour(b" " + ok()),
    "lower case": Behaviour(b"http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nok", "close", 1),
    "HEAD": Behaviour(head("HTTP/1.1 200 OK\nContent-Length: 50"), method="HEAD", body=b""),
    "GET": Behaviour(ok(), method="GET", body=b""),
    "PUT": Behaviour(ok(), method="PUT"),
    "DELETE": Behaviour(ok(), method="delete", body=b""),
}


class Receiver:
    """Behaves, and counts."""

    def __init__(self, behaviour: Behaviour, piece: int) -> None:
        self._behaviour = behaviour
        self._piece = piece
        self.connections = 0
        self.requests: list[str] = []
        self._ending = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=1_000_000)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            self._ending.set()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for _ in range(self._behaviour.answers):
                if not self._behaviour.early:
                    await self._read(reader)
                await self._write(writer)
            if self._behaviour.last in {"keep", "drop"}:
                await self._read(reader)
            if self._behaviour.last == "hang":
                await self._ending.wait()
        if self._behaviour.last == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(len(self._behaviour.body))
        self.requests.append(request.partition("\r\n")[0])

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        answer = self._behaviour.answer
        for at in range(0, len(answer), self._piece):
            writer.write(answer[at : at + self._piece])
            await writer.drain()
            if self._piece < len(answer):
                await asyncio.sleep(0)


class Outcome(NamedTuple):
    """Everything that can be told of some requests in a row."""

    responses: list[dict[str, object]]
    requests: list[str]


async def outcome(client: HttpClient | AiohttpClient, behaviour: Behaviour, piece: int) -> Outcome:
    receiver = Receiver(behaviour, piece)
    await client.start()
    try:
        async with receiver.running() as url:
            request = HttpRequest(behaviour.method, url, {"webhook-id": "1"}, behaviour.body)
            responses = [await client.send(request, behaviour.seconds) for _ in range(SENDS)]
    finally:
        await client.close()
    return Outcome([told(response) for response in responses], receiver.requests)


def told(response: Response) -> dict[str, object]:
    return {
        "status": response.status,
        "reason": response.reason,
        "headers": [(name.lower(), value) for name, value in response.headers.items()],
        "body": response.body,
        "truncated": response.truncated,
        "retry_after": response.retry_after,
        "failure": response.failure,
        "forbidden": response.forbidden,
        "has_error": response.error is not None,
    }


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    """Read once: it takes longer than a test."""
    return ssl.create_default_context()


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_both_clients_come_to_the_same_outcome_at_once_and_byte_by_byte(
    name: str, context: ssl.SSLContext
) -> None:
    behaviour = BEHAVIOURS[name]
    guard = DestinationGuard(["127.0.0.1"])
    for piece in (1_000_000, 1 + len(behaviour.answer) // 300):
        ours = await outcome(HttpClient(guard, body_limit=LIMIT, context=context), behaviour, piece)
        theirs = await outcome(AiohttpClient(guard, body_limit=LIMIT), behaviour, piece)
        if behaviour.unsure:
            assert {each["failure"] for each in ours.responses} == {Reason.CONNECTION}
            ours, theirs = (without_failures(each) for each in (ours, theirs))
        assert ours == theirs


def without_failures(outcome: Outcome) -> Outcome:
    return Outcome([each | {"failure": None} for each in outcome.responses], outcome.requests)
