from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.websocket import connection
from connectors.websocket.commands import Commands
from connectors.websocket.connection import Connection
from connectors.websocket.metrics import RealtimeMetrics
from connectors.websocket.settings import RealtimeSettings
from tests.unit.connectors.websocket.test_frames import frame
from tests.unit.connectors.websocket.test_handshake import head
from tests.unit.connectors.websocket.test_session import Timers, Unread


class Wire(Unread):
    """The transport of a client that reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.reading = True
        self.protocol: object = None

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol


class Http(asyncio.Protocol):
    """The HTTP server."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: object = None

    def connection_made(self, transport: object) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data


class Opened:
    """A connection, and everything around it."""

    def __init__(self) -> None:
        self.node: Any = SimpleNamespace(
            clock=Timers(),
            settings=RealtimeSettings(),
            metrics=RealtimeMetrics(CollectorRegistry()),
            sessions=set(),
            authorizer=None,
        )
        self.http = Http()
        self.strangers: set[Connection] = set()
        self.wire: Any = Wire()
        self.connection = Connection(self.node, lambda origin, _: origin is None, lambda: self.http, self.strangers)
        self.connection.connection_made(self.wire)

    def shake_hands(self) -> None:
        self.connection.data_received(head())
        assert self.wire.written.pop().startswith(b"HTTP/1.1 101 ")


class Slow:
    """Executes commands once it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.done: list[str] = []

    async def carry_out(self, text: str) -> None:
        await self.may.wait()
        self.done.append(text)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(Commands, "carry_out", made.carry_out)
    return made


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_handshake_makes_a_stranger_a_client() -> None:
    opened = Opened()
    assert opened.strangers == {opened.connection}

    opened.connection.data_received(head(b"Sec-WebSocket-Protocol: x, centrifuge-json"))

    assert b"\r\nSec-WebSocket-Protocol: centrifuge-json\r\n" in opened.wire.written[0]
    assert (len(opened.node.sessions), opened.strangers) == (1, set())


@pytest.mark.parametrize(
    "request_",
    [b"GET /healthz HTTP/1.1\r\n\r\n", head()[:40], head(b"Origin: http://x"), head(b"Sec-WebSocket-Protocol: x")],
)
async def test_what_may_not_simply_be_opened_goes_to_the_http_server(request_: bytes) -> None:
    opened = Opened()

    opened.connection.data_received(request_)

    assert (opened.wire.protocol, opened.http.transport) == (opened.http, opened.wire)
    assert (opened.http.received, opened.wire.written) == (request_, [])
    assert (opened.node.sessions, opened.strangers) == (set(), set())


async def test_pings_are_answered_and_pongs_are_not() -> None:
    opened = Opened()
    opened.shake_hands()

    opened.connection.data_received(frame(b"now", 0x89) + frame(b"", 0x8A))

    assert opened.wire.written == [b"\x8a\x03now"]


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (frame((1001).to_bytes(2, "big") + b"bye", 0x88), b"\x88\x02\x03\xe9"),
        (frame(b"", 0x88), b"\x88\x00"),
        (frame(b"\xff"), b"\x88\x02\x03\xef"),
        (frame(b"x", 0x83), b"\x88\x02\x03\xea"),
    ],
)
async def test_the_ends_that_the_protocol_has(sent: bytes, answered: bytes) -> None:
    opened = Opened()
    opened.shake_hands()

    opened.connection.data_received(sent)
    await settle()

    assert (opened.wire.written, opened.wire.closed) == ([answered], True)


async def test_a_client_that_says_too_much_at_once_is_read_no_further_until_it_is_answered(slow: Slow) -> None:
    opened = Opened()
    opened.shake_hands()
    texts = [str(number) for number in range(connection._UNREAD // connection._AROUND + 2)]

    opened.connection.data_received(b"".join(frame(text.encode()) for text in texts))
    await settle()
    assert not opened.wire.reading

    slow.may.set()
    await settle()
    assert slow.done == texts
    assert opened.wire.reading


async def test_a_client_that_goes_is_forgotten_when_its_command_has_ended(slow: Slow) -> None:
    opened = Opened()
    opened.shake_hands()
    opened.connection.data_received(frame(b"first") + frame(b"second"))
    await settle()

    opened.wire.closed = True
    opened.connection.connection_lost(None)
    assert len(opened.node.sessions) == 1

    slow.may.set()
    await settle()
    assert opened.node.sessions == set()
    assert slow.done == ["first"]


async def test_an_ended_connection_leaves_nothing_for_the_collector() -> None:
    opened = Opened()
    opened.shake_hands()
    session = weakref.ref(next(iter(opened.node.sessions)))
    gc.disable()
    try:
        opened.connection.connection_lost(None)
        assert session() is None
    finally:
        gc.enable()


async def test_closing_lasts_until_the_client_has_everything() -> None:
    opened = Opened()
    opened.shake_hands()

    closing = asyncio.create_task(opened.connection.close(code=3001, message=b"shutdown"))
    await settle()
    assert (opened.wire.written, closing.done()) == ([b"\x88\x0a\x0b\xb9shutdown"], False)

    opened.connection.connection_lost(None)
    await closing
