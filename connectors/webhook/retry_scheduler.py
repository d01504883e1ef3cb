"""The retry scheduler: moves deliveries along the retry tiers, and back onto ``deliveries.webhook`` when they are due.

A record waits exactly its tier's delay, so each tier is first in, first out, and reading its head is enough. A move is
one transaction, the record on its next topic and the offset on its tier: it is on exactly one of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from backbone.kafka.consumer_loop import ConsumerLoop, Member, resume_at
from backbone.kafka.records import Record, dead_letter, header_list, place_of
from backbone.kafka.transaction import TransactionalProducer
from connectors.webhook.attempts import smaller
from connectors.webhook.retry_schedule import tier_for
from schemas.model import topics
from schemas.model.delivery import event_headers, read_delivery
from schemas.model.errors import CorruptRecord, Fenced, PayloadTooLarge, TransactionAborted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings
    from connectors.webhook.metrics import WebhookMetrics

log = logging.getLogger(__name__)

GROUP = "headrace-webhook-retries"

_HELD = 5_000
"""Records of one partition that are held until they have waited; then it is paused."""

_HELD_BYTES = 4 * 1024 * 1024
_MOVES = 5_000
"""Records in one transaction. They share what it costs to commit: when an endpoint with a great backlog fails, the
retries of all others wait behind it on the same partitions of the tiers."""

_SHARE = 250
"""Of them, those that each partition may move before others have what is left: none waits behind another's backlog."""

_MOVED_BYTES = 16 * 1024 * 1024
"""In one transaction: it has only seconds."""

_DELAYS = {topic: delay for delay, topic in topics.RETRY_TIERS.items()}
_WRITTEN = (*_DELAYS, topics.WEBHOOK_DELIVERIES, topics.WEBHOOK_REPLAYS, topics.DEAD_LETTERS)


