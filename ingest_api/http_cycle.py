"""One request and its answer: uvicorn's, which writes an answer of known length at once, not head and body apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from ingest_api.http import headers_of, send_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uvicorn._types import ASGISendEvent

    from ingest_api.direct import DirectPublishing
    from ingest_api.http import Response

_FRAMING = frozenset((b"connection", b"transfer-encoding"))
"""Headers of answers that are left to uvicorn."""

_NOT_OFFERED = 16
"""Requests of a connection that are not offered after one that was declined: a client sends more of the same kind."""


class CycleProtocol(HttpToolsProtocol):
    """uvicorn's connection, with our cycles.

    A request that came whole within one read is offered to the app's ``direct``, which may answer it without a task.
    """

    _offered = False
    """Whether the latest request has not begun, because it will be offered when it is whole."""

    _declined = 0
    """Requests that will not be offered."""

    _direct: DirectPublishing | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin."""
        super().connection_made(transport)
        self._direct = getattr(self.app, "direct", None)

    def begin_cycle(self, outlet: asyncio.Transport) -> None:
        """Begin a request whose head is complete, or let it wait in line; its answer is written to ``outlet``."""
        url, parser, scope = httptools.parse_url(self.url), self.parser, self.scope
        path, version = url.path.decode("ascii"), parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        earlier: RequestResponseCycle | None = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=outlet,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if earlier is not None and not earlier.response_complete:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        elif self._direct is not None and self._direct.covers(scope) and self.cycle.keep_alive:
            self._offered = True
        else:
            self._start_asgi_task(self.cycle, self.app)

    def on_message_complete(self) -> None:
        """Offer a request that has come whole."""
        super().on_message_complete()
        if self._offered and self._direct is not None:
            if self._declined:
                self._declined -= 1
            elif self._direct.begin(self.cycle):  # type: ignore[arg-type]  # one of ours
                self._offered = False
            else:
                self._declined = _NOT_OFFERED
            # At once: the next request of the same read is another cycle.
            self.begin_offered()

    def begin_offered(self) -> None:
        """Begin a request that was not taken, or has not come whole: to be called after each read."""
        if self._offered:
            self._offered = False
            self._start_asgi_task(self.cycle, self.app)


class Cycle(RequestResponseCycle):
    """A request whose answer's head waits for the first part of the body.

    Each write is a system call, wakes the client, and makes a packet: two of them were a tenth of a request's CPU time.
    What is not the usual answer (of a HEAD, in chunks, the last of a connection) is written by uvicorn.
    """

    _head = b""
    """The head that is not written yet."""

    _sending: asyncio.Future[None] | None = None
    """Sends an answer that is not the usual one."""

    def answer(self, response: Response, header: tuple[bytes, bytes]) -> None:
        """Send the whole answer to a request that has no task, with one more header."""
        if self._is_usual():
            self.response_started = self.response_complete = True
            lines = [b"%b: %b\r\n" % each for each in (*self.default_headers, *headers_of(response), header)]
            self.transport.write(b"".join((STATUS_LINE[response.status], *lines, b"\r\n", response.body)))
            self.on_response()
        elif not self.disconnected:
            whole = response._replace(headers=(*response.headers, header))
            self._sending = asyncio.ensure_future(send_response(self.send, whole))  # type: ignore[arg-type]

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer (ASGI)."""
        if self._head:
            head, self._head = self._head, b""
            if self._is_rest(message):
                self.transport.write(head + message["body"])  # type: ignore[typeddict-item]  # the body's message
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            if not self.disconnected:
                self.transport.write(head)
        elif message["type"] == "http.response.start" and self._is_usual():
            self._head = self._head_of(message["status"], message.get("headers", ()))
            if self._head:
                self.response_started = True
                self.waiting_for_100_continue = False
                return
        await super().send(message)

    def _is_usual(self) -> bool:
        return (
            self.keep_alive
            and not self.response_started
            and not self.disconnected
            and not self.flow.write_paused
            and self.scope["method"] != "HEAD"
        )

    def _is_rest(self, message: ASGISendEvent) -> bool:
        """Whether a message has all of the body, and may be written now."""
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and len(message.get("body", b"")) == self.expected_content_length
            and self.expected_content_length > 0
            and not self.disconnected
            and not self.flow.write_paused
        )

    def _head_of(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The head of an answer whose length its headers say; empty: it is not the usual one.

        Raises:
            RuntimeError: a header would break the head.
        """
        length = None
        names, values = [], []
        lines = [STATUS_LINE[status]]
        for name, value in (*self.default_headers, *headers):
            name = name.lower()  # noqa: PLW2901
            if name == b"content-length":
                length = int(value)
            elif name in _FRAMING:
                return b""
            names.append(name)
            values.append(value)
            lines.append(b"%b: %b\r\n" % (name, value))
        if length is None:
            return b""
        if HEADER_RE.search(b"".join(names)) or HEADER_VALUE_RE.search(b"".join(values)):
            raise RuntimeError("Invalid HTTP header.")
        self.chunked_encoding = False
        self.expected_content_length = length
        lines.append(b"\r\n")
        return b"".join(lines)
