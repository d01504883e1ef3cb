"""Closes a WebSocket connection, whichever protocol it speaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_SECONDS = 5.0
"""Time that a client has to read the buffer and the close frame."""


async def close_socket(socket: web.WebSocketResponse, transport: asyncio.Transport, code: int, reason: str) -> None:
    """Close a connection after everything sent before is written; drop what the client does not read in time.

    Args:
        socket: the client's connection.
        transport: of the socket.
        code: close code of the WebSocket protocol (RFC 6455, 7.4).
        reason: at most 123 bytes of UTF-8.
    """
    # aiohttp lets the transport write its buffer, which would last for ever with a client that reads nothing.
    asyncio.get_running_loop().call_later(_SECONDS, transport.abort)
    with contextlib.suppress(ConnectionError):
        await socket.close(code=code, message=reason.encode())
