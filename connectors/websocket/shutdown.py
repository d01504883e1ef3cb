"""Closes a WebSocket connection, whichever protocol it speaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Closable(Protocol):
        """A WebSocket connection."""

        async def close(self, *, code: int, message: bytes) -> object:
            """Send a close frame after everything sent before, and end the connection."""


_SECONDS = 5.0
"""Time that a client has to read the buffer and the close frame."""


async def close_socket(socket: Closable, transport: asyncio.Transport, code: int, reason: str) -> None:
    """Close a connection after everything sent before is written; drop what the client does not read in time.

    Args:
        socket: the client's connection.
        transport: of the socket.
        code: close code of the WebSocket protocol (RFC 6455, 7.4).
        reason: at most 123 bytes of UTF-8.
    """
    abort_later(transport)
    with contextlib.suppress(ConnectionError):
        await socket.close(code=code, message=reason.encode())


def abort_later(transport: asyncio.Transport) -> None:
    """Drop what the client does not read in time.

    A transport that is closed writes its buffer first, which would last for ever with a client that reads nothing.
    """
    asyncio.get_running_loop().call_later(_SECONDS, transport.abort)