class Tier:
    """The records held of one partition of a retry tier, in order."""

    def __init__(self, topic: str) -> None:
        self.delay = _DELAYS[topic]
        self.paused = False
        self._held: deque[tuple[float, ConsumedRecord]] = deque()
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether it holds enough for now."""
        return len(self._held) >= _HELD or self._bytes >= _HELD_BYTES

    def hold(self, message: ConsumedRecord) -> None:
        """Keep a record until it has waited since it was appended, or since now if its timestamp is in the future.

        A broker whose clock is ahead would otherwise hold up the tier for as long as that.
        """
        self._held.append((min(message.timestamp()[1] / 1_000, time.time()), message))
        self._bytes += _bytes([message])

    def ripe(self, now: float, most: int, most_bytes: int) -> list[ConsumedRecord]:
        """Take out the records that have waited; ``now`` in seconds since the epoch.

        At most ``most`` records, and no more once they have ``most_bytes``.
        """
        found: list[ConsumedRecord] = []
        left = most_bytes
        while self._held and len(found) < most and left > 0:
            since, message = self._held[0]
            if now < since + self.delay:
                break
            self._held.popleft()
            found.append(message)
            left -= _bytes([message])
        self._bytes -= most_bytes - left
        return found


class RetryScheduler(Member):
    """A member of the group that reads the retry tiers; runs on a thread of its own.

    Args:
        settings: how to reach Kafka.
        transactional_id: unique to this process.
        metrics: counters.
    """

    def __init__(self, settings: KafkaSettings, *, transactional_id: str, metrics: WebhookMetrics) -> None:
        self._settings = settings
        self._transactional_id = transactional_id
        self._metrics = metrics
        self._tiers: dict[Partition, Tier] = {}
        self._producer: TransactionalProducer | None = None
        consumer_loop = ConsumerLoop(
            settings,
            group=GROUP,
            topics=list(_DELAYS),
            member=self,
            batch=_HELD,
            on_stall=metrics.consumers_replaced.inc,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=consumer_loop.run, args=[self._stopping], name="retry-scheduler", daemon=True
        )

    def start(self) -> None:
        """Begin to move; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the open transaction and leave the group."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def joining(self) -> None:
        """Begin with nothing."""
        self._tiers.clear()

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:
        """Hold records until they have waited, and move those that have."""
        for record in records:
            tier = self._tiers.get(place_of(record))
            if tier is not None:
                tier.hold(record)
        self._set_paused(consumer)
        self._move_ripe(consumer)

    def read_again(self, consumer: BatchConsumer) -> None:
        """Go on at the committed offsets. A new producer first: it settles what became of the last commit."""
        producer = self._ready_producer()
        try:
            committed = consumer.committed(self._tiers)
        except Unavailable:
            # A transaction that hangs may be the reason; the next turn asks again.
            producer.end_hanging(dict.fromkeys(sorted(self._tiers)[:1], 0), consumer)
            raise
        resume_at(consumer, committed)
        self.assigned(list(committed))

    def assigned(self, partitions: list[Partition]) -> None:
        """Begin with an empty tier."""
        for partition in partitions:
            self._tiers[partition] = Tier(partition[0])

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:  # noqa: ARG002  # Member's
        """Drop the records held: the next owner reads them again."""
        for partition in partitions:
            self._tiers.pop(partition, None)

    def failed(self, error: Exception) -> None:
        """Go on, whatever it was: retries must outlive errors that nobody thought of."""
        if isinstance(error, Unavailable):
            log.warning("retries pause: %s", error)
        else:
            log.error("retries pause", exc_info=error)

    def left(self) -> None:
        """Drop the producer."""
        self._drop_producer()
        self._tiers.clear()

    def _ready_producer(self) -> TransactionalProducer:
        if self._producer is None:
            producer = TransactionalProducer(self._settings, self._transactional_id, writes_to=_WRITTEN)
            try:
                producer.start()
            except Unavailable:
                producer.close()
                raise
            self._producer = producer
        return self._producer

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def _set_paused(self, consumer: BatchConsumer) -> None:
        full = [partition for partition, tier in self._tiers.items() if tier.full and not tier.paused]
        empty = [partition for partition, tier in self._tiers.items() if tier.paused and not tier.full]
        consumer.pause(full)
        consumer.resume(empty)
        for partition in full + empty:
            self._tiers[partition].paused = partition in full

    def _move_ripe(self, consumer: BatchConsumer) -> None:
        now = time.time()
        ripe = self._ripe(now)
        if not ripe:
            return
        try:
            self._move(consumer, self._ready_producer(), ripe, now)
        except TransactionAborted as error:
            self._metrics.hop_aborts.inc()
            log.warning("a move of retries did not commit: %s", error)
            if isinstance(error, Fenced):
                self._drop_producer()
            raise
        for message in ripe:
            self._metrics.hops.labels(message.topic()).inc()

    def _ripe(self, now: float) -> list[ConsumedRecord]:
        """Choose the records to move now: a share of each partition, then as many more as fit."""
        ripe: list[ConsumedRecord] = []
        for tier in self._tiers.values():
            ripe += tier.ripe(now, _SHARE, _MOVED_BYTES // len(self._tiers))
        for tier in self._tiers.values():
            ripe += tier.ripe(now, _MOVES - len(ripe), _MOVED_BYTES - _bytes(ripe))
        return ripe

    def _move(
        self, consumer: BatchConsumer, producer: TransactionalProducer, messages: Iterable[ConsumedRecord], now: float
    ) -> None:
        offsets: dict[Partition, int] = {}
        producer.begin()
        for message in messages:
            record = self._next(message, now)
            try:
                producer.produce(record)
            except PayloadTooLarge as error:
                producer.produce(smaller(record, message, str(error)))
            offsets[place_of(message)] = message.offset() + 1
        producer.send_offsets(offsets, consumer)
        producer.commit()

    def _next(self, message: ConsumedRecord, now: float) -> Record:
        """The next record of a delivery that has waited on its tier."""
        try:
            delivery = read_delivery(header_list(message))
        except CorruptRecord as error:
            self._metrics.poison.labels(message.topic()).inc()
            return dead_letter(message, reason=str(error))
        left = (delivery.due or 0) / 1_000 - now
        if left > 0:
            # Not the record's own key: another producer may have written one that only compression made small.
            return Record(tier_for(left)[1], message.value(), delivery.record_key, header_list(message))
        returning = delivery.handed_on()
        headers = event_headers(header_list(message)) + returning.to_headers()
        return Record(returning.webhook_topic, message.value(), returning.record_key, headers)


def _bytes(messages: Iterable[ConsumedRecord]) -> int:
    return sum(len(message.value() or b"") for message in messages)
