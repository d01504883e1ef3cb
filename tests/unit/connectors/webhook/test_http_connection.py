"""A connection of our own HTTP client, fed with all kinds of bytes; no network."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.webhook.http_connection import (
    LONGEST_HEADER,
    Answered,
    BrokenOff,
    Disconnected,
    HttpConnection,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT = 100
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire(asyncio.Transport):
    """The other end: keeps what was written."""

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.closing = self.aborted = False
        self._connection = connection

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def opened() -> tuple[HttpConnection, Wire, Mock]:
    on_lost = Mock()
    connection = HttpConnection(on_lost)
    wire = Wire(connection)
    connection.connection_made(wire)
    return connection, wire, on_lost


def asked(connection: HttpConnection, *, bodiless: bool = False) -> asyncio.Future[Answered]:
    deadline = asyncio.get_running_loop().time() + 3_600
    return connection.exchange(b"request", limit=LIMIT, deadline=deadline, bodiless=bodiless)


async def test_one_request_is_one_write_and_the_connection_serves_the_next() -> None:
    connection, wire, _ = opened()
    for count in (1, 2, 3):
        answer = asked(connection)
        connection.data_received(OK)
        assert (await answer).body == b"ok"
        assert connection.is_reusable
        assert wire.written == b"request" * count


async def test_an_answer_before_the_request_is_written_ends_the_connection() -> None:
    connection, wire, _ = opened()
    answer = asked(connection)
    wire.unsent = 1
    connection.data_received(OK)
    assert (await answer).status == 200
    assert not connection.is_reusable
    assert wire.closing


async def test_an_idle_connection_keeps_nothing_of_a_response() -> None:
    connection, _, _ = opened()
    answer = asked(connection)
    connection.data_received(b"HTTP/1.1 200 " + b"r" * 100_000 + b"\r\nA: b\r\nContent-Length: 2\r\n\r\nok")
    await answer
    assert connection.is_reusable
    assert (connection._reason, connection._headers, connection._body) == (b"", [], b"")


async def test_a_receiver_that_says_nothing_does_not_hold_its_connection_past_the_deadline() -> None:
    """Closing politely would wait for its part of TLS's farewell: half a minute."""
    connection, wire, _ = opened()
    answer = connection.exchange(b"request", limit=LIMIT, deadline=0.0, bodiless=False)
    with pytest.raises(TimeoutError):
        await answer
    assert wire.aborted


async def test_a_receiver_that_never_ends_its_body_does_not_hold_its_connection_either() -> None:
    connection, wire, _ = opened()
    answer = asked(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1))
    assert (await answer).truncated
    assert wire.aborted


async def test_a_connection_that_is_not_needed_any_more_is_closed_in_a_friendly_way() -> None:
    connection, wire, _ = opened()
    answer = asked(connection)
    connection.data_received(OK)
    await answer
    connection.close()
    assert wire.closing
    assert not wire.aborted


async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    connection, wire, on_lost = opened()
    answer = asked(connection)
    connection.data_received(OK)
    await answer
    connection.data_received(OK)
    assert not connection.is_reusable
    assert wire.closing
    await asyncio.sleep(0)
    on_lost.assert_called_once_with(connection)


@pytest.mark.parametrize("extra", [b"\0", OK, b"HTTP/1.1 200", b"x"])
async def test_what_follows_an_answer_is_never_taken_for_the_next(extra: bytes) -> None:
    connection, wire, _ = opened()
    answer = asked(connection)
    connection.data_received(OK + extra)
    assert (await answer).body == b"ok"
    assert wire.closing


async def test_a_request_on_a_connection_that_is_lost_meanwhile_says_so_at_once() -> None:
    connection, _, _ = opened()
    connection.connection_lost(None)
    with pytest.raises(Disconnected) as raised:
        await asked(connection)
    assert raised.value.silent


@pytest.mark.parametrize(
    ("received", "silent"), [(b"", True), (b"H", False), (b"HTTP/1.1 100 Continue\r\n\r\n", False)]
)
async def test_it_is_told_apart_whether_anything_came_before_the_end(received: bytes, *, silent: bool) -> None:
    connection, _, _ = opened()
    answer = asked(connection)
    if received:
        connection.data_received(received)
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(Disconnected) as raised:
        await answer
    assert raised.value.silent is silent


