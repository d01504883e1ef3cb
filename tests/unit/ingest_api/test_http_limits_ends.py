"""How much the server's connection reads, how long it waits, and what it says before it closes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from ingest_api.http_limits import LEAST_BODY_BYTES, BoundedConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

POST = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
WHOLE = POST + b"whole"
CHUNKED = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.over = False

    def cancel(self) -> None:
        self.over = True
        self.callback = lambda: None


class Clock:
    """The running loop, but that what is to be done later is done when a test says so."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, _delay: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(callback))
        return self.timers[-1]

    def create_task(self, coroutine: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(coroutine)


class Session:
    """A client, its connection on the server, and an app that answers the path and the body when it is let."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.began: list[str] = []
        self.gone: list[str] = []
        self.padding = 0
        self.clock = Clock()
        config = uvicorn.Config(self._app, ws="none", log_config=None, lifespan="off", interface="asgi3")
        config.load()
        self.connection = BoundedConnection(config, ServerState(), {}, _loop=self.clock)  # type: ignore[arg-type]

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.append(scope["path"])
        body, more = b"", scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.append(scope["path"])
                return
            body += message["body"]
            more = message["more_body"]
        await self.let.wait()
        answer = scope["path"].encode() + body + b"." * self.padding
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def look(self) -> None:
        """Look at the connection as it is looked at now and then."""
        self.connection._looking.cancel()
        self.connection._look()

    async def send(self, data: bytes) -> None:
        """Send, and wait until it has been read as far as it will be."""
        before = self.connection._received
        self.writer.write(data)
        await self.until(lambda: self.connection._received > before)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():  # noqa: ASYNC110  # it is the server that changes
                await asyncio.sleep(0)

    async def answers(self) -> list[tuple[int, bytes]]:
        """The status and the body of each answer, when the connection is closed."""
        async with asyncio.timeout(15):
            answered = await self.reader.read()
        _, *parts = re.split(rb"HTTP/1.1 (\d+) .*?\r\n\r\n", answered, flags=re.DOTALL)
        return [(int(status), body) for status, body in zip(parts[::2], parts[1::2], strict=True)]


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session()
    server = await asyncio.get_running_loop().create_server(lambda: made.connection, "127.0.0.1", 0)
    made.reader, made.writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await made.until(lambda: made.connection.transport is not None)
    yield made
    made.let.set()
    made.writer.close()
    with contextlib.suppress(ConnectionError):
        await made.writer.wait_closed()
    server.close()
    await server.wait_closed()
    await made.until(lambda: made.connection not in made.connection.connections)
    assert [timer.callback for timer in made.clock.timers if not timer.over] == []


@pytest.mark.parametrize("behind", [b"junk \x00 junk\r\n\r\n", b"POST /3 HTTP/1.1\r\nContent-Length: some\r\n\r\n"])
async def test_what_comes_behind_a_request_is_not_taken_for_it(session: Session, behind: bytes) -> None:
    """It was accepted: 400 would have its client send it once more."""
    await session.send(WHOLE % 1 + WHOLE % 2 + behind)
    session.let.set()

    *answered, (status, _) = await session.answers()
    assert answered == [(200, b"/1whole"), (200, b"/2whole")]
    assert status == 400


async def test_a_request_that_is_broken_itself_is_refused_after_those_before_it(session: Session) -> None:
    session.writer.write(WHOLE % 1 + CHUNKED % 2 + b"x\r\n")
    await session.until(lambda: session.connection._last_words is not None)
    session.let.set()

    assert [status for status, _ in await session.answers()] == [200, 400]
    assert session.began == ["/1"]


@pytest.mark.parametrize(
    "head", [b"GET /?" + b"q" * 65_536 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 65_530 + b"\r\n"]
)
async def test_a_head_that_is_too_long_is_told_to_be_so(session: Session, head: bytes) -> None:
    session.writer.write(head + b"Host: x\r\n\r\n")

    assert [status for status, _ in await session.answers()] == [431]


async def test_a_broken_body_is_refused_at_once(session: Session) -> None:
    session.writer.write(CHUNKED % 1 + b"5\r\nwhole\r\nx\r\n")

    assert [status for status, _ in await session.answers()] == [400]
    await session.until(lambda: session.gone == session.began)


async def test_who_has_closed_its_own_half_is_answered(session: Session) -> None:
    session.writer.write(WHOLE % 1)
    session.writer.write_eof()
    await session.until(lambda: session.connection._last_words is not None)
    session.let.set()

    assert await session.answers() == [(200, b"/1whole")]


async def test_who_has_sent_all_its_requests_is_answered_all_of_them(session: Session) -> None:
    await session.send(WHOLE % 1 + WHOLE % 2)
    session.writer.write_eof()
    session.let.set()

    assert await session.answers() == [(200, b"/1whole"), (200, b"/2whole")]


async def test_who_goes_within_a_request_is_gone(session: Session) -> None:
    session.writer.write(POST % 1 + b"who")
    session.writer.write_eof()

    assert await session.answers() == []
    await session.until(lambda: session.gone == ["/1"])


async def test_who_goes_without_a_request_is_gone(session: Session) -> None:
    session.writer.write(b"GET /")
    session.writer.write_eof()

    assert await session.answers() == []


async def test_few_of_many_requests_wait_in_memory(session: Session) -> None:
    """Each costs kilobytes, and anybody may send any number at once."""
    count, tiny = 2_000, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
    session.writer.write(tiny * count)
    session.writer.write_eof()
    most = 0

    async def answered() -> None:
        nonlocal most
        read = b""
        while data := await session.reader.read(1_000_000):
            most = max(most, len(session.connection.pipeline))
            read += data
        assert read.count(b"HTTP/1.1 200") == count

    await session.until(lambda: bool(session.connection.pipeline))
    session.let.set()
    async with asyncio.timeout(60):
        await answered()
    assert 0 < most < 500


async def test_a_large_body_and_what_follows_are_read(session: Session) -> None:
    large = b"x" * 1_000_000
    session.let.set()
    session.writer.write(POST.replace(b"5", b"%d") % (1, len(large)) + large + WHOLE % 2 + WHOLE % 3)
    session.writer.write_eof()

    assert await session.answers() == [(200, b"/1" + large), (200, b"/2whole"), (200, b"/3whole")]


@pytest.mark.parametrize("parts", [(b"GET / HT", b"TP/1.1\r\nA: b\r\n"), (POST % 1 + b"w", b"h"), (b"\r\n", b"\r\n")])
async def test_a_request_that_does_not_come_on_is_given_up(session: Session, parts: tuple[bytes, bytes]) -> None:
    for part in parts:
        await session.send(part)
        assert not session.connection.transport.is_closing()
        session.look()

    assert [status for status, _ in await session.answers()] == [408]


async def test_a_second_request_that_does_not_come_on_is_given_up(session: Session) -> None:
    session.let.set()
    await session.send(WHOLE % 1)
    await session.until(lambda: session.connection.timeout_keep_alive_task is not None)
    for _ in range(3):
        session.look()
    for part in (b"GET /", b"2"):
        await session.send(part)
        session.look()

    assert await session.answers() == [(200, b"/1whole"), (408, b"The request takes too long to come.")]


async def test_what_comes_on_is_waited_for(session: Session) -> None:
    large = b"x" * LEAST_BODY_BYTES * 5
    await session.send(POST.replace(b"5", b"%d") % (1, len(large)))
    for at in range(0, len(large), LEAST_BODY_BYTES):
        session.look()
        await session.send(large[at : at + LEAST_BODY_BYTES])
    for _ in range(3):  # and then it is us who take long
        session.look()
    session.let.set()
    session.writer.write_eof()

    assert await session.answers() == [(200, b"/1" + large)]


async def test_a_body_that_goes_on_after_its_answer_is_cut_off(session: Session) -> None:
    session.let.set()
    await session.send(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
    await session.until(lambda: session.connection.cycle.response_complete)
    for _ in range(2):
        await session.send(b"x" * LEAST_BODY_BYTES)
        session.look()

    assert await session.answers() == [(200, b"/unread")]


async def test_who_does_not_read_its_answer_is_cut_off(session: Session) -> None:
    session.padding = 64_000_000
    session.let.set()
    await session.send(WHOLE % 1)
    await session.until(lambda: session.connection.transport.get_write_buffer_size() > 0)
    session.look()
    assert not session.connection.transport.is_closing()

    def is_cut_off() -> bool:
        session.look()
        return session.connection.transport.is_closing()

    await session.until(is_cut_off)
    with contextlib.suppress(ConnectionError):
        assert len(await session.reader.read()) < session.padding


async def test_a_connection_that_is_reset_leaves_no_timer(session: Session) -> None:
    session.connection.transport.abort()
    session.connection.connection_lost(ConnectionResetError())

    assert [timer.callback for timer in session.clock.timers if not timer.over] == []


@pytest.mark.parametrize("sent", [b"", POST % 1, WHOLE % 1, WHOLE % 1 + WHOLE % 2 + WHOLE % 3, WHOLE % 1 * 1_000])
async def test_nothing_of_a_connection_that_is_over_is_left_to_the_garbage_collector(sent: bytes) -> None:
    """Which looks seldom, and at what has been there for a while hardly ever."""
    session = Session()
    left = weakref.ref(session.connection)
    server = await asyncio.get_running_loop().create_server(lambda: session.connection, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    gc.disable()
    try:
        writer.write(sent)
        await session.until(lambda: bool(session.began) if sent else session.connection.transport is not None)
        del session.connection
        writer.transport.abort()
        session.let.set()
        await session.until(lambda: left() is None)
    finally:
        gc.enable()
        server.close()
        await server.wait_closed()


async def test_a_connection_without_a_request_is_idle(session: Session) -> None:
    """As one between two requests: some clients and proxies open theirs before they need them."""
    for _ in range(3):
        session.look()
    assert not session.connection.transport.is_closing()
    idle = session.connection.timeout_keep_alive_task
    assert isinstance(idle, Timer)
    idle.callback()

    assert await session.answers() == []
