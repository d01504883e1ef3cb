"""One connection of the server, which takes a bounded amount of what is not a body."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
"""Of request line and headers, or of trailers: as much as other servers take."""

_TOO_LARGE = 431
"""Request Header Fields Too Large (RFC 6585)."""

_HEADERS = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, closed when a head or a trailer has no end.

    The parser collects one for as long as it comes: a client without any credential could fill the memory.
    """

    _since_progress = 0
    """Bytes that have come since the last that were part of a body or ended a request."""

    def data_received(self, data: bytes) -> None:
        """Take what has come over the connection."""
        self._since_progress += len(data)
        super().data_received(data)
        if self._since_progress > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, which the app bounds."""
        self._since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        self._since_progress = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        message = b"A request's line and headers may have %d bytes." % MAX_HEAD_BYTES
        answer = (STATUS_LINE[_TOO_LARGE], _HEADERS % len(message), message)
        self.transport.write(b"".join(answer))
        self.transport.close()
