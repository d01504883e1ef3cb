"""The hopper: moves deliveries along the retry tiers, and back onto ``deliveries.webhook`` when they are due.

A record waits exactly its tier's delay, so each tier is first in, first out, and reading its head is enough. A move is
one transaction, the record on its next topic and the offset on its tier: it is on exactly one of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import Record, dead_letter
from backbone.kafka.transaction import TransactionalProducer
from connectors.attempts import header_list, smaller
from connectors.schedule import tier_for
from schemas import topics
from schemas.delivery import event_headers, read_delivery
from schemas.errors import CorruptRecord, Fenced, PayloadTooLarge, TransactionAborted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.kafka.records import Message, Partition
    from backbone.kafka.settings import KafkaSettings
    from connectors.metrics import WebhookMetrics

log = logging.getLogger(__name__)

GROUP = "headrace-webhook-retries"

_WAIT = 0.1
"""Seconds that a poll waits for a first record: a move is late by no more than that."""

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

_BACKOFF = 1.0

_DELAYS = {topic: delay for delay, topic in topics.RETRY_TIERS.items()}
_WRITTEN = (*_DELAYS, topics.WEBHOOK_DELIVERIES, topics.DEAD_LETTERS)


class Tier:
    """What is held of one partition of a retry tier, in order."""

    def __init__(self, topic: str) -> None:
        self.delay = _DELAYS[topic]
        self.paused = False
        self._held: deque[tuple[float, Message]] = deque()
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether it holds enough for now."""
        return len(self._held) >= _HELD or self._bytes >= _HELD_BYTES

    def hold(self, message: Message) -> None:
        """Keep a record until it has waited: since it was appended, or since now if its time is still to come.

        A broker whose clock is ahead would otherwise hold up the tier, and all behind the record, for as long as that.
        """
        self._held.append((min(message.timestamp()[1] / 1_000, time.time()), message))
        self._bytes += _bytes([message])

    def ripe(self, now: float, most: int, most_bytes: int) -> list[Message]:
        """Take out what has been on the tier for its delay; ``now`` in seconds since the epoch.

        At most ``most`` records, and none more once they have ``most_bytes``.
        """
        found: list[Message] = []
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


class Hopper:
    """Runs on a thread of its own; several share the tiers' partitions as members of one group.

    Args:
        settings: how to reach Kafka.
        transactional_id: unique to this process.
        metrics: counts.
    """

    def __init__(self, settings: KafkaSettings, *, transactional_id: str, metrics: WebhookMetrics) -> None:
        self._settings = settings
        self._transactional_id = transactional_id
        self._metrics = metrics
        self._tiers: dict[Partition, Tier] = {}
        self._producer: TransactionalProducer | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retry-hopper", daemon=True)

    def start(self) -> None:
        """Begin to move; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the transaction under way and leave the group."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Unavailable as error:
                log.warning("retries pause: %s", error)
            except Exception:  # retries must outlive what nobody thought of
                log.exception("retries pause")
            self._stopping.wait(_BACKOFF)

    def _work(self) -> None:
        """Move until stopped or the consumer fails.

        When a move fails, the consumer stays a member and reads again: if it left and the leave did not arrive, nobody
        would have its partitions for a whole session.
        """
        consumer = BatchConsumer(
            self._settings,
            group=GROUP,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_stall=self._metrics.consumers_replaced.inc,
        )
        reads_again = False
        try:
            consumer.subscribe(list(_DELAYS))
            while not self._stopping.is_set():
                self._read(consumer)
                try:
                    if reads_again:
                        self._read_again(consumer)
                        reads_again = False
                        continue
                    self._move_ripe(consumer)
                except Unavailable as error:
                    log.warning("retries pause: %s", error)
                    reads_again = True
                    self._stopping.wait(_BACKOFF)
        finally:
            consumer.close()
            self._drop_producer()
            self._tiers.clear()

    def _read_again(self, consumer: BatchConsumer) -> None:
        """Go on at the committed offsets. A new producer first: it settles what became of the last commit."""
        producer = self._ready_producer()
        try:
            committed = consumer.committed(self._tiers)
        except Unavailable:
            # A transaction that hangs may be the reason; the next turn asks again.
            producer.end_hanging(dict.fromkeys(sorted(self._tiers)[:1], 0), consumer)
            raise
        consumer.seek({each: BEGINNING if offset is None else offset for each, offset in committed.items()})
        consumer.resume(self._tiers)
        self._tiers = {partition: Tier(partition[0]) for partition in self._tiers}

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

    def _read(self, consumer: BatchConsumer) -> None:
        for message in consumer.consume(_HELD, _WAIT):
            tier = self._tiers.get(_place(message))
            if tier is not None:
                tier.hold(message)
        self._set_paused(consumer)

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
            self._metrics.hops.labels(str(message.topic())).inc()

    def _ripe(self, now: float) -> list[Message]:
        """What is moved now: something of each partition, and then whatever fits."""
        ripe: list[Message] = []
        for tier in self._tiers.values():
            ripe += tier.ripe(now, _SHARE, _MOVED_BYTES // len(self._tiers))
        for tier in self._tiers.values():
            ripe += tier.ripe(now, _MOVES - len(ripe), _MOVED_BYTES - _bytes(ripe))
        return ripe

    def _move(
        self, consumer: BatchConsumer, producer: TransactionalProducer, messages: Iterable[Message], now: float
    ) -> None:
        offsets: dict[Partition, int] = {}
        producer.begin()
        for message in messages:
            record = self._next(message, now)
            try:
                producer.produce(record)
            except PayloadTooLarge as error:
                producer.produce(smaller(record, message, str(error)))
            offsets[_place(message)] = int(message.offset() or 0) + 1
        producer.send_offsets(offsets, consumer)
        producer.commit()

    def _next(self, message: Message, now: float) -> Record:
        """Where a record goes that has waited on its tier."""
        try:
            delivery = read_delivery(header_list(message))
        except CorruptRecord as error:
            self._metrics.poison.labels(str(message.topic())).inc()
            return dead_letter(message, reason=str(error))
        left = (delivery.due or 0) / 1_000 - now
        if left > 0:
            # Not the key that it has: another producer may have written one that only compression made small.
            return Record(tier_for(left)[1], message.value(), delivery.record_key, header_list(message))
        returning = msgspec.structs.replace(delivery, due=None)
        headers = event_headers(header_list(message)) + returning.to_headers()
        return Record(topics.WEBHOOK_DELIVERIES, message.value(), returning.record_key, headers)

    def _assigned(self, partitions: list[Partition]) -> None:
        for topic, partition in partitions:
            self._tiers[topic, partition] = Tier(topic)

    def _revoked(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._tiers.pop(partition, None)


def _bytes(messages: Iterable[Message]) -> int:
    return sum(len(message.value() or b"") for message in messages)


def _place(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)
