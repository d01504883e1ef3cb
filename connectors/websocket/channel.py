"""One channel of a node: its count, its recoverable publications, and its subscribers."""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connectors.websocket import protocol
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import ConsumedRecord

log = logging.getLogger(__name__)

_OVERHEAD = 500
"""Estimated bytes of memory that a publication takes besides its record's value."""


class PushFrame(NamedTuple):
    """A frame with publications: their count, and the number of the last."""

    frame: bytes
    publications: int
    last: int


class Mark(NamedTuple):
    """The number, counted from 1, of the channel's record at a log offset."""

    number: int
    log_offset: int


class Publication:
    """One record of a channel. It is rendered once, when it is first needed."""

    __slots__ = ("_body", "_message", "log_offset", "number", "size")

    def __init__(self, message: ConsumedRecord, log_offset: int) -> None:
        self._message: ConsumedRecord | None = message
        self._body: bytes | None = None
        self.log_offset = log_offset
        self.number = 0
        self.size = len(message.value() or b"") + _OVERHEAD

    def body(self, render: Callable[[ConsumedRecord], bytes]) -> bytes | None:
        """The publication in the form of the protocol; None if its record cannot be read."""
        if self._message is not None:
            message, self._message = self._message, None
            try:
                self._body = protocol.publication(render(message), self.number)
            except Exception as error:  # one record must not stop a node that serves all channels
                # It keeps its number: every node counts it, even if it cannot read it.
                log.warning(
                    "a realtime delivery cannot be read",
                    exc_info=not isinstance(error, CorruptRecord),
                    extra={"partition": message.partition(), "offset": message.offset(), "error": str(error)},
                )
        return self._body


class Subscriber(Protocol):
    """A subscription of a connection."""

    def push(self, frames: Sequence[PushFrame]) -> int:
        """Send the next publications, as many as possible without waiting; return their number."""


class Channel:
    """Numbers publications from 1 without a gap, the same on all nodes.

    Args:
        key: of its records.
        partition: of its records.
        mark: the known position when the node started.

    Attributes:
        top: number of the last publication.
        log_offset: of that publication's record; -1 before the first.
        history: the last publications, ending with ``top``; only older ones are missing.
        subscribers: the live subscriptions; they get the next publications.
    """

    __slots__ = ("_mark", "history", "key", "log_offset", "name", "partition", "subscribers", "top")

    def __init__(self, key: bytes, partition: int, mark: Mark | None = None) -> None:
        self.key = key
        self.partition = partition
        own = key.startswith(b"endpoint:")
        self.name = protocol.json_text((key if own else key.partition(b"/")[2]).decode(errors="replace"))
        """The name that clients use, as JSON."""
        self._mark = mark
        self.top = mark.number if mark else 0
        self.log_offset = mark.log_offset if mark else -1
        self.history: deque[Publication] = deque()
        self.subscribers: dict[Subscriber, None] = {}

    def count(self, publication: Publication) -> bool:
        """Number the next record of the log; False if it must wait for the known mark.

        After a start, records before the mark are read again to have a history. They are numbered backwards when the
        mark is reached.
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
        """Number the records that still wait at the end of the log: the record of their mark has expired."""
        if self._mark is not None:
            self._number_backwards(self._mark.number)
            self._mark = None

    def since(self, number: int, limit: int) -> list[Publication] | None:
        """At most ``limit`` publications after a number; None if some of those after it are gone."""
        if number > self.top:
            return None
        missing = self.top - number
        start = len(self.history) - missing
        return None if start < 0 else list(islice(self.history, start, start + limit))

    @property
    def unused(self) -> bool:
        """Whether the channel can be forgotten without a loss."""
        return not self.subscribers and self.top == 0 and not self.history

    def _number_backwards(self, last: int) -> None:
        for number, publication in zip(range(last, 0, -1), reversed(self.history), strict=False):
            publication.number = number
