"""The file sink: reads ``deliveries.file`` and publishes event files, every delivery in exactly one.

Nothing is kept but in Kafka and in the published files. Offsets are committed only up to the first record that is in no
file, and on assignment each chain goes on after its last published offset; so a sink may be killed anywhere. What is in
files is an attempt on ``attempts`` before its offset is committed; a sink that finds it in a file writes it once more.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import dead_letter, headers_of
from connectors.attempts import settlement_records
from connectors.chains import PartitionChains
from schemas import timestamps, topics
from schemas.delivery import Outcome
from schemas.errors import AlreadyExists, CorruptRecord, StorageUnavailable, Unavailable
from schemas.event_headers import CLIENT
from schemas.settlement import Settled

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence

    from backbone.files import EventFiles
    from backbone.kafka.records import Message, Partition, Record
    from backbone.kafka.settings import KafkaSettings
    from connectors.chains import OpenChain
    from connectors.lines import LineRenderer
    from connectors.metrics import FileMetrics
    from connectors.settings import FileSettings

log = logging.getLogger(__name__)

GROUP = "headrace-file"

_BATCH = 1_000
_WAIT = 0.1
"""Seconds that a poll waits for a first record, and so the loop's longest round."""
_COMMIT_EVERY = 0.5
_JOIN = 5.0
"""Seconds after which a sink without partitions counts as a spare one, ready to take over."""
_TRY_AGAIN = 1.0
_CALM = 5.0
"""Seconds without a refusal after which storage that refused counts as mended, once it has taken a file."""
_CALM_UNPROVED = 30.0
"""The same while there is no file to be written."""
_GONE = "the endpoint was deleted"


