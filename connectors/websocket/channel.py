"""One channel of a node: its count, the publications that can be recovered, and who is subscribed."""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connectors.websocket import protocol
from schemas.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import Message

log = logging.getLogger(__name__)

_OVERHEAD = 500
"""Bytes that a kept publication costs besides its record's value; an estimate."""


class PushFrame(NamedTuple):
    """Publications on their way to subscribers: the frame, how many they are, and the number of the last."""

    frame: bytes
    publications: int
    last: int


class Mark(NamedTuple):
    """A fact about a channel: the record at a log offset is its so many-th, counted from 1."""

    number: int
    log_offset: int


class Publication:
    """One record of a channel. It is rendered at the first need, and once."""

    __slots__ = ("_body", "_message", "log_offset", "number", "size")

    def __init__(self, message: Message, log_offset: int) -> None:
        self._message: Message | None = message
        self._body: bytes | None = None
        self.log_offset = log_offset
        self.number = 0
        self.size = len(message.value() or b"") + _OVERHEAD

    def body(self, render: Callable[[Message], bytes]) -> bytes | None:
        """As the protocol spells it; None for a record that cannot be read."""
        if self._message is not None:
            message, self._message = self._message, None
            try:
                self._body = protocol.publication(render(message), self.number)
            except Exception as error:  # one record must not stop a node that serves all channels
                # It keeps its number: every node counts it, whatever it can read.
                log.warning(
                    "a realtime delivery cannot be read",
                    exc_info=not isinstance(error, CorruptRecord),
                    extra={"partition": message.partition(), "offset": message.offset(), "error": str(error)},
                )
        return self._body


class Subscriber(Protocol):
    """A subscription of a connection."""

    def push(self, frames: Sequence[PushFrame]) -> int:
        """Send publications that follow on the last ones, as many as can be without waiting; returns how many."""


class Channel:
    """Publications are numbered from 1 without a gap, alike on all nodes.

    Args:
        key: of its records.
        partition: where they are.
        mark: how far it had been counted when the node started.

    Attributes:
        top: number of the last publication.
        log_offset: of its record; -1 before the first.
        history: the last publications, ending with ``top`` (a publication is missing from it only at the front).
        subscribers: those who are sent what comes next.
    """

    __slots__ = ("_mark", "history", "key", "log_offset", "name", "partition", "subscribers", "top")

    def __init__(self, key: bytes, partition: int, mark: Mark | None = None) -> None:
        self.key = key
        self.partition = partition
        own = key.startswith(b"endpoint:")
        self.name = protocol.json_text((key if own else key.partition(b"/")[2]).decode(errors="replace"))
        """As its clients know it, as JSON."""
        self._mark = mark
        self.top = mark.number if mark else 0
        self.log_offset = mark.log_offset if mark else -1
        self.history: deque[Publication] = deque()
        self.subscribers: dict[Subscriber, None] = {}

    def count(self, publication: Publication) -> bool:
        """Give the next record of the log its number; False for one that has to wait for the known mark.

        After a start, records from before the mark are read again for the sake of history. They are numbered
        backwards from it once it is reached.
        """
        self.history.append(publication)
        mark = self._mark
        if mark is not None:
            if publication.log_offset < mark.log_offset:
                return False
            self._mark = None
            if publication.log_offset == mark.log_offset:
                self._number_backwards(mark.number)
                return True
            self.history.pop()
            self._number_backwards(mark.number)
            self.history.append(publication)
        self.top += 1
        self.log_offset = publication.log_offset
        publication.number = self.top
        return True

    def settle(self) -> None:
        """The log was read to its end: what still waits for a mark lies before one whose record is gone."""
        if self._mark is not None:
            self._number_backwards(self._mark.number)
            self._mark = None

    def since(self, number: int, limit: int) -> list[Publication] | None:
        """At most ``limit`` publications after a number; None when not all that came after it are known."""
        if number > self.top:
            return None
        missing = self.top - number
        start = len(self.history) - missing
        return None if start < 0 else list(islice(self.history, start, start + limit))

    @property
    def unused(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.subscribers and self.top == 0 and not self.history

    def _number_backwards(self, last: int) -> None:
        for number, publication in zip(range(last, 0, -1), reversed(self.history), strict=False):
            publication.number = number
