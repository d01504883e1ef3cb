"""One connection of the server, which takes a bounded amount of what is not a body, and speaks HTTP/1.1 only."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
"""Of request line and headers, or of trailers: as much as other servers take."""

_TOO_LARGE = 431
"""Request Header Fields Too Large (RFC 6585)."""

_HEADERS = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"

_OF_UPGRADES = frozenset((b"upgrade", b"http2-settings"))
"""Headers, and members of ``Connection``, that ask for another protocol."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, closed when a head or a trailer has no end.

    The parser collects one for as long as it comes: a client without any credential could fill the memory.

    An ``Upgrade`` is passed over, as a server may (RFC 9110, 7.8); Java's HTTP client asks for one first of all. The
    parser would take the request's body for the other protocol: an event would be accepted without its data.
    """

    _since_progress = 0
    """Bytes that have come since the last that were part of a body or ended a request."""

    _upgrading = False
    """Whether the head that was read last asks for another protocol."""

    def data_received(self, data: bytes) -> None:
        """Take what has come over the connection."""
        self._since_progress += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
        if self._since_progress > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        """Begin a request, unless it is to be read again without its upgrade."""
        # To the parser CONNECT is one, too; it cannot be anything else.
        self._upgrading = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._upgrading:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, which the app bounds."""
        self._since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        if not self._upgrading:
            self._since_progress = 0
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        left: bytes | memoryview = data
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

    def _refuse(self) -> None:
        message = b"A request's line and headers may have %d bytes." % MAX_HEAD_BYTES
        answer = (STATUS_LINE[_TOO_LARGE], _HEADERS % len(message), message)
        self.transport.write(b"".join(answer))
        self.transport.close()
