"""Records on their way into Kafka, and the record that sets another one aside."""

from __future__ import annotations

import logging
import operator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
from confluent_kafka import Message
from confluent_kafka import murmur2 as partition_for

from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.model.delivery import Headers

__all__ = [
    "ANY_PARTITION",
    "Ack",
    "Commit",
    "ConsumedRecord",
    "Message",
    "Partition",
    "Record",
    "dead_letter",
    "header_list",
    "headers_of",
    "partition_for",
    "place_of",
]

log = logging.getLogger(__name__)

ANY_PARTITION = -1
"""The client picks a partition."""

_MOST_HEADERS = 768 * 1024
"""Bytes of a record's own headers: more than any event or delivery of ours may have."""

_MOST_BYTES = 1_900_000
"""Of value and headers together: again more than ours have, and less than ``dead-letters`` takes."""

_HEADERS = operator.methodcaller("headers")
"""Calls it from C, where a failure is noticed: the interpreter's own quick calls leave it to whatever comes next."""

_LENGTHS = 8
"""Bytes of the two lengths that go before a header, at most."""

_LONGEST_REASON = 1_000
"""Characters."""

Partition = tuple[str, int]
"""Topic and partition number."""


class Commit(NamedTuple):
    """What a group has committed of a partition: the next offset to read, and the text beside it."""

    offset: int
    metadata: str = ""


class ConsumedRecord(Protocol):
    """A Kafka message as ``BatchConsumer`` returns it: no error, and none of its parts is missing.

    A Protocol and not a copy, because a copy of each message costs more than the reader of a topic does with it
    (docs/adr/0014). Headers are read with ``headers_of``.
    """

    def topic(self) -> str:
        """Name of the topic."""

    def partition(self) -> int:
        """Number of the partition."""

    def offset(self) -> int:
        """Place in the partition."""

    def key(self) -> bytes | None:
        """Bytes, or None."""

    def value(self) -> bytes | None:
        """Bytes, or None for a tombstone."""

    def headers(self) -> Headers | None:
        """In the order written."""

    def set_headers(self, headers: Headers) -> None:
        """Replace them."""

    def timestamp(self) -> tuple[int, int]:
        """Kind of time, and milliseconds since the epoch."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record to produce. ``value=None`` is a tombstone; without a ``partition`` the client picks one."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] | None = None
    partition: int = ANY_PARTITION


class Ack(msgspec.Struct, frozen=True, gc=False):
    """Where a record is, once every in-sync replica has it."""

    partition: int
    offset: int


def dead_letter(
    message: ConsumedRecord,
    *,
    reason: str,
    kind: str = "poison",
    key: bytes | None = None,
    extra: Iterable[tuple[str, bytes]] = (),
) -> Record:
    """The record on ``dead-letters`` that sets ``message`` aside: its value and headers, and where and why.

    Headers and values that are larger than any of ours stay behind, or nothing would be taken: those of other producers
    may have been within their topic's limit only because they were compressed.

    Args:
        message: as it was consumed.
        reason: a sentence for the operator.
        kind: ``poison`` for a record that cannot be handled, ``delivery`` for one whose retries are used up.
        key: the endpoint's id for a delivery; poison is keyed ``<topic>/<partition>``.
        extra: more headers (``hr_dead_status``, ``hr_dead_response``).
    """
    topic, partition = place_of(message)
    headers: Headers = [(name, _as_bytes(value)) for name, value in headers_of(message)]
    size = sum(len(name) + len(content) + _LENGTHS for name, content in headers)
    if size > _MOST_HEADERS:
        headers, size = [], 0
    value = message.value()
    if size + len(value or b"") > _MOST_BYTES:
        value = None
    headers += [
        ("hr_dead_reason", reason[:_LONGEST_REASON].encode()),
        ("hr_dead_kind", kind.encode()),
        ("hr_dead_topic", topic.encode()),
        ("hr_dead_partition", str(partition).encode()),
        ("hr_dead_offset", str(message.offset()).encode()),
        *extra,
    ]
    return Record(topics.DEAD_LETTERS, value, key or f"{topic}/{partition}".encode(), headers)


def place_of(record: ConsumedRecord) -> Partition:
    """The partition that a record is from."""
    return record.topic(), record.partition()


def headers_of(message: Any) -> Headers:
    """A consumed message's headers, in the order written, a null one as None; none if a name is not UTF-8.

    Nobody asks the message itself: asked a second time for headers that cannot be read, it crashes the process. Kafka
    holds names to be text, but takes any bytes from producers that do not see to it.
    """
    try:
        headers: Headers | None = _HEADERS(message)
    except SystemError as error:
        place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
        log.warning("headers dropped that cannot be read", extra=place | {"reason": repr(error.__cause__)})
        message.set_headers([])
        return []
    return headers or []


def header_list(message: ConsumedRecord) -> Headers:
    """A message's headers as a ``Record`` and a ``Delivery`` have them; a null header becomes an empty one."""
    return [(name, value or b"") for name, value in headers_of(message)]


def _as_bytes(value: bytes | None) -> bytes:
    # A poison record may carry a null header, which a Record cannot.
    return value or b""
