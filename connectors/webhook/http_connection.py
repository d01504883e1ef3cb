"""One connection of our own HTTP/1.1 client: one request is written, one response is read, then the next.

httptools reads the response. Nothing is asked for that would make a connection something else (no upgrade, no
``Expect``), and bytes that nobody asked for end it: what follows a response is never taken for the next one.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_HEADER = 65_536
"""Most bytes of a response header. A receiver that took the event must not get it again because of its cookies."""

_MOST_AROUND = 4 * LONGEST_HEADER
"""Most bytes of a response that are not its body: heads, of interim responses too, sizes of chunks, trailers."""

_MOST_AROUND_BYTE = 16
"""Are added to them for each byte of a body: some servers send chunks of one byte."""

_SWITCHING = 101
_INTERIM = range(100, 200)


class Answered(NamedTuple):
    """A response as it was read: ``body`` has at most the limit's bytes, and ``truncated`` says if there were more."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytearray
    truncated: bool


class Unreadable(Exception):
    """What the receiver sent is no HTTP response."""


class BrokenOff(Exception):
    """The response ended too early, or its body cannot be read."""


class Disconnected(Exception):
    """The connection ended before the head of a response was complete. ``silent``: nothing came at all."""

    def __init__(self, text: str, *, silent: bool) -> None:
        super().__init__(text)
        self.silent = silent


class HttpConnection(asyncio.Protocol):
    """The client's end of a connection.

    Args:
        on_lost: is told when it is lost, whoever ended it.

    Attributes:
        idle_since: loop time of its last response.
    """

    def __init__(self, on_lost: Callable[[HttpConnection], None]) -> None:
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        # Receivers are not refused for what aiohttp lets pass.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._future: asyncio.Future[Answered] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self._limit = 0
        self._bodiless = False
        self._received = 0
        self._status = 0
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._headers_complete = self._complete = self._excess = False
        self._keep_alive = True

    @property
    def is_reusable(self) -> bool:
        """Whether the next request may be written."""
        return (
            self._transport is not None
            and self._future is None
            and self._keep_alive
            and not self._excess
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )

    def exchange(self, request: bytes, *, limit: int, deadline: float, bodiless: bool) -> asyncio.Future[Answered]:
        """Write a request; the future has its response.

        Args:
            request: head and body.
            limit: most bytes of the response's body that are read; the connection is closed after them.
            deadline: loop time until which the response must be complete.
            bodiless: the response has no body, whatever its head says (HEAD).

        Raises:
            Unreadable: (on the future) it is no HTTP.
            BrokenOff: (on the future) its body is not complete, or cannot be read.
            Disconnected: (on the future) none came.
            TimeoutError: (on the future) it was not complete at the deadline.
        """
        self._begin()
        self._limit, self._bodiless = limit, bodiless
        self._received = 0
        future = self._future = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self._fail(Disconnected("the connection was closed", silent=True))
            return future
        self._timer = self._loop.call_at(deadline, self._time_out)
        self._transport.write(request)
        return future

    def close(self) -> None:
        """End the connection; what has not been written is not written any more.

        In the middle of an exchange it ends at once: with TLS, a receiver that says nothing more would hold it for half
        a minute.
        """
        if self._transport is None:
            return
        if self._future is not None or self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102  # asyncio's
        self._transport = transport  # type: ignore[assignment]  # of a stream it is one of both directions
        connected = transport.get_extra_info("socket")
        if connected is not None:
            # The end of a long body does not wait for an acknowledgement of its beginning.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102  # asyncio's
        self._transport = None
        if self._future is not None and not self._future.done():
            self._ended(exc)
        self._release()
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:  # noqa: D102  # asyncio's
        if self._future is None or self._future.done():
            # Nobody asked, or whoever did has gone.
            self._excess = True
            self.close()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._keep_alive = False
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(self._said_badly(error))
                return
            self._excess = True
        if len(self._body) > self._limit:
            self._succeed(truncated=True)
        elif self._complete:
            self._succeed(truncated=False)
        elif self._received > _MOST_AROUND + (1 + _MOST_AROUND_BYTE) * len(self._body):
            far_too_much = f"more than {_MOST_AROUND} bytes are not its body"
            self._fail(BrokenOff(far_too_much) if self._headers_complete else Unreadable(far_too_much))

    def on_message_begin(self) -> None:  # noqa: D102  # httptools'
        if self._complete:
            self._excess = True
        elif self._status:  # an interim response was before it
            self._begin()

    def on_status(self, status: bytes) -> None:  # noqa: D102  # httptools'
        if not self._complete:
            self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102  # httptools'
        if self._headers_complete:
            return  # a trailer
        if len(name) > LONGEST_HEADER or len(value) > LONGEST_HEADER:
            raise Unreadable(f"a header has more than {LONGEST_HEADER} bytes")
        if b"\0" in value:
            raise Unreadable("a header has a null character")
        self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:  # noqa: D102  # httptools'
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        if self._status not in _INTERIM or self._status == _SWITCHING:
            self._headers_complete = True
            self._keep_alive = self._parser.should_keep_alive()
            if self._bodiless or self._status == _SWITCHING:
                self._complete, self._keep_alive = True, False

    def on_body(self, body: bytes) -> None:  # noqa: D102  # httptools'
        if not self._complete and len(self._body) <= self._limit:
            self._body += body

    def on_message_complete(self) -> None:  # noqa: D102  # httptools'
        self._complete = self._headers_complete

    def _begin(self) -> None:
        self._status = 0
        self._reason = b""
        self._headers = []
        self._body = bytearray()
        self._headers_complete = self._complete = self._excess = False
        self._keep_alive = True

    def _ended(self, exc: Exception | None) -> None:
        """Take note of the end of what the receiver sends, in the middle of an exchange."""
        if not self._headers_complete:
            why = "the connection was closed" if exc is None else f"the connection was lost: {exc}"
            self._fail(Disconnected(f"{why} before a response came", silent=not self._received))
        elif self._ends_with_connection():
            self._succeed(truncated=False)
        else:
            self._fail(BrokenOff("the connection was closed before the body was complete"))

    def _ends_with_connection(self) -> bool:
        """Whether the body has no other end than that of the connection (RFC 9112 section 6.3)."""
        codings = [value for name, value in self._headers if name.lower() == b"transfer-encoding"]
        if codings:
            return codings[-1].rpartition(b",")[2].strip().lower() != b"chunked"
        return not any(name.lower() == b"content-length" for name, _ in self._headers)

    def _said_badly(self, error: httptools.HttpParserError) -> Exception:
        said = " ".join(str(error.__context__ or error).split())
        if self._headers_complete:
            return BrokenOff(f"the body of the answer cannot be read: {said}")
        return Unreadable(said if self._status or self._reason or self._headers else f"Bad status line: {said}")

    def _succeed(self, *, truncated: bool) -> None:
        if truncated:
            self._keep_alive = False
            self.close()
        future = self._release()
        body = self._body[: self._limit] if truncated else self._body
        answered = Answered(self._status, self._reason, self._headers, body, truncated)
        # An idle connection keeps nothing of it.
        self._reason, self._headers, self._body = b"", [], bytearray()
        self.idle_since = self._loop.time()
        if not self.is_reusable:
            self.close()
        if future is not None and not future.done():
            future.set_result(answered)

    def _fail(self, error: Exception) -> None:
        self._keep_alive = False
        self.close()
        future = self._release()
        if future is not None and not future.done():
            future.set_exception(error)

    def _time_out(self) -> None:
        self._fail(TimeoutError())

    def _release(self) -> asyncio.Future[Answered] | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future, self._future = self._future, None
        return future
