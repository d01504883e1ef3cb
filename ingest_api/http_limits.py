"""One connection of the server: bounded in what it holds and in how long it waits, and HTTP/1.1 only."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ingest_api.draining import MOST_BYTES, Drain
from ingest_api.http_cycle import CycleProtocol
from schemas.security.http_head import Refusal, refusal_of

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEAD_BYTES = 65_536
"""Of request line and headers, or of trailers: as much as other servers take."""

LOOK_EVERY = 30.0
"""Seconds between two looks at a connection: what has not moved on from one to the next stands still."""

LEAST_BODY_BYTES = 4_096
"""Of a body, that come between two looks if it does not stand still."""

_READ_AT_ONCE = 8_192
"""Bytes: the most requests that wait in line, each some kilobytes of memory, are those that fit."""

_BAD_REQUEST = 400
_TIMEOUT = 408
_TOO_LARGE = 431
"""Request Header Fields Too Large (RFC 6585)."""

_HEAD_TOO_LARGE = b"A request's line and headers may have %d bytes." % MAX_HEAD_BYTES

_HEADERS = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"

_OF_UPGRADES = frozenset((b"upgrade", b"http2-settings"))
"""Headers, and members of ``Connection``, that ask for another protocol."""


class _Refused(Exception):
    """The head of a request is one that must be refused."""


class _Flow(FlowControl):
    """Reads no more while the connection has requests that wait in line, or is about to end.

    The server's own goes on with each of those requests: a client that sends them without end filled the memory.
    """

    def __init__(self, connection: BoundedConnection, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        # It refers to this, too: in a circle, both would stay in memory for many more connections.
        self._connection = weakref.proxy(connection)

    def resume_reading(self) -> None:
        """Read on, if there is nothing left that was read before."""
        if self.read_paused and not self._connection.is_behind():
            super().resume_reading()


class _Outlet:
    """Takes a request's answer; closing it leaves the client time to read the answer.

    ``write`` is the transport's own: it costs a request nothing.
    """

    def __init__(self, connection: BoundedConnection, transport: asyncio.Transport) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self._connection = weakref.proxy(connection)

    def close(self) -> None:
        """Close the connection in two steps."""
        self._connection.close()


class BoundedConnection(CycleProtocol):
    """uvicorn's connection, without what a client that has no credential could do to it.

    A head or a trailer without end closes it: the parser collects one for as long as it comes. So does a client that
    stands still within a request, or while it is sent an answer.

    Requests that came whole are answered before anything is said of what came after them: an event that Kafka has
    must not be answered 400 for the sake of some bytes too many, nor left without an answer because its client has
    closed its own half of the connection.

    It is closed in two steps (RFC 9112, 9.6): while the client still sends, closing at once would reset the connection,
    and the client would lose an answer that it has not read yet.

    An ``Upgrade`` is passed over, as a server may (RFC 9110, 7.8); Java's HTTP client asks for one first of all. The
    parser would take the request's body for the other protocol: an event would be accepted without its data.
    """

    _received = 0
    """Bytes that have been read."""

    _progress = 0
    """``_received`` when something last was part of a body or ended a request."""

    _upgrading = False
    """Whether the head that was read last asks for another protocol."""

    _host: bytes | None = None
    """The last ``Host`` that was found valid: a client repeats it with every request."""

    _refusal: bytes = b""
    """The answer to a head that must be refused."""

    _unread: bytes | memoryview = b""
    """What came behind requests that wait in line."""

    _last_words: bytes | None = None
    """What is said before the connection is closed, once all requests that came whole have been answered."""

    _drain: Drain | None = None
    """While the connection is being closed."""

    _dropped = 0
    """Bytes of a body that were dropped because its request has been answered."""

    _ended = False
    """Whether the client has closed its half."""

    _stopping = False
    """Whether the server is about to stop."""

    _pauses = 0
    """How often an answer had to wait for the client to read it."""

    _stood: tuple[object, ...] | None = None
    """How the connection stood at the last look, if its client had something to do."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: a connection on which nothing comes is closed like one on which nothing comes any more."""
        super().connection_made(transport)
        self.flow = _Flow(self, transport)
        self._outlet = _Outlet(self, transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self._looking = self.loop.call_later(LOOK_EVERY, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and leave nothing behind that a timer or the garbage collector would have to find."""
        self._looking.cancel()
        if self._drain is not None:
            self._drain.stop()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # Requests that have not begun refer to the connection.
        self.pipeline.clear()
        self.cycle = None  # type: ignore[assignment]  # as before the first

    def is_behind(self) -> bool:
        """Whether nothing more should be read now."""
        behind = bool(self.pipeline or self._unread) or self._last_words is not None
        return behind and self._drain is None

    def data_received(self, data: bytes) -> None:
        """Take what has come over the connection."""
        if self._drain is not None:
            self._drain.drop(len(data))
            return
        self._unset_keepalive_if_required()
        if len(data) <= _READ_AT_ONCE:
            self._read(data)
        else:
            self._unread = memoryview(data)
            self._read_on()

    def eof_received(self) -> bool:  # type: ignore[override]  # true: the connection stays open
        """Take note that the client sends no more; it may still wait for answers (RFC 9112, 9.6)."""
        self._ended = True
        if self._drain is None:
            self._end(b"")
        else:
            self.transport.close()
        return not self.transport.is_closing()

    def shutdown(self) -> None:
        """Finish the request that is under way, and close."""
        self._stopping = True
        if self._drain is None:
            super().shutdown()
        else:
            self.transport.close()

    def close(self) -> None:
        """Send no more, read on until the client has closed its half, too, and then close."""
        if self._drain is not None or self.transport.is_closing():
            return
        latest = self._latest
        has_all = latest is not None and latest.response_complete and not latest.more_body
        if self._ended or (self._stopping and has_all):
            self.transport.close()
            return
        self._unset_keepalive_if_required()
        self._unread = b""
        self.pipeline.clear()
        if latest is not None and not latest.response_complete:
            latest.disconnected = True
            latest.message_event.set()
        self._looking.cancel()
        self._drain = Drain(self.transport, self.loop)
        self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Go on with what came behind the request that has been answered."""
        if self._drain is not None:
            self.server_state.total_requests += 1
            return
        was_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._last_words is not None:
            if was_last:
                self._say_last_words()
        elif self._unread and not self.pipeline:
            self._unset_keepalive_if_required()
            self._read_on()
            if self.cycle.response_complete:
                # No request is under way that would read on.
                self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as it is sent."""
        self._pauses += 1
        super().pause_writing()

    def on_headers_complete(self) -> None:
        """Begin a request, unless it is to be read again without its upgrade."""
        # To the parser CONNECT is one, too; it cannot be anything else.
        self._upgrading = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._upgrading:
            self._check_head()
            if not self.url.startswith((b"/", b"*")):
                self.url = _origin_form(self.url)
            self.begin_cycle(self._outlet)  # type: ignore[arg-type]  # what a cycle uses of a transport
            self._dropped = 0
            # What comes behind the body, such as an Authorization, is no header (RFC 9110, 6.5.1), and is dropped.
            self.headers = []

    def _check_head(self) -> None:
        """Refuse what the parser accepts and RFC 9112 does not."""
        hosts = [value for name, value in self.headers if name == b"host"]
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        version = self.parser.get_http_version()
        self._check_length()
        if hosts == [self._host] and not codings and version == "1.1" and b"#" not in self.url:
            return
        texts = [[value.decode("latin-1") for value in values] for values in (hosts, codings)]
        refusal = refusal_of(version, *texts)
        if refusal is None and b"#" in self.url:
            refusal = Refusal(_BAD_REQUEST, "A request target must not have a fragment.")
        if refusal is not None:
            self._refusal = _answer(refusal.status, refusal.message.encode())
            raise _Refused
        self._host = hosts[0] if hosts else None

    def _check_length(self) -> None:
        """Refuse a head that is too long and ends within what was read last: ``_read`` finds those that do not end."""
        if self._received - self._progress > MAX_HEAD_BYTES:
            fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + fields > MAX_HEAD_BYTES:
                self._refusal = _answer(_TOO_LARGE, _HEAD_TOO_LARGE)
                raise _Refused

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, which the app bounds."""
        self._progress = self._received
        if self.cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > MOST_BYTES:
                self.transport.abort()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        if not self._upgrading:
            self._progress = self._received
            super().on_message_complete()

    def _read_on(self) -> None:
        while self._unread and not self.pipeline:
            part, self._unread = self._unread[:_READ_AT_ONCE], self._unread[_READ_AT_ONCE:]
            self._read(part)

    def _read(self, data: bytes | memoryview) -> None:
        self._received += len(data)
        refusal = b""
        try:
            self._parse(data)
        except httptools.HttpParserError:
            message = b"Invalid HTTP request received."
            self.logger.warning(message.decode())
            refusal = self._refusal or _answer(_BAD_REQUEST, message)
        self.begin_offered()
        if self._received - self._progress > MAX_HEAD_BYTES:
            # Also what the parser does not take for the length of its URL.
            refusal = _answer(_TOO_LARGE, _HEAD_TOO_LARGE)
        if refusal:
            self._end(refusal)

    def _parse(self, data: bytes | memoryview) -> None:
        left = data
        while left:
            try:
                self.parser.feed_data(left)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._upgrading:
                    return
                left = memoryview(left)[upgrade.args[0] :]
                self._read_again()
            else:
                return

    def _read_again(self) -> None:
        """Have the parser forget the head that it has just read, and read it once more without its upgrade."""
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                members = [member.strip() for member in value.split(b",")]
                kept = b", ".join(member for member in members if member.lower() not in _OF_UPGRADES)
            if name not in _OF_UPGRADES:
                lines.append(b"%b: %b" % (name, kept))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _end(self, words: bytes) -> None:
        """Read no more; close with these words when the requests that came whole have been answered."""
        if self._last_words is not None or self.transport.is_closing():
            return
        self._last_words, self._unread = words, b""
        self.flow.pause_reading()
        latest = self._latest
        if self.pipeline:
            # The latest of them comes first.
            if self.pipeline[0][0].more_body:
                self.pipeline.popleft()
        elif latest is None or latest.response_complete or latest.more_body:
            self._say_last_words()

    def _say_last_words(self) -> None:
        latest = self._latest
        half_answered = latest is not None and latest.response_started and not latest.response_complete
        if self._last_words and not half_answered:
            self.transport.write(self._last_words)
        self.close()

    def _look(self) -> None:
        """Close the connection if its client stands still; one look costs less than a timer for each request."""
        self._looking = self.loop.call_later(LOOK_EVERY, self._look)
        stood, self._stood = self._stood, self._standing()
        if self._stood is None or self._stood != stood:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        latest = self._latest
        # Without a word if it is an answered request whose body has no end.
        answered = latest is not None and latest.response_complete and self._received == self._progress
        self._end(b"" if answered else _answer(_TIMEOUT, b"The request takes too long to come."))

    def _standing(self) -> tuple[object, ...] | None:
        """How the connection stands, if its client has something to do: to read, or to send the rest of a request."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            return self.cycle, self._pauses, unsent
        if self.timeout_keep_alive_task is not None or self.flow.read_paused:
            return None
        latest = self._latest
        if latest is None or latest.response_complete:
            return (latest,)
        return (latest, self._received // LEAST_BODY_BYTES) if latest.more_body else None

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request whose head came last; before the first there is none."""
        return self.cycle


def _origin_form(target: bytes) -> bytes:
    """A target without its scheme and authority; the path of ``http://host`` is ``/`` (RFC 9110, 4.2.3)."""
    url = httptools.parse_url(target)
    query = target.partition(b"?")[1:]
    return b"".join((url.path or b"/", *query))


def _answer(status: int, message: bytes) -> bytes:
    return b"".join((STATUS_LINE[status], _HEADERS % len(message), message))
