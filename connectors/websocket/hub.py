"""The channels of a node: records of ``deliveries.websocket`` in, numbered publications to their subscribers out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from connectors.websocket import protocol
from connectors.websocket.channel import Channel, Mark, Publication, PushFrame
from schemas.channels import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import Message
    from connectors.websocket.history import Retention
    from connectors.websocket.metrics import RealtimeMetrics
    from connectors.websocket.positions import Positions

_YIELD_AFTER = 5_000
"""Writes to sockets before the event loop gets to do something else."""

_FRAME_BYTES = 65_536

_AROUND = 300
"""Bytes around a publication in a frame, the channel's name among them; an estimate."""

_WAIT_STEP = 0.01


class Snapshot(NamedTuple):
    """What may be written to ``channel-positions``: the partitions' epochs and next offsets, and what changed."""

    epochs: Mapping[int, str]
    nexts: Mapping[int, int]
    marks: Mapping[Channel, Mark]


class Hub:
    """Belongs to the event loop: whatever is looked up and changed between two awaits is consistent.

    Args:
        render: record to the data of its publication.
        retention: what is kept for recovery.
        metrics: of this process.

    Attributes:
        nexts: partition to the log offset after the last record that was published.
    """

    def __init__(self, render: Callable[[Message], bytes], retention: Retention, metrics: RealtimeMetrics) -> None:
        self._render = render
        self._retention = retention
        self._metrics = metrics
        self._channels: dict[bytes, Channel] = {}
        self._epochs: dict[int, str] = {}
        self._changed: dict[Channel, None] = {}
        self.nexts: dict[int, int] = {}

    def begin(self, positions: Positions, epochs: Mapping[int, str]) -> None:
        """Take over what is known of the channels; ``epochs`` are those of all partitions, from 0 on."""
        self._epochs = dict(epochs)
        for (partition, key), mark in positions.marks.items():
            self._channels[key] = Channel(key, partition, mark)

    def settle(self) -> None:
        """The log was read to its end for the first time."""
        for channel in self._channels.values():
            channel.settle()

    async def publish(self, messages: Sequence[Message], nexts: Mapping[int, int]) -> None:
        """Number these records, which follow on the last ones, and send them to whoever is subscribed.

        A channel's publications are counted and sent in one go: no subscriber comes in between.
        """
        batches: dict[bytes, list[Message]] = {}
        for message in messages:
            batches.setdefault(message.key() or b"", []).append(message)
        written = 0
        for key, batch in batches.items():
            written += self._publish(key, batch)
            if written >= _YIELD_AFTER:
                written = 0
                await asyncio.sleep(0)
        self.nexts.update(nexts)
        self._metrics.history_bytes.set(self._retention.bytes)

    def channel(self, key: bytes) -> Channel:
        """The channel, known or new."""
        found = self._channels.get(key)
        if found is None:
            found = self._channels[key] = Channel(key, partition_of(key, len(self._epochs)))
        return found

    def epoch(self, channel: Channel) -> str:
        """Names the unbroken count that the channel's numbers belong to."""
        return self._epochs[channel.partition]

    def forget_unused(self, channel: Channel) -> None:
        """Somebody left the channel."""
        if channel.unused:
            self._channels.pop(channel.key, None)

    def epoch_of(self, key: bytes) -> str:
        """``epoch`` of the channel that there is, or would be."""
        return self._epochs[partition_of(key, len(self._epochs))]

    def top(self, key: bytes) -> int:
        """Number of a channel's last publication; 0 before the first."""
        channel = self._channels.get(key)
        return 0 if channel is None else channel.top

    async def reached(self, key: bytes, number: int, seconds: float) -> None:
        """Wait, so many seconds at most, for a publication that another node has sent already."""
        for _ in range(int(seconds / _WAIT_STEP)):
            if self.top(key) >= number:
                return
            await asyncio.sleep(_WAIT_STEP)

    def body(self, publication: Publication) -> bytes | None:
        """The publication as the protocol spells it; None when its record cannot be read."""
        return publication.body(self._render)

    def size(self, publication: Publication) -> int:
        """How many bytes it takes of what is sent: its JSON can be many times as long as its record."""
        return len(self.body(publication) or b"") + _AROUND

    def within(self, publications: Sequence[Publication], size: int) -> list[Publication]:
        """The first of them, as many as take no more than ``size`` bytes together."""
        found: list[Publication] = []
        for publication in publications:
            size -= self.size(publication)
            if size < 0:
                break
            found.append(publication)
        return found

    def push_frames(self, channel: Channel, publications: Sequence[Publication]) -> list[PushFrame]:
        """Publications as frames of about 64 KiB at most, made once for all who are subscribed."""
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
        """What changed since the last snapshot."""
        changed, self._changed = self._changed, {}
        # Copied here, on the event loop: a number and a log offset of two moments would be no fact.
        marks = {channel: Mark(channel.top, channel.log_offset) for channel in changed}
        return Snapshot(self._epochs, dict(self.nexts), marks)

    def not_written(self, snapshot: Snapshot) -> None:
        """A snapshot was lost: the next one has to hold it."""
        self._changed = dict.fromkeys(snapshot.marks) | self._changed

    def _publish(self, key: bytes, messages: Sequence[Message]) -> int:
        """Count and send; returns the number of writes."""
        channel = self._channels.get(key)
        partition = messages[0].partition() or 0
        if channel is None:
            channel = self._channels[key] = Channel(key, partition)
        if channel.partition != partition or partition != partition_of(key, len(self._epochs)):
            # Not written by our router. Two partitions have no common order, so no two nodes would count it alike.
            self._metrics.misplaced.inc(len(messages))
            return 0
        fresh = []
        for message in messages:
            publication = Publication(message, message.offset() or 0)
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
