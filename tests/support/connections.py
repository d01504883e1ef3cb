"""Connections of the HTTP server without a socket: bytes go in, and each write is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class KeptWrites(asyncio.Transport):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 -- the interface's
        """Nothing is known of the peer."""
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def abort(self) -> None:
        """Note it."""
        self.closed = True

    def write_eof(self) -> None:
        """Nothing more is sent."""

    def get_write_buffer_size(self) -> int:
        """The peer reads at once."""
        return 0

    def pause_reading(self) -> None:
        """Nothing comes that a test does not send."""

    def resume_reading(self) -> None:
        """Likewise."""


def connected(protocol: type[HttpToolsProtocol], app: Any) -> tuple[HttpToolsProtocol, KeptWrites]:
    """A connection to an app, and what it writes."""
    config = uvicorn.Config(app, ws="none", log_config=None, lifespan="off", interface="asgi3", proxy_headers=False)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    connection, transport = protocol(config, state, {}), KeptWrites()
    connection.connection_made(transport)
    return connection, transport