async def test_the_deadline_ends_the_connection() -> None:
    connection, wire, _ = opened()
    answer = connection.exchange(b"", limit=LIMIT, deadline=0.0, bodiless=False)
    with pytest.raises(TimeoutError):
        await answer
    assert wire.closing


async def test_heads_and_trailers_without_an_end_are_not_kept() -> None:
    line = b"X: %s\r\n" % (b"x" * 1_000)
    chunk = b"1\r\nx\r\n"
    heads = {
        Unreadable: b"HTTP/1.1 200 OK\r\n",
        BrokenOff: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n",
    }
    for error, head in heads.items():
        connection, wire, _ = opened()
        answer = asked(connection)
        connection.data_received(head)
        for _ in range(5 * LONGEST_HEADER // len(line)):
            connection.data_received(line)
        with pytest.raises(error):
            await answer
        assert wire.closing


async def test_interim_responses_without_an_end_are_not_waited_for() -> None:
    connection, _, _ = opened()
    answer = asked(connection)
    for _ in range(5 * LONGEST_HEADER // 30):
        connection.data_received(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n")
    with pytest.raises(Unreadable):
        await answer


async def test_chunks_of_one_byte_are_read() -> None:
    connection, _, _ = opened()
    answer = connection.exchange(b"", limit=500_000, deadline=1e9, bodiless=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        connection.data_received(b"1\r\nx\r\n" * 1_000)
    connection.data_received(b"0\r\n\r\n")
    assert len((await answer).body) == 100_000


PARTS = (
    b"HTTP/1.1 ",
    b"HTTP/1.0 ",
    b"200 OK",
    b"204 No Content",
    b"100 Continue",
    b"101 Switching Protocols",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"Content-Length: 2",
    b"Content-Length: 200",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Retry-After: 3",
    b" folded",
    b"X: y",
    b"X:",
    b": y",
    b"2\r\nok\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffffff\r\n",
    b"ok",
    b"\0",
    b"x" * 150,
    OK,
)
BYTES = st.lists(st.sampled_from(PARTS) | st.binary(max_size=8), max_size=16).map(b"".join)
LIKE_A_RESPONSE = BYTES.map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest)


@settings(max_examples=150)
@given(
    received=BYTES | LIKE_A_RESPONSE,
    cuts=st.lists(st.integers(0, 300), max_size=6),
    bodiless=st.booleans(),
    reset=st.booleans(),
)
@example(received=OK + OK, cuts=[], bodiless=False, reset=False)
@example(received=OK, cuts=list(range(60)), bodiless=False, reset=True)
def test_whatever_comes_however_divided_leads_to_one_outcome(
    loop: asyncio.AbstractEventLoop, received: bytes, cuts: list[int], *, bodiless: bool, reset: bool
) -> None:
    at_once, divided = (
        loop.run_until_complete(outcome_of(pieces, bodiless=bodiless, reset=reset))
        for pieces in ([received], pieces_of(received, cuts))
    )
    assert at_once == divided


def pieces_of(received: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut for cut in cuts if cut < len(received)), len(received)]
    return [received[begin:end] for begin, end in itertools.pairwise(places) if begin < end]


async def outcome_of(pieces: Sequence[bytes], *, bodiless: bool, reset: bool) -> tuple[object, ...]:
    """An answer or one of three errors, and never anything else once the connection has ended."""
    connection, wire, on_lost = opened()
    future = asked(connection, bodiless=bodiless)
    for piece in pieces:
        if piece and not wire.closing:
            connection.data_received(piece)
    if not wire.closing:
        connection.connection_lost(ConnectionResetError() if reset else None)
    else:
        await asyncio.sleep(0)
    on_lost.assert_called_once_with(connection)
    assert future.done()
    assert not connection.is_reusable
    error = future.exception()
    if error is not None:
        assert isinstance(error, Unreadable | BrokenOff | Disconnected)
        return (type(error),)
    answered = future.result()
    assert len(answered.body) <= LIMIT
    assert 0 < answered.status < 1_000
    return answered
