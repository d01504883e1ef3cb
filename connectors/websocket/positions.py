"""``channel-positions``: how far each channel has been counted, so that a node need not count from the beginning.

There are two kinds of records, with JSON values. ``channel/<partition>/<channel key>`` is a mark: the number of the
channel's record at a log offset. ``partition/<partition>`` says that no channel has a record between its mark and the
log offset ``next``. An old mark is as true as a new one, but the marks of one write must appear together. An epoch
identifies one unbroken count of a partition. Records of another epoch belong to a topic that was deleted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.read_to_end import read_topics_to_end
from backbone.kafka.records import Record
from connectors.websocket.channel import Mark
from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from connectors.websocket.channel import Channel

log = logging.getLogger(__name__)

_LONGEST_KEY = 65_536
"""Most bytes of a channel's key: far more than a workspace's name and a channel's of 255 characters have."""


class PartitionStart(msgspec.Struct, frozen=True):
    """The log offset from which to count a partition, and the epoch."""

    epoch: str
    next: int


class _ChannelValue(msgspec.Struct, frozen=True):
    epoch: str
    number: int
    log_offset: int


class Positions(msgspec.Struct, frozen=True):
    """The content of the topic: the start of each partition, and the mark of each (partition, channel key)."""

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
    for record in read_topics_to_end(settings, [topics.CHANNEL_POSITIONS]):
        _read(record, starts, values)
    marks = {
        (partition, key): Mark(value.number, value.log_offset)
        for (partition, key), value in values.items()
        if partition in starts and starts[partition].epoch == value.epoch
    }
    return Positions(starts, marks)


def position_records(
    epochs: Mapping[int, str], nexts: Mapping[int, int], marks: Mapping[Channel, Mark]
) -> list[Record]:
    """The records of one transaction: the marks of the channels that changed, and the state of their partitions.

    Keys of other producers that are too long for a channel are left out: nobody can subscribe to them, and one that is
    too large for Kafka would prevent all others from being written.
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


def _read(
    message: ConsumedRecord, starts: dict[int, PartitionStart], values: dict[tuple[int, bytes], _ChannelValue]
) -> None:
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
