"""Both HTTP clients, our own and aiohttp's, against servers that misbehave; no Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from connectors.webhook.aiohttp_client import AiohttpClient
from connectors.webhook.destination_guard import DestinationGuard
from connectors.webhook.http_client import HttpClient
from connectors.webhook.kept_exchange import kept_head
from connectors.webhook.transport import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Client = HttpClient | AiohttpClient
    Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=[HttpClient, AiohttpClient])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    made: Client = request.param(DestinationGuard(["127.0.0.1"]), body_limit=100)
    await made.start()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def server(conversation: Conversation) -> AsyncIterator[str]:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await conversation(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(4)


async def test_an_idle_connection_that_the_receiver_closed_is_no_failed_attempt(client: Client) -> None:
    connections = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request_of(reader)
        writer.write(OK)
        await request_of(reader)

    async with server(answer_once) as url:
        answers = [await client.send(HttpRequest("POST", url, {}, b"body"), 5.0) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert connections == 2


async def test_a_receiver_that_closed_all_its_idle_connections_is_no_failed_attempt(client: Client) -> None:
    connections = 0
    arrived = asyncio.Barrier(3)

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request_of(reader)
        if connections <= 3:
            await arrived.wait()
        writer.write(OK)
        await request_of(reader)

    async with server(answer_once) as url:
        first = await asyncio.gather(*(client.send(HttpRequest("POST", url, {}, b"body"), 5.0) for _ in range(3)))
        again = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert [answer.status for answer in (*first, again)] == [200] * 4
    assert connections == 4


async def test_a_receiver_that_cannot_stand_an_event_gets_it_no_more_than_twice(client: Client) -> None:
    received = 0
    arrived = asyncio.Barrier(3)

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while b"body" in await request_of(reader):
            await arrived.wait()
            writer.write(OK)
        received += 1

    async with server(drop) as url:
        first = await asyncio.gather(*(client.send(HttpRequest("POST", url, {}, b"body"), 5.0) for _ in range(3)))
        answer = await client.send(HttpRequest("POST", url, {}, b"evil"), 5.0)
    assert [each.status for each in first] == [200] * 3
    assert answer.status is None
    assert received == 2


async def test_a_new_connection_that_is_dropped_is_a_failed_attempt(client: Client) -> None:
    requests = 0

    async def drop(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal requests
        await request_of(reader)
        requests += 1

    async with server(drop) as url:
        answer = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert answer.status is None
    assert answer.error == "the connection was closed before a response came"
    assert requests == 1


async def test_a_body_that_breaks_off_is_a_failed_attempt(client: Client) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")

    async with server(break_off) as url:
        answer = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert answer.status is None
    assert answer.error is not None


async def test_what_is_no_http_is_a_failed_attempt(client: Client) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with server(babble) as url:
        answer = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert answer.status is None


@pytest.mark.parametrize(
    "header", [b"Set-Cookie: " + b"x" * 30_000, b"Retry-After: Mon, 01 Jan 99999999999999 00:00:00 GMT"]
)
async def test_headers_that_are_of_no_use_do_not_make_a_failure_of_a_success(client: Client, header: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nContent-Length: 2\r\n\r\nok")

    async with server(answer) as url:
        answered = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert (answered.status, answered.retry_after) == (200, None)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\nhello", 204),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nßü".encode(), 200),
        (OK + b"HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\0", 200),
    ],
)
async def test_what_comes_behind_an_answer_does_not_make_a_failure_of_it(
    client: Client, answer: bytes, status: int
) -> None:
    async def say_too_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)

    async with server(say_too_much) as url:
        answered = [await client.send(HttpRequest("POST", url, {}, b"body"), 5.0) for _ in range(3)]
    assert [(each.status, each.error) for each in answered] == [(status, None)] * 3


async def test_a_head_that_is_no_utf_8_can_be_kept_with_the_attempt(client: Client) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 Sch\xf6n\r\nX-Name: M\xfcller\r\nContent-Length: 2\r\n\r\nok")

    async with server(answer) as url:
        answered = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert answered.reason == "Sch\ufffdn"
    assert msgspec.json.encode(kept_head(answered.headers)) == '{"X-Name":"M\ufffdller","Content-Length":"2"}'.encode()


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("a%2Fb%3Bc%7e/%40,%2C?sig=a%2Bb%3D%2F&x=a+b%3Bc;d#part", "a%2Fb%3Bc%7e/%40,%2C?sig=a%2Bb%3D%2F&x=a+b%3Bc;d"),
        ("ü b?q=ö|[1]", "%C3%BC%20b?q=%C3%B6%7C%5B1%5D"),
        ("100%?p=%zz&q=%", "100%25?p=%25zz&q=%25"),
        ("a/../b/./c//%2e%2e/d", "a/../b/./c//%2e%2e/d"),
    ],
)
async def test_a_url_is_sent_as_it_is_written(client: Client, written: str, sent: str) -> None:
    targets = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append((await request_of(reader)).split(b" ")[1].decode())
        writer.write(OK)

    async with server(note) as url:
        answer = await client.send(HttpRequest("POST", url + written, {}, b"body"), 5.0)
    assert (answer.error, targets) == (None, [f"/{sent}"])


@pytest.mark.parametrize(
    ("headers", "sent"),
    [({}, b"Authorization: Basic bWU6czNjcmV0"), ({"authorization": "Bearer key"}, b"authorization: Bearer key")],
)
async def test_credentials_of_a_url_are_sent_unless_there_are_others(
    client: Client, headers: dict[str, str], sent: bytes
) -> None:
    heads = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await request_of(reader))
        writer.write(OK)

    async with server(note) as url:
        answer = await client.send(HttpRequest("POST", url.replace("//", "//me:s3cret@"), headers, b"body"), 5.0)
    assert (answer.status, len(heads)) == (200, 1)
    assert [line for line in heads[0].split(b"\r\n") if line.lower().startswith(b"authorization")] == [sent]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://me:s3cret@127.0.0.1:{port}/?token=s3cret", "the answer cannot be read: Bad status line"),
        ("http://me:s3cret@1.2/?token=s3cret", "the URL cannot be used: is not a canonical IPv4 address"),
        ("http://me:s3cret@10.0.0.1\\x/?token=s3cret", "ValueError: the URL cannot be read"),
        ("http://me:s3cret@a..b/?token=s3cret", "cannot connect to a..b:80: 'a..b' is no host name"),
        ("ftp://me:s3cret@10.0.0.1/?token=s3cret", "the URL cannot be used: it is neither http nor https"),
    ],
)
async def test_an_error_says_what_is_wrong_without_the_credentials_of_a_url(
    client: Client, url: str, error: str
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with server(babble) as running:
        answer = await client.send(HttpRequest("POST", url.format(port=running.split(":")[2][:-1]), {}, b"body"), 5.0)
    assert str(answer.error).startswith(error)
    assert "s3cret" not in str(answer.error)


@pytest.mark.parametrize(
    "headers",
    [
        b"Retry-After: 30\r\n",
        b"Retry-After: soon\r\nRetry-After: 2\r\nretry-after: 30\r\n",
        b"Retry-After: 30\r\nRetry-After: 2\r\n",
    ],
)
async def test_the_longest_retry_after_is_read(client: Client, headers: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 429 Slow down\r\n" + headers + b"Content-Length: 0\r\n\r\n")

    async with server(refuse) as url:
        answer = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
    assert (answer.status, answer.retry_after) == (429, 30.0)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1/", {}),
        ("ftp://127.0.0.1/", {}),
        ("http://", {}),
        ("no url", {}),
        ("http://2130706433/", {}),
        ("http://127.0.0.1:1/", {"X-Bad": "a\r\nX-Injected: b"}),
        ("http://host.invalid/", {}),
    ],
)
async def test_what_cannot_be_sent_is_an_answer_too(client: Client, url: str, headers: dict[str, str]) -> None:
    answer = await client.send(HttpRequest("POST", url, headers, b"body"), 5.0)
    assert answer.status is None
    assert answer.error


async def test_a_forbidden_address_is_told_apart(client: Client) -> None:
    answer = await client.send(HttpRequest("POST", "http://10.0.0.1/", {}, b"body"), 5.0)
    assert answer.forbidden
    assert answer.error == "10.0.0.1 is not a public address"


async def test_a_name_that_moves_to_a_private_address_is_not_followed_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["127.0.0.1"]
    look_up = socket.getaddrinfo

    def moving(host: str, *arguments: Any, **options: Any) -> Any:
        return look_up(addresses[0] if host == "moves.example" else host, *arguments, **options)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    monkeypatch.setattr(socket, "getaddrinfo", moving)
    async with server(answer) as url:
        request = HttpRequest("POST", url.replace("127.0.0.1", "moves.example"), {}, b"body")
        allowed = await client.send(request, 5.0)
        addresses[0] = "10.0.0.1"
        # As if the time had passed for which a resolved name is kept.
        if isinstance(client, AiohttpClient):
            assert client._session is not None
            client._session.connector.clear_dns_cache()  # type: ignore[union-attr]
        else:
            client._dialer._known.clear()
        moved = await client.send(request, 5.0)
    assert (allowed.status, moved.status) == (200, None)
    assert (moved.forbidden, moved.error) == (True, "10.0.0.1 is not a public address")


async def test_what_nobody_thought_of_is_a_failed_attempt(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_exchange", AsyncMock(side_effect=RuntimeError("a bug")))

    answer = await client.send(HttpRequest("POST", "http://127.0.0.1:1/", {}, b""), 5)
    assert (answer.status, answer.error) == (None, "RuntimeError: a bug")
