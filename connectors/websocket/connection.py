"""A client's TCP connection: the opening handshake, its frames, its end.

Other requests than plain handshakes, and those that may be refused, go to the HTTP server with all their bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from connectors.websocket import frames, handshake, protocol
from connectors.websocket.commands import Commands
from connectors.websocket.frames import FrameReader
from connectors.websocket.session import Session
from connectors.websocket.shutdown import abort_later

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.websocket.frames import Message
    from connectors.websocket.handshake import Handshake
    from connectors.websocket.session import Node

_UNREAD = 131_072
"""Bytes of messages that wait for earlier commands, before the client's socket is read no further."""

_AROUND = 128
"""Estimated bytes of memory that a message takes besides its payload."""


class Connection(asyncio.Protocol):
    """Serves one connection of the node's port.

    Args:
        node: shared by the connections.
        may_connect: whether a page may connect, by its origin and the host that it connects to.
        http: makes the protocol of the HTTP server.
        strangers: has the connections that have sent nothing yet.
    """

    __slots__ = (
        "_commands",
        "_ended",
        "_gone",
        "_http",
        "_inbox",
        "_may_connect",
        "_node",
        "_reader",
        "_session",
        "_strangers",
        "_task",
        "_transport",
        "_unread",
    )

    def __init__(
        self,
        node: Node,
        may_connect: Callable[[str | None, str], bool],
        http: Callable[[], asyncio.Protocol],
        strangers: set[Connection],
    ) -> None:
        self._node = node
        self._may_connect = may_connect
        self._http = http
        self._strangers = strangers
        self._session: Session | None = None
        self._inbox: list[Message] = []
        self._unread = 0
        self._task: asyncio.Task[None] | None = None
        self._gone = False
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's first bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self._strangers.add(self)

    def data_received(self, data: bytes) -> None:
        """Read the handshake; after it, messages."""
        if self._session is None:
            self._strangers.discard(self)
            self._open(data)
            return
        for message in self._reader.feed(data):
            if message.opcode == frames.PING:
                self._session.write(frames.pong_frame(message.payload))
            elif message.opcode != frames.PONG:
                self._put(message)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the client, once its last command has ended."""
        self._strangers.discard(self)
        self._gone = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self._task is None:
            self._forget()

    def drop(self) -> None:
        """End a connection on which nothing was said."""
        self._transport.close()

    async def close(self, *, code: int, message: bytes) -> None:
        """End the connection after everything that was written; return when the client has it."""
        self._end(code.to_bytes(2, "big") + message)
        if not self._gone:
            self._ended = asyncio.get_running_loop().create_future()
            await self._ended

    def _open(self, data: bytes) -> None:
        asked = handshake.read(data)
        if asked is None or not self._is_welcome(asked):
            http = self._http()
            self._transport.set_protocol(http)
            http.connection_made(self._transport)
            http.data_received(data)
            return
        self._transport.write(asked.answer(protocol.SUBPROTOCOL if asked.offered else None))
        self._reader = FrameReader(self._node.settings.message_limit)
        self._session = Session(self._node, self, self._transport)
        self._commands = Commands(self._session)
        self._node.sessions.add(self._session)
        self._node.metrics.connections.inc()

    def _is_welcome(self, asked: Handshake) -> bool:
        return (not asked.offered or protocol.SUBPROTOCOL in asked.offered) and self._may_connect(
            asked.origin, asked.host
        )

    def _put(self, message: Message) -> None:
        self._inbox.append(message)
        self._unread += len(message.payload) + _AROUND
        if self._unread > _UNREAD:
            self._transport.pause_reading()
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Execute what the client has sent, in its order."""
        session = cast("Session", self._session)
        while self._inbox and session.open:
            message = self._inbox.pop(0)
            self._unread -= len(message.payload) + _AROUND
            await self._execute(session, message)
            if self._unread <= _UNREAD and session.open:
                self._transport.resume_reading()
        self._inbox.clear()
        self._task = None
        if self._gone:
            self._forget()

    async def _execute(self, session: Session, message: Message) -> None:
        if message.opcode == frames.TEXT:
            try:
                text = message.payload.decode()
            except UnicodeDecodeError:
                self._end(frames.INVALID_DATA.to_bytes(2, "big"))
                return
            await self._commands.carry_out(text)
        elif message.opcode == frames.CLOSE:
            self._end(message.payload)
        else:
            session.close(protocol.BAD_REQUEST)

    def _end(self, payload: bytes) -> None:
        if not self._transport.is_closing():
            abort_later(self._transport)
            self._transport.write(frames.close_frame(payload))
            self._transport.close()

    def _forget(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._node.metrics.connections.dec()
            self._node.sessions.discard(session)
            session.leave_all()
            # They refer to each other: free them now, not when the collector comes.
            del self._commands
