"""HTTP requests byte for byte, as no client library sends them."""

from __future__ import annotations

import contextlib
import socket

_SECONDS = 30


def exchange(url: str, *parts: bytes, end: bool = False) -> bytes:
    """All that a server answers to these bytes until it closes the connection.

    Args:
        url: ``http://host:port`` of the server.
        parts: sent one after another; what the server no longer reads is dropped.
        end: whether to close the sending half afterwards.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    answered = b""
    with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(65_536):
            answered += received
    return answered


def status_of(answered: bytes) -> int:
    """The status of the first answer."""
    line = answered.split(b"\r\n", 1)[0]
    assert line.startswith(b"HTTP/1."), answered[:200]
    return int(line.split()[1])
