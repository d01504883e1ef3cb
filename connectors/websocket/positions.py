"""``channel-positions``: how far every channel had been counted, so that a node need not count from the beginning.

Two kinds of record, JSON values: ``channel/<partition>/<channel key>`` says that the record at a log offset is the
channel's so many-th; ``partition/<partition>`` says that no channel has a record between its mark and the log offset
``next``. Marks are facts, so an old one is as true as a new one: what counts is that those of one write appear at
once. An epoch names one unbroken count of a partition. Records of another epoch are of a topic that is gone.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import Record
from connectors.websocket.channel import Mark
from schemas import topics
from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings
    from connectors.websocket.channel import Channel

log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds without a record before its end, after which Kafka is taken to be away."""


_LONGEST_KEY = 65_536
"""Bytes of a channel's key: far more than a name of 255 characters behind its workspace's comes to."""


class PartitionStart(msgspec.Struct, frozen=True):
    """From which log offset a partition has to be counted, in which epoch."""

    epoch: str
    next: int


class _ChannelValue(msgspec.Struct, frozen=True):
    epoch: str
    number: int
    log_offset: int


class Positions(msgspec.Struct, frozen=True):
    """What the topic says: partition to its start, and (partition, channel key) to its mark, of those epochs only."""

    starts: dict[int, PartitionStart]
    marks: dict[tuple[int, bytes], Mark]


_ENCODER = msgspec.json.Encoder()


def load_positions(settings: KafkaSettings) -> Positions:
    """Read the topic to its end. Blocks.

    Raises:
        Unavailable: Kafka does not answer.
    """
    starts: dict[int, PartitionStart] = {}
    values: dict[tuple[int, bytes], _ChannelValue] = {}
    consumer = BatchConsumer(settings, group=None)
    try:
        partitions = consumer.partitions_of([topics.CHANNEL_POSITIONS])
        ends = consumer.end_offsets(partitions)
        consumer.assign(dict.fromkeys(partitions, BEGINNING))
        deadline = time.monotonic() + _PATIENCE
        while any(consumer.ends.get(partition, 0) < end for partition, end in ends.items()):
            for message in consumer.consume(10_000, 0.2):
                _read(message, starts, values)
                deadline = time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise Unavailable(f"nothing more of {topics.CHANNEL_POSITIONS} can be read")
    finally:
        consumer.close()
    marks = {
        (partition, key): Mark(value.number, value.log_offset)
        for (partition, key), value in values.items()
        if partition in starts and starts[partition].epoch == value.epoch
    }
    return Positions(starts, marks)


def position_records(
    epochs: Mapping[int, str], nexts: Mapping[int, int], marks: Mapping[Channel, Mark]
) -> list[Record]:
    """What one transaction writes: the marks of the channels that changed, and where their partitions stand.

    A key that no channel has, which another producer may have written, is left out: nobody can subscribe to it, and one
    that is larger than Kafka takes would keep all the others from being written.
    """
    records = [
        _record(
            f"channel/{channel.partition}/".encode() + channel.key,
            _ChannelValue(epochs[channel.partition], mark.number, mark.log_offset),
        )
        for channel, mark in marks.items()
        if len(channel.key) <= _LONGEST_KEY
    ]
    records += [
        _record(f"partition/{partition}".encode(), PartitionStart(epochs[partition], offset))
        for partition, offset in nexts.items()
    ]
    return records


def _record(key: bytes, value: msgspec.Struct) -> Record:
    return Record(topics.CHANNEL_POSITIONS, _ENCODER.encode(value), key)


def _read(message: Message, starts: dict[int, PartitionStart], values: dict[tuple[int, bytes], _ChannelValue]) -> None:
    kind, _, rest = (message.key() or b"").partition(b"/")
    value = message.value() or b""
    try:
        if kind == b"partition":
            starts[int(rest)] = msgspec.json.decode(value, type=PartitionStart)
        else:
            partition, _, key = rest.partition(b"/")
            values[int(partition), key] = msgspec.json.decode(value, type=_ChannelValue)
    except (ValueError, RecursionError):
        log.warning("a channel position cannot be read", extra={"offset": message.offset()})
