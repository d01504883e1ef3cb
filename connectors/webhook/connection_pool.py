"""Idle connections of our own HTTP client, by their origin. The last one used is the first one used again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.webhook.http_connection import HttpConnection
    from connectors.webhook.request_target import Origin

MOST_IDLE, MOST_IDLE_OF_ORIGIN = 4_096, 2_048
"""Connections. More than so many idle ones are closed. Many endpoints can share an origin, and connecting again costs
more than all else that a request does."""

IDLE_SECONDS = 15.0
"""An idle connection is closed after it: many servers close theirs some time later."""


class ConnectionPool:
    """Keeps idle connections for a while.

    Attributes:
        is_closed: whether it keeps none any more.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Origin, list[HttpConnection]] = {}
        self._origins: dict[HttpConnection, Origin] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._origins)

    def take(self, origin: Origin) -> HttpConnection | None:
        """Take out an idle connection to an origin, if there is one that can be used."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            del self._origins[connection]
            if connection.is_reusable and self._loop.time() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def give(self, origin: Origin, connection: HttpConnection) -> None:
        """Keep a connection whose request has ended, or close it."""
        idle = self._idle.get(origin, ())
        if self.is_closed or not connection.is_reusable or len(idle) >= MOST_IDLE_OF_ORIGIN:
            connection.close()
            return
        if len(self._origins) >= MOST_IDLE:
            oldest = next(iter(self._origins))
            self.forget(oldest)
            oldest.close()
        self._idle.setdefault(origin, []).append(connection)
        self._origins[connection] = origin
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_old)

    def forget(self, connection: HttpConnection) -> None:
        """Drop a connection that was lost, if it is here."""
        origin = self._origins.pop(connection, None)
        if origin is not None:
            self._idle[origin].remove(connection)

    def close(self) -> None:
        """Close all, and keep none any more."""
        self.is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._origins):
            connection.close()
        self._origins.clear()
        self._idle.clear()

    def _close_old(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for connection, _ in list(self._origins.items()):
            if now - connection.idle_since >= IDLE_SECONDS:
                self.forget(connection)
                connection.close()
        self._idle = {origin: idle for origin, idle in self._idle.items() if idle}
        if self._origins:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_old)