class FileSink:
    """One member of the group of file sinks. All of it runs on the thread that calls ``run``.

    Args:
        kafka: how to reach Kafka.
        files: where files are published.
        renderer: makes the lines.
        write: returns once Kafka has these records.
        on_health: told True once the sink can do its work and whenever it can again, False when files cannot be
            written.
        metrics: what is counted.
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
        self._kafka = kafka
        self._files = files
        self._renderer = renderer
        self._write = write
        self._on_health = on_health
        self._metrics = metrics
        self._settings = settings
        self._group = group
        self._parts: dict[Partition, PartitionChains] = {}
        self._buffered = 0
        self._filed: list[Settled] = []
        self._gone: list[Settled] = []
        self._committed_at = 0.0
        self._is_healthy: bool | None = None
        self._cut_again_at = 0.0
        self._refused_at = 0.0
        self._is_proved = False

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set. What is in no file by then is read again by the next owner."""
        while not stopping.is_set():
            try:
                self._work(stopping)
            except StorageUnavailable as error:
                self._storage_failed(error)
                stopping.wait(_TRY_AGAIN)
            except Unavailable as error:
                log.warning("begins again: %s", error)
                stopping.wait(_TRY_AGAIN)

    def _work(self, stopping: threading.Event) -> None:
        """Join the group and work until ``stopping`` is set or the consumer fails.

        Whatever else fails, the sink stays a member and reads again: if it closed its consumer and the leave did not
        arrive, nobody would have its partitions for a whole session.
        """
        self._forget()
        self._files.sweep()
        self._consumer = BatchConsumer(
            self._kafka,
            group=self._group,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_stall=self._metrics.consumers_replaced.inc,
        )
        try:
            self._consumer.subscribe([topics.FILE_DELIVERIES])
            joined = time.monotonic()
            reads_again = False
            while not stopping.is_set():
                messages = self._consumer.consume(_BATCH, _WAIT)
                try:
                    if reads_again:
                        self._read_again()
                        reads_again = False
                        continue
                    self._round(messages)
                except (AlreadyExists, StorageUnavailable, Unavailable) as error:
                    self._failed(error, stopping)
                    reads_again = True
                if self._is_healthy is None and (self._parts or time.monotonic() - joined > _JOIN):
                    self._tell(healthy=True)
        finally:
            self._consumer.close()

    def _round(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._take(message)
        self._cut()
        self._commit(self._parts)

    def _failed(self, error: Exception, stopping: threading.Event) -> None:
        if isinstance(error, AlreadyExists):
            # The partition went to another sink without our notice, or this one is the new owner and the old one
            # was a moment faster: either way the files say where to go on.
            self._metrics.overtaken.inc()
            log.warning("another sink was first: %s", error)
            return
        if isinstance(error, StorageUnavailable):
            self._storage_failed(error)
        else:
            log.warning("begins again: %s", error)
        stopping.wait(_TRY_AGAIN)

    def _read_again(self) -> None:
        """Go on at the committed offsets with what the files say, as if the partitions had just been assigned."""
        committed = self._consumer.committed(self._parts)
        parts = {partition: PartitionChains(partition[1], self._files) for partition in self._parts}
        self._files.sweep()
        self._consumer.seek({each: BEGINNING if offset is None else offset for each, offset in committed.items()})
        self._consumer.resume(parts)
        self._forget()
        self._parts = parts

    def _forget(self) -> None:
        self._parts = {}
        self._buffered = 0
        self._filed, self._gone = [], []

    def _take(self, message: Message) -> None:
        """Put one delivery's line into its chain, unless it is in a file already."""
        partition = (str(message.topic()), int(message.partition() or 0))
        part = self._parts.get(partition)
        if part is None:
            return  # it was taken away in the very poll that returned the message
        offset = int(message.offset() or 0)
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
        self, part: PartitionChains, chain: OpenChain, message: Message, headers: dict[str, bytes], delivery: Settled
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
        part.add(chain, int(message.offset() or 0), line, delivery, appended_at=appended_at, now=time.monotonic())
        self._buffered += len(line)
        if self._is_full(chain):
            self._publish(part, chain)

    def _poison(self, message: Message, reason: str) -> None:
        self._write([dead_letter(message, reason=reason)])
        self._metrics.poison.inc()
        log.warning("delivery set aside", extra={"offset": message.offset(), "reason": reason})

    def _is_full(self, chain: OpenChain) -> bool:
        return chain.size >= self._settings.max_bytes or len(chain.lines) >= self._settings.max_events

    def _cut(self) -> None:
        """Publish what is due. While files cannot be written no more is read, and it is tried again every second."""
        now = time.monotonic()
        if now < self._cut_again_at:
            self._consumer.pause(self._consumer.assignment())
            return
        was_refused = self._is_healthy is False and not self._is_proved
        for partition, part in self._parts.items():
            end = self._consumer.ends.get(partition)
            at_end = end is not None and end >= part.position
            if end is not None and at_end:
                # What follows the last record is a commit marker, which no record shows.
                part.passed(end - 1)
            for chain in part.open():
                if not (was_refused or self._is_due(chain, now, at_end=at_end)):
                    break  # the others are younger
                self._publish(part, chain)
        self._make_room()
        self._metrics.buffered.set(self._buffered)
        if self._is_healthy is False and self._cut_again_at <= now:
            self._consumer.resume(self._consumer.assignment())
            if now - self._refused_at >= (_CALM if self._is_proved else _CALM_UNPROVED):
                self._tell(healthy=True)

    def _is_due(self, chain: OpenChain, now: float, *, at_end: bool) -> bool:
        """By age: as read by this process, or, once all that there is has been read, as appended."""
        age = self._settings.max_age
        return now - chain.opened_at >= age or (at_end and time.time() - chain.appended_at / 1_000 >= age)

    def _make_room(self) -> None:
        """Cut the largest chains early when all of them together hold too much."""
        if self._buffered <= self._settings.max_buffered:
            return
        held = [(chain.size, part, chain) for part in self._parts.values() for chain in part.open()]
        for _, part, chain in sorted(held, key=lambda each: -each[0]):
            if self._buffered <= self._settings.max_buffered // 2:
                break
            self._publish(part, chain)

    def _publish(self, part: PartitionChains, chain: OpenChain) -> None:
        """Cut the chain's file; one that the storage refuses stays open."""
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

    def _commit(self, partitions: Collection[Partition]) -> None:
        now = time.monotonic()
        if now - self._committed_at >= _COMMIT_EVERY:
            self._committed_at = now
            self._commit_now(partitions)

    def _commit_now(self, partitions: Collection[Partition]) -> None:
        offsets = {}
        for partition in partitions:
            offset = self._parts[partition].committable() if partition in self._parts else None
            if offset is not None:
                offsets[partition] = offset
        try:
            self._account()
            self._consumer.commit(offsets)
        except Unavailable as error:
            # Offered again in the next round; should it come to nothing, what is in files is recognised.
            log.warning("offsets not committed: %s", error)
            return
        for partition, offset in offsets.items():
            self._parts[partition].committed(offset)

    def _account(self) -> None:
        """Write down what became of deliveries since the last time."""
        now = timestamps.now()
        records = settlement_records(self._filed, Outcome.DELIVERED, ended_at=now)
        records += settlement_records(self._gone, Outcome.CANCELLED, ended_at=now, error=_GONE)
        if records:
            self._write(records)
        self._filed, self._gone = [], []

    def _assigned(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._parts[partition] = PartitionChains(partition[1], self._files)

    def _revoked(self, partitions: list[Partition]) -> None:
        self._commit_now(partitions)
        for partition in partitions:
            part = self._parts.pop(partition, None)
            self._buffered -= sum(chain.size for chain in part.open()) if part else 0


def _publisher(headers: dict[str, Any]) -> str:
    """As the headers have it; empty where another producer wrote none.

    In records of earlier releases the source is the client that published.
    """
    try:
        return (headers.get(CLIENT) or headers.get("ce_source") or b"").decode()
    except ValueError as error:
        raise CorruptRecord(f"not a delivery: {error!r}") from error
