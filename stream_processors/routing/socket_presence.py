"""Tracks which endpoints have an open socket: some endpoints get all events while they have one.

A realtime node writes to ``endpoint-state`` before it answers a handshake, repeatedly while the socket is open, and
when it is closed. Each record is valid for a time after its append time, the recovery window.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.tail import TopicTail
from schemas.model import topics
from schemas.model.delivery import EndpointState, SocketKey
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings

_DECODER = msgspec.json.Decoder(EndpointState)


class OpenSocket:
    """The time span in which an endpoint has open sockets, on any node; milliseconds since the epoch.

    ``until`` advances while a socket is open, without a new index.
    """

    __slots__ = ("_opened", "_until")

    def __init__(self) -> None:
        self._opened: dict[str, int] = {}
        self._until: dict[str, int] = {}

    def opened(self, node: str, at: int) -> None:
        """Note the first open socket of a node."""
        self._opened[node] = at

    def extend(self, node: str, until: int) -> None:
        """Note that a node's socket was open at that time."""
        self._until[node] = until

    def forget(self, node: str) -> None:
        """Forget a node that has had no open socket for a long time."""
        self._opened.pop(node, None)
        self._until.pop(node, None)

    def since(self, now: int) -> int | None:
        """The opening time of the first socket that is still valid; None if there is none."""
        counting = [at for node, at in list(self._opened.items()) if self._until.get(node, 0) >= now]
        return min(counting, default=None)

    def covers(self, at: int) -> bool:
        """Whether a socket was open at a time after ``since``, or within the recovery window before it."""
        return any(at <= until for until in list(self._until.values()))


class OpenSockets:
    """A view of ``endpoint-state``, read from the first need on; callable from any thread.

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
        """Begin to read, if not begun; return at once."""
        with self._lock:
            if not self._started:
                self._tail.start()
                self._started = True

    def catch_up(self) -> None:
        """Learn of every socket whose handshake was answered before this call.

        Raises:
            Unavailable: Kafka does not answer.
        """
        self.start()
        self._tail.catch_up()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def current(self) -> dict[str, tuple[int, OpenSocket]]:
        """The endpoints with valid sockets, with their time spans."""
        now = int(time.time() * 1_000)
        found = {}
        for endpoint, socket in list(self._sockets.items()):
            since = socket.since(now)
            if since is not None:
                found[endpoint] = (since, socket)
        return found

    def apply(self, message: ConsumedRecord) -> None:
        """Apply one record of the topic.

        Raises:
            CorruptRecord: the record is no endpoint state.
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
