"""Records on their way into Kafka, and the record that sets another one aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Message
from confluent_kafka import murmur2 as partition_for

from schemas import topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.delivery import Headers

__all__ = ["ANY_PARTITION", "Ack", "Message", "Partition", "Record", "dead_letter", "partition_for"]

ANY_PARTITION = -1
"""The client picks a partition."""

_MOST_HEADERS = 768 * 1024
"""Bytes of a record's own headers: more than any event or delivery of ours may have."""

_MOST_BYTES = 1_900_000
"""Of value and headers together: again more than ours have, and less than ``dead-letters`` takes."""

_LENGTHS = 8
"""Bytes of the two lengths that go before a header, at most."""

_LONGEST_REASON = 1_000
"""Characters."""

Partition = tuple[str, int]
"""Topic and partition number."""


class Record(msgspec.Struct, frozen=True):
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
    message: Message,
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
    topic, partition = str(message.topic()), message.partition()
    headers: Headers = [(name, _as_bytes(value)) for name, value in _header_list(message)]
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


def _header_list(message: Message) -> Iterable[tuple[str, str | bytes | None]]:
    headers = message.headers() or []
    return headers.items() if isinstance(headers, dict) else headers


def _as_bytes(value: str | bytes | None) -> bytes:
    # A poison record may carry a null header, which a Record cannot.
    return value.encode() if isinstance(value, str) else value or b""
