"""Which endpoints had a socket open, and until when: those of the event service get all events while it is so.

A realtime node writes to ``endpoint-state`` before it answers a handshake, again and again while the socket is open,
and once more when it is closed. Each such record is good for a while after its append time, the recovery window.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.tail import TopicTail
from schemas import topics
from schemas.delivery import EndpointState, SocketKey
from schemas.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings

_DECODER = msgspec.json.Decoder(EndpointState)


class OpenSocket:
    """Since when and until when an endpoint has sockets open, on any node; milliseconds since the epoch.

    ``until`` moves on while it is so, without anything having to be built anew.
    """

    __slots__ = ("_opened", "_until")

    def __init__(self) -> None:
        self._opened: dict[str, int] = {}
        self._until: dict[str, int] = {}

    def opened(self, node: str, at: int) -> None:
        """A node without an open socket of the endpoint has one now."""
        self._opened[node] = at

    def extend(self, node: str, until: int) -> None:
        """A node's socket was open a moment ago."""
        self._until[node] = until

    def forget(self, node: str) -> None:
        """A node has had no socket open for a long time."""
        self._opened.pop(node, None)
        self._until.pop(node, None)

    def since(self, now: int) -> int | None:
        """When the first of the sockets that count now was opened; None when none does."""
        counting = [at for node, at in list(self._opened.items()) if self._until.get(node, 0) >= now]
        return min(counting, default=None)

    def covers(self, at: int) -> bool:
        """Whether one was open at a time that is not before ``since``, or had been just before."""
        return any(at <= until for until in list(self._until.values()))


class OpenSockets:
    """A view of ``endpoint-state``, read only once somebody needs it; callable from any thread.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self._sockets: dict[str, OpenSocket] = {}
        self._tail = TopicTail(settings, [topics.ENDPOINT_STATE], self.apply, name="open-sockets", on_stall=on_stall)
        self._started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to read, unless that was done before; returns at once."""
        with self._lock:
            if not self._started:
                self._tail.start()
                self._started = True

    def catch_up(self) -> None:
        """Know of every socket whose handshake was answered before this call.

        Raises:
            Unavailable: Kafka does not answer.
        """
        self.start()
        self._tail.catch_up()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def current(self) -> dict[str, tuple[int, OpenSocket]]:
        """The endpoints with sockets that count now: since when, and until when."""
        now = int(time.time() * 1_000)
        found = {}
        for endpoint, socket in list(self._sockets.items()):
            since = socket.since(now)
            if since is not None:
                found[endpoint] = (since, socket)
        return found

    def apply(self, message: Message) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is no endpoint state.
        """
        key = SocketKey.parse((message.key() or b"").decode(errors="replace"))
        if key is None:
            return
        value = message.value()
        socket = self._sockets.setdefault(key.endpoint, OpenSocket())
        if value is None:
            socket.forget(key.node)
            return
        try:
            state = _DECODER.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"not an endpoint state: {error}") from error
        appended_at = message.timestamp()[1]
        if state.socket_window is None:
            socket.opened(key.node, appended_at)
        else:
            socket.extend(key.node, appended_at + state.socket_window)
