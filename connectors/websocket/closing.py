"""The end of a WebSocket connection, whichever protocol it speaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_SECONDS = 5.0
"""How long a client has to take what was sent before the closing, and the closing itself."""


async def close_socket(socket: web.WebSocketResponse, transport: asyncio.Transport, code: int, reason: str) -> None:
    """Close a connection once what was sent before is written; what the client does not take in time is dropped.

    Args:
        socket: the client's.
        transport: below it.
        code: of the WebSocket protocol (RFC 6455, 7.4).
        reason: at most 123 bytes of UTF-8.
    """
    # aiohttp leaves it to the transport to write what its buffer holds: a client that takes nothing would keep it so.
    asyncio.get_running_loop().call_later(_SECONDS, transport.abort)
    with contextlib.suppress(ConnectionError):
        await socket.close(code=code, message=reason.encode())
