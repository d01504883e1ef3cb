"""The channels of a node: records of ``deliveries.websocket`` in, numbered publications to their subscribers out."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from connectors.websocket import protocol
from connectors.websocket.channel import Channel, Mark, Publication, PushFrame
from schemas.model.channels import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backbone.kafka.records import ConsumedRecord
    from connectors.websocket.history import Retention
    from connectors.websocket.metrics import RealtimeMetrics
    from connectors.websocket.positions import Positions

_YIELD_AFTER = 5_000
"""Writes to sockets before other work of the event loop gets its turn."""

_PART_BYTES = 512 * 1024
"""Bytes of one channel's records, likewise: to render them takes about 10 ms."""

_FRAME_BYTES = 65_536

_AROUND = 300
"""Estimated bytes around a publication in a frame, including the channel's name."""

_WAIT_STEP = 0.01


class Snapshot(NamedTuple):
    """The content of ``channel-positions``: the partitions' epochs and next offsets, and the channels that changed."""

    epochs: Mapping[int, str]
    nexts: Mapping[int, int]
    marks: Mapping[Channel, Mark]


class Hub:
    """Numbers records and sends them. Belongs to the event loop: state is consistent between two awaits.

    Args:
        render: record to the data of its publication.
        retention: bounds the publications that are kept for recovery.
        metrics: of this process.

    Attributes:
        nexts: partition to the log offset after the last record that was published.
    """

    def __init__(
        self, render: Callable[[ConsumedRecord], bytes], retention: Retention, metrics: RealtimeMetrics
    ) -> None:
        self._render = render
        self._retention = retention
        self._metrics = metrics
        self._channels: dict[bytes, Channel] = {}
        self._epochs: dict[int, str] = {}
        self._changed: dict[Channel, None] = {}
        self.nexts: dict[int, int] = {}

    def begin(self, positions: Positions, epochs: Mapping[int, str]) -> None:
        """Continue from the known positions of the channels; ``epochs`` has one for each partition, from 0 on."""
        self._epochs = dict(epochs)
        for (partition, key), mark in positions.marks.items():
            self._channels[key] = Channel(key, partition, mark)

    def settle(self) -> None:
        """Note that the log was read to its end for the first time."""
        for channel in self._channels.values():
            channel.settle()

    async def publish(self, messages: Sequence[ConsumedRecord], nexts: Mapping[int, int]) -> None:
        """Number the next records of the log, and send them to the subscribers.

        Channels with few records come first; those with many follow, in parts. A part is counted and sent without an
        await: no subscriber comes in between.
        """
        batches: dict[bytes, list[ConsumedRecord]] = {}
        sizes: Counter[bytes] = Counter()
        for message in messages:
            key = message.key() or b""
            batches.setdefault(key, []).append(message)
            sizes[key] += len(message.value() or b"")
        written = size = 0
        for key in sorted(batches, key=sizes.__getitem__):
            for part in _parts(batches[key]) if sizes[key] > _PART_BYTES else (batches[key],):
                written += self._publish(key, part)
                size += min(sizes[key], _PART_BYTES)
                if written >= _YIELD_AFTER or size >= _PART_BYTES:
                    written = size = 0
                    await asyncio.sleep(0)
        self.nexts.update(nexts)
        self._metrics.history_bytes.set(self._retention.bytes)

    def channel(self, key: bytes) -> Channel:
        """The channel; created if it is new."""
        found = self._channels.get(key)
        if found is None:
            found = self._channels[key] = Channel(key, partition_of(key, len(self._epochs)))
        return found

    def epoch(self, channel: Channel) -> str:
        """The epoch of a channel: it identifies the unbroken count that the channel's numbers belong to."""
        return self._epochs[channel.partition]

    def forget_unused(self, channel: Channel) -> None:
        """Forget a channel that nobody uses any more."""
        if channel.unused:
            self._channels.pop(channel.key, None)

    def epoch_of(self, key: bytes) -> str:
        """The epoch that a channel of this key has, or would have."""
        return self._epochs[partition_of(key, len(self._epochs))]

    def top(self, key: bytes) -> int:
        """Number of a channel's last publication; 0 before the first."""
        channel = self._channels.get(key)
        return 0 if channel is None else channel.top

    async def reached(self, key: bytes, number: int, seconds: float) -> None:
        """Wait up to ``seconds`` for a publication that another node has sent already."""
        for _ in range(int(seconds / _WAIT_STEP)):
            if self.top(key) >= number:
                return
            await asyncio.sleep(_WAIT_STEP)

    def body(self, publication: Publication) -> bytes | None:
        """The publication in the form of the protocol; None if its record cannot be read."""
        return publication.body(self._render)

    def size(self, publication: Publication) -> int:
        """Bytes of the publication when sent: its JSON can be many times as long as its record."""
        return len(self.body(publication) or b"") + _AROUND

    def within(self, publications: Sequence[Publication], size: int) -> list[Publication]:
        """The first publications that together take at most ``size`` bytes."""
        found: list[Publication] = []
        for publication in publications:
            size -= self.size(publication)
            if size < 0:
                break
            found.append(publication)
        return found

    def push_frames(self, channel: Channel, publications: Sequence[Publication]) -> list[PushFrame]:
        """Publications as frames of about 64 KiB at most, made once for all subscribers."""
        made: list[PushFrame] = []
        lines: list[bytes] = []
        size = 0
        for publication in publications:
            body = self.body(publication)
            if body is not None:
                lines.append(protocol.publication_push(channel.name, body))
                size += len(body)
            if lines and (size > _FRAME_BYTES or publication is publications[-1]):
                made.append(PushFrame(protocol.text_frame(b"\n".join(lines)), len(lines), publication.number))
                lines, size = [], 0
        return made

    def snapshot(self) -> Snapshot:
        """Everything that changed since the last snapshot."""
        changed, self._changed = self._changed, {}
        # Copied here, on the event loop: number and log offset must be of the same moment.
        marks = {channel: Mark(channel.top, channel.log_offset) for channel in changed}
        return Snapshot(self._epochs, dict(self.nexts), marks)

    def not_written(self, snapshot: Snapshot) -> None:
        """Put back a snapshot that was not written: the next one must hold it."""
        self._changed = dict.fromkeys(snapshot.marks) | self._changed

    def _publish(self, key: bytes, messages: Sequence[ConsumedRecord]) -> int:
        """Count and send; returns the number of writes."""
        channel = self._channels.get(key)
        partition = messages[0].partition()
        if channel is None:
            channel = self._channels[key] = Channel(key, partition)
        if channel.partition != partition or partition != partition_of(key, len(self._epochs)):
            # Not written by the router. Two partitions have no common order, so nodes would count it differently.
            self._metrics.misplaced.inc(len(messages))
            return 0
        fresh = []
        for message in messages:
            publication = Publication(message, message.offset())
            if channel.count(publication):
                fresh.append(publication)
            self._retention.add(channel, publication)
        self._metrics.publications.inc(len(messages))
        self._changed[channel] = None
        if not channel.subscribers or not fresh:
            return 0
        frames = self.push_frames(channel, fresh)
        subscribers = list(channel.subscribers)
        self._metrics.pushed.inc(sum([subscriber.push(frames) for subscriber in subscribers]))
        return len(frames) * len(subscribers)


def _parts(messages: Sequence[ConsumedRecord]) -> Iterator[list[ConsumedRecord]]:
    """Take the next records, in order, until they have ``_PART_BYTES``."""
    part: list[ConsumedRecord] = []
    left = _PART_BYTES
    for message in messages:
        part.append(message)
        left -= len(message.value() or b"")
        if left <= 0:
            yield part
            part, left = [], _PART_BYTES
    if part:
        yield part
