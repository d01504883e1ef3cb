"""The file sink: reads ``deliveries.file`` and publishes event files, every delivery in exactly one.

State is only in Kafka and in the published files. Offsets are committed up to the first record that is in no file, and
on assignment each chain goes on after its last published offset. So a sink may be killed at any point. The attempt of
a delivery is on ``attempts`` before its offset is committed; a sink that finds the delivery in a file writes it again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from backbone.kafka.commits import Commits
from backbone.kafka.consumer_loop import ConsumerLoop, Member, ReadAgain, resume_at
from backbone.kafka.records import dead_letter, headers_of, place_of
from connectors.file.buffers import PartitionBuffers
from connectors.file.settlements import settlement_records
from schemas.model import timestamps, topics
from schemas.model.batched_attempts import Settled
from schemas.model.delivery import Outcome
from schemas.model.errors import AlreadyExists, CorruptRecord, StorageUnavailable, Unavailable
from schemas.model.event_headers import CLIENT

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence

    from backbone.event_files import EventFiles
    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition, Record
    from backbone.kafka.settings import KafkaSettings
    from connectors.file.buffers import ChainBuffer
    from connectors.file.metrics import FileMetrics
    from connectors.file.rendering import LineRenderer
    from connectors.file.settings import FileSettings

log = logging.getLogger(__name__)

GROUP = "headrace-file"

_BATCH = 1_000
_JOIN = 5.0
"""Seconds after which a sink without partitions counts as a spare one, ready to take over."""
_TRY_AGAIN = 1.0
_CALM = 5.0
"""Seconds without a refusal after which storage that refused counts as mended, once it has taken a file."""
_CALM_UNPROVED = 30.0
"""The same while there is no file to be written."""
_GONE = "the endpoint was deleted"


class FileSink(Member):
    """A member of the group of file sinks. All of it runs on the thread that calls ``run``.

    Args:
        kafka: how to reach Kafka.
        files: publishes the files.
        renderer: renders the lines.
        write: writes records; returns once Kafka has them.
        on_health: called with True once the sink can do its work and whenever it can again, with False when files
            cannot be written.
        metrics: counters.
        settings: when a file is cut.
        group: the consumer group.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        files: EventFiles,
        renderer: LineRenderer,
        write: Callable[[Sequence[Record]], None],
        on_health: Callable[[bool], None],
        metrics: FileMetrics,
        settings: FileSettings,
        group: str = GROUP,
    ) -> None:
        self._loop = ConsumerLoop(
            kafka,
            group=group,
            topics=[topics.FILE_DELIVERIES],
            member=self,
            batch=_BATCH,
            on_stall=metrics.consumers_replaced.inc,
        )
        self._files = files
        self._renderer = renderer
        self._write = write
        self._on_health = on_health
        self._metrics = metrics
        self._settings = settings
        self._parts: dict[Partition, PartitionBuffers] = {}
        self._commits = Commits(self._parts)
        self._joined_at = 0.0
        self._buffered = 0
        self._filed: list[Settled] = []
        self._gone: list[Settled] = []
        self._is_healthy: bool | None = None
        self._cut_again_at = 0.0
        self._refused_at = 0.0
        self._is_proved = False

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set. Records that are in no file by then are read again by the next owner."""
        self._loop.run(stopping)

    def joining(self) -> None:
        """Begin with nothing, and remove the unfinished files of sinks that were killed."""
        self._forget()
        self._files.sweep()
        self._joined_at = time.monotonic()

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:
        """Put deliveries into their chains, publish the files that are due, commit."""
        try:
            for record in records:
                self._take(record)
            self._cut(consumer)
            if self._commits.due():
                self._commit(consumer, self._parts)
        except AlreadyExists as error:
            # The partition went to another sink without our notice, or this one is the new owner and the old one
            # was a moment faster: either way the files say where to go on.
            self._metrics.overtaken.inc()
            log.warning("another sink was first: %s", error)
            raise ReadAgain(str(error)) from error
        finally:
            self._tell_ready()

    def failed(self, error: Exception) -> None:
        """Report storage that refused; what else is not Kafka's ends the sink."""
        if isinstance(error, StorageUnavailable):
            self._storage_failed(error)
        else:
            super().failed(error)

    def read_again(self, consumer: BatchConsumer) -> None:
        """Go on at the committed offsets with what the files say, as if the partitions had just been assigned."""
        committed = consumer.committed(self._parts)
        self._files.sweep()
        resume_at(consumer, committed)
        self._forget()
        self.assigned(list(committed))
        self._tell_ready()

    def assigned(self, partitions: list[Partition]) -> None:
        """Begin with empty chains."""
        for partition in partitions:
            self._parts[partition] = PartitionBuffers(partition[1], self._files)

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:
        """Commit, and drop the lines that are in no file: the next owner reads them again."""
        self._commit(consumer, partitions)
        for partition in partitions:
            part = self._parts.pop(partition, None)
            self._buffered -= sum(chain.size for chain in part.open()) if part else 0

    def _forget(self) -> None:
        self._parts.clear()
        self._buffered = 0
        self._filed, self._gone = [], []

    def _take(self, message: ConsumedRecord) -> None:
        """Add one delivery's line to its chain, unless it is in a file already."""
        part = self._parts.get(place_of(message))
        if part is None:
            return  # it was taken away in the very poll that returned the message
        offset = message.offset()
        try:
            # A foreign record may have any headers, or none.
            headers: dict[str, Any] = dict(headers_of(message))
            delivery = Settled.from_headers(headers)
            chain = part.chain(delivery.endpoint, _publisher(headers) or self._renderer.publisher(message))
        except CorruptRecord as error:
            self._poison(message, str(error))
            part.passed(offset)
            return
        if offset > chain.published:
            self._add(part, chain, message, headers, delivery)
        else:
            self._filed.append(delivery)
        part.passed(offset)

    def _add(
        self,
        part: PartitionBuffers,
        chain: ChainBuffer,
        message: ConsumedRecord,
        headers: dict[str, bytes],
        delivery: Settled,
    ) -> None:
        try:
            line = self._renderer.line(message, headers, delivery.endpoint)
        except CorruptRecord as error:
            self._poison(message, str(error))
            return
        if line is None:
            self._metrics.cancelled.inc()
            self._gone.append(delivery)
            return
        appended_at = message.timestamp()[1]
        part.add(chain, message.offset(), line, delivery, appended_at=appended_at, now=time.monotonic())
        self._buffered += len(line)
        if self._is_full(chain):
            self._publish(part, chain)

    def _poison(self, message: ConsumedRecord, reason: str) -> None:
        self._write([dead_letter(message, reason=reason)])
        self._metrics.poison.inc()
        log.warning("delivery set aside", extra={"offset": message.offset(), "reason": reason})

    def _is_full(self, chain: ChainBuffer) -> bool:
        return chain.size >= self._settings.max_bytes or len(chain.lines) >= self._settings.max_events

    def _cut(self, consumer: BatchConsumer) -> None:
        """Publish the chains that are due. While the storage refuses, pause reading and try again every second."""
        now = time.monotonic()
        if now < self._cut_again_at:
            consumer.pause(consumer.assignment())
            return
        was_refused = self._is_healthy is False and not self._is_proved
        for partition, part in self._parts.items():
            end = consumer.ends.get(partition)
            at_end = end is not None and end >= part.position
            if end is not None and at_end:
                # Only a commit marker follows the last record.
                part.passed(end - 1)
            for chain in part.open():
                if not (was_refused or self._is_due(chain, now, at_end=at_end)):
                    break  # the others are younger
                self._publish(part, chain)
        self._make_room()
        self._metrics.buffered.set(self._buffered)
        if self._is_healthy is False and self._cut_again_at <= now:
            consumer.resume(consumer.assignment())
            if now - self._refused_at >= (_CALM if self._is_proved else _CALM_UNPROVED):
                self._tell(healthy=True)

    def _is_due(self, chain: ChainBuffer, now: float, *, at_end: bool) -> bool:
        """Whether a chain is old enough: since this process read it, or since the append at the partition's end."""
        age = self._settings.max_age
        return now - chain.opened_at >= age or (at_end and time.time() - chain.appended_at / 1_000 >= age)

    def _make_room(self) -> None:
        """Publish the largest chains early when all of them together hold too much."""
        if self._buffered <= self._settings.max_buffered:
            return
        held = [(chain.size, part, chain) for part in self._parts.values() for chain in part.open()]
        for _, part, chain in sorted(held, key=lambda each: -each[0]):
            if self._buffered <= self._settings.max_buffered // 2:
                break
            self._publish(part, chain)

    def _publish(self, part: PartitionBuffers, chain: ChainBuffer) -> None:
        """Publish a chain's lines as a file; a chain that the storage refuses stays open."""
        if time.monotonic() < self._cut_again_at:
            return
        try:
            name = self._files.publish(chain.chain, chain.first, chain.lines)
        except StorageUnavailable as error:
            self._cut_again_at = time.monotonic() + _TRY_AGAIN
            self._storage_failed(error)
            return
        self._is_proved = True
        self._metrics.files.inc()
        self._metrics.events.inc(len(chain.lines))
        self._metrics.bytes.inc(chain.size)
        log.debug("file published", extra={"endpoint": chain.chain.endpoint, "file": name})
        self._buffered -= chain.size
        self._filed += chain.deliveries
        part.settle(chain)

    def _storage_failed(self, error: StorageUnavailable) -> None:
        self._metrics.refused.inc()
        self._refused_at, self._is_proved = time.monotonic(), False
        if self._is_healthy is not False:
            log.error("NO EVENT FILES ARE WRITTEN until the storage takes them: %s", error)
        self._tell(healthy=False)

    def _tell(self, *, healthy: bool) -> None:
        if healthy is self._is_healthy:
            return
        if healthy and self._is_healthy is False:
            log.warning("event files are written again")
        self._is_healthy = healthy
        self._metrics.failing.set(0 if healthy else 1)
        self._on_health(healthy)

    def _tell_ready(self) -> None:
        """Report health for the first time, once partitions are assigned or it is clear that there are none."""
        if self._is_healthy is None and (self._parts or time.monotonic() - self._joined_at > _JOIN):
            self._tell(healthy=True)

    def _commit(self, consumer: BatchConsumer, partitions: Collection[Partition]) -> None:
        offsets = self._commits.offsets(partitions)
        try:
            self._account()
        except Unavailable as error:
            # Offered again in the next round; should it come to nothing, what is in files is recognised.
            log.warning("offsets not committed: %s", error)
            return
        self._commits.commit(consumer, offsets)

    def _account(self) -> None:
        """Write the attempts of the deliveries since the last time."""
        now = timestamps.now()
        records = settlement_records(self._filed, Outcome.DELIVERED, ended_at=now)
        records += settlement_records(self._gone, Outcome.CANCELLED, ended_at=now, error=_GONE)
        if records:
            self._write(records)
        self._filed, self._gone = [], []


def _publisher(headers: dict[str, Any]) -> str:
    """The publisher that the headers name; empty where another producer wrote none.

    In records of earlier releases the source is the client that published.
    """
    try:
        return (headers.get(CLIENT) or headers.get("ce_source") or b"").decode()
    except ValueError as error:
        raise CorruptRecord(f"not a delivery: {error!r}") from error
