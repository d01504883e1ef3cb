"""The second step of closing a connection: read on until the client has read its answer (RFC 9112, 9.6).

A connection that is closed while its client still sends is reset, and the client loses the answer that it has not read.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

MOST_BYTES = 67_108_864
"""That are read and dropped for the sake of one answer; then the connection is reset."""

LOOK_EVERY = 5.0
"""Seconds between two looks at a client that has been sent all of its answer."""

LOOK_AT_UNSENT_EVERY = 30.0
"""Seconds between two looks at a client that still has to read."""

MOST_LOOKS = 12
"""So many, once all of the answer is sent."""

LEAST_BYTES = 4_096
"""That come between two looks if the client still sends."""


class Drain:
    """Sends no more on a connection, drops what is received, and closes when the client has closed its half.

    A client that stands still, or goes on for too long, is cut off.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._received = 0
        self._looks = 0
        with contextlib.suppress(OSError):  # the client may have gone already
            transport.write_eof()
        self._stood = self._standing()
        self._look_later()

    def drop(self, size: int) -> None:
        """Count bytes that were received."""
        self._received += size
        if self._received > MOST_BYTES:
            self._transport.abort()

    def stop(self) -> None:
        """Forget the timer; the connection is closed."""
        self._timer.cancel()

    def _look_later(self) -> None:
        every = LOOK_AT_UNSENT_EVERY if self._stood[1] else LOOK_EVERY
        self._timer = self._loop.call_later(every, self.look)

    def look(self) -> None:
        """Close the connection if its client neither sends nor reads."""
        stood, self._stood = self._stood, self._standing()
        unsent = self._stood[1]
        self._looks += not unsent
        if stood != self._stood and self._looks <= MOST_LOOKS:
            self._look_later()
        elif unsent:
            self._transport.abort()
        else:
            self._transport.close()

    def _standing(self) -> tuple[int, int]:
        return self._received // LEAST_BYTES, self._transport.get_write_buffer_size()
