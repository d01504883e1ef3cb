"""The router: batches of events in, their deliveries, receipts and offsets out, in Kafka transactions."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

import msgspec

from backbone.kafka.records import dead_letter
from schemas import timestamps, topics
from schemas.errors import CorruptRecord, Fenced, HeadraceError, PayloadTooLarge
from stream_processors.deliveries import Tally, delivery_records, event_id, wanted, within_fan_out
from stream_processors.faults import no_fault
from stream_processors.turns import TURN, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.decoders import Decoders
    from backbone.catalog.reader import Catalog
    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Message, Partition, Record
    from backbone.kafka.transaction import TransactionalProducer
    from stream_processors.faults import BeforeCommit
    from stream_processors.live_index import LiveIndex
    from stream_processors.matching import Match, MatchIndex
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.reader import Batch, BatchReader, ConsumedRecord

log = logging.getLogger(__name__)

ISOLATE_AFTER = 3
"""Failures of our own code on one record before it is set aside."""
_BACKOFF = 0.2
"""Seconds to wait after an aborted transaction."""


WRITTEN = (
    topics.WEBHOOK_DELIVERIES,
    topics.WEBSOCKET_DELIVERIES,
    topics.FILE_DELIVERIES,
    topics.ROUTING_RECEIPTS,
    topics.DEAD_LETTERS,
)
"""The topics that a router's transactions write to."""

_TRANSACTION_BYTES = 32 * 1024 * 1024
"""After which a transaction is committed: what it holds has to be written before anybody sees any of it."""

_BETWEEN_WARNINGS = 10.0
"""Seconds between two log lines about conditions over their budgets; the metric counts all."""


class RecordFailure(HeadraceError):
    """Our own code failed on a record that may be sound; it is tried again before it is set aside."""


class RecordsLost(HeadraceError):
    """Kafka gives a partition's offsets to new records, because it has lost those that were routed."""


class Router:
    """Routes batches one at a time, on whatever thread calls ``handle``; never two at once.

    Args:
        catalog: is made to catch up before each batch, so that a link which was answered is obeyed.
        index: who gets what.
        decoders: for conditions that look at an event's data.
        reader: where the batches come from; rewound whenever a transaction does not commit.
        new_producer: builds the transactional producer, again after it was fenced.
        transaction_deliveries: commit after so many deliveries, in the middle of a batch if need be. With several
            workspaces a transaction is short in time too.
        metrics: of this process.
        before_commit: the fault hook of the tests.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        index: LiveIndex,
        decoders: Decoders,
        reader: BatchReader,
        new_producer: Callable[[], TransactionalProducer],
        transaction_deliveries: int,
        metrics: ProcessorMetrics,
        before_commit: BeforeCommit = no_fault,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._decoders = decoders
        self.reader = reader
        self._new_producer = new_producer
        self._transaction_deliveries = transaction_deliveries
        self._metrics = metrics
        self._before_commit = before_commit
        self._producer: TransactionalProducer | None = None
        self._generation = -1
        self._sequence = 0
        self._expected: dict[Partition, int] = {}
        self._failures: Counter[tuple[str, int, int]] = Counter()
        self._caught_up_at = 0.0
        self._turns = Turns()
        self._batch: Batch | None = None
        self._next_warning = 0.0
        reader.on_blocked = self._unblock

    def handle(self, batch: Batch) -> None:
        """Route a batch, or drop it when its generation is over. Failures rewind the reader; none is raised.

        With several workspaces some of it may be left for ``go_on``, so that the next batch is not kept waiting.
        """
        with self.reader.gate:
            if not self._follows(batch):
                self._metrics.dropped_batches.inc()
                return
            self._batch = batch
            self._turns.add(batch.messages)
            succeeded = self._attempt(batch)
        if not succeeded:
            time.sleep(_BACKOFF)

    def go_on(self) -> bool:
        """Take another turn at what earlier batches left; return False when there is nothing."""
        batch = self._batch
        with self.reader.gate:
            if batch is None or not self._turns:
                return False
            if batch.generation != self.reader.generation:
                self._turns.clear()
                return False
            succeeded = self._attempt(batch)
        if not succeeded:
            time.sleep(_BACKOFF)
        return bool(self._turns)

    def _attempt(self, batch: Batch) -> bool:
        """Take a turn; False when it failed and the reader was rewound."""
        try:
            self._route(batch)
        except Exception as error:  # noqa: BLE001  # whatever it is, the offsets must not move past it
            self._turns.clear()
            self._recover(error)
            return False
        self.reader.hold(self._turns.overfull() if self._turns else frozenset())
        return True

    def close(self) -> None:
        """Close the producer, after the batch that is being routed."""
        with self.reader.gate:
            self._drop_producer()

    def _follows(self, batch: Batch) -> bool:
        if batch.generation != self.reader.generation:
            log.info("dropped a batch of an earlier generation", extra={"events": len(batch.messages)})
            return False
        if batch.generation != self._generation:
            self._generation, self._sequence, self._expected = batch.generation, 0, dict(batch.resumed)
            self._turns.clear()
        if batch.sequence != self._sequence:
            log.error("a batch was lost on its way to the router", extra={"sequence": batch.sequence})
            self.reader.rewind()
            return False
        self._sequence += 1
        return True

    def _route(self, batch: Batch) -> None:
        self._catch_up(batch)
        index = self._index.current()
        # Where all events are one workspace's, nobody else waits: the larger the transactions the better.
        seconds = TURN if len(index.workspaces) > 1 else None
        ends = time.monotonic() + (seconds or 0.0)
        while self._turns:
            self._transaction(batch, seconds, index)
            if seconds is not None and time.monotonic() > ends:
                return

    def _catch_up(self, batch: Batch) -> None:
        """Have a catalog view at least as new as the batch: links answered before its events were posted are in it."""
        if self._caught_up_at <= batch.fetched_at:
            asked_at = time.monotonic()
            self._catalog.catch_up()
            self._index.catch_up()
            self._caught_up_at = asked_at

    def _transaction(self, batch: Batch, seconds: float | None, index: MatchIndex) -> None:
        """Route what waits in one transaction, for so many seconds or until its deliveries are many."""
        started = time.monotonic()
        producer = self._ready_producer()
        tally = Tally(self._expected)
        produced: Counter[str] = Counter()
        routed_at = timestamps.now()
        appended_at, size = None, 0
        producer.begin()
        # Closed in any case, so that the turn is charged to whose it was.
        with contextlib.closing(self._turns.turn(seconds)) as turn:
            for message in turn:
                if appended_at is None:
                    appended_at = message.timestamp()[1] / 1_000
                partition = (message.topic(), message.partition())
                if not tally.add(partition, message.offset()):
                    # The client reads on from the beginning where the offset that it asked for is gone.
                    raise RecordsLost(f"{partition}: offset {message.offset()} was routed before")
                records = self._deliveries(message, partition, index, tally, routed_at)
                if not records:
                    continue
                for record in self._produce(producer, message, records):
                    produced[record.topic] += 1
                size += len(message.value() or b"") * len(records)
                if produced.total() >= self._transaction_deliveries or size > _TRANSACTION_BYTES:
                    break
        for receipt in tally.receipts(routed_at):
            producer.produce(receipt)
        producer.send_offsets(tally.offsets(), batch.membership)
        self._before_commit()
        producer.commit()
        tally.settle()
        self._failures.clear()
        self._count(tally, produced, time.monotonic() - started)
        if appended_at is not None:
            self._metrics.routing_seconds.observe(max(0.0, time.time() - appended_at))

    def _deliveries(
        self, message: ConsumedRecord, partition: Partition, index: MatchIndex, tally: Tally, routed_at: int
    ) -> Sequence[Record]:
        """The deliveries of one event; a poison record becomes a dead letter instead."""
        try:
            matches = within_fan_out(message, wanted(message, index.match(message, self._decoders)))
            if not matches:
                return ()
            event = event_id(message, self._decoders)
            records = delivery_records(message, event, matches, routed_at=routed_at, decoding=self._decoders)
        except CorruptRecord as error:
            return (self._set_aside(message, str(error)),)
        except Exception as error:
            place = (*partition, message.offset())
            self._failures[place] += 1
            log.exception("routing a record failed", extra={"place": place, "failures": self._failures[place]})
            if self._failures[place] < ISOLATE_AFTER:
                raise RecordFailure(f"{place}: {error!r}") from error
            return (self._set_aside(message, f"routing failed {ISOLATE_AFTER} times: {error!r}"),)
        for match in matches:
            tally.matched(partition, match.endpoint.id)
            if match.failure is not None:
                self._over_budget(match, partition)
        return records

    def _over_budget(self, match: Match, partition: Partition) -> None:
        self._metrics.over_budget.inc()
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _BETWEEN_WARNINGS
            place = {
                "topic": partition[0],
                "endpoint": match.endpoint.id,
                "subscriptions": ",".join(match.subscriptions),
            }
            place["reason"] = match.failure or ""
            log.warning("a delivery is over its budget and was set aside", extra=place)

    def _produce(
        self, producer: TransactionalProducer, message: ConsumedRecord, records: Sequence[Record]
    ) -> Sequence[Record]:
        """Add what an event led to, and return it; a record over Kafka's limit makes it a dead letter without value.

        Only another producer's event can be so large: compressed, it was within its topic's limit.
        """
        for count, record in enumerate(records):
            try:
                producer.produce(record)
            except PayloadTooLarge as error:
                letter = msgspec.structs.replace(self._set_aside(message, str(error)), value=None)
                producer.produce(letter)
                return [*records[:count], letter]
        return records

    def _set_aside(self, message: ConsumedRecord, reason: str) -> Record:
        log.warning(
            "poison record set aside",
            extra={"topic": message.topic(), "partition": message.partition(), "offset": message.offset()},
        )
        self._metrics.set_aside.labels("router").inc()
        return dead_letter(cast("Message", message), reason=reason)

    def _ready_producer(self) -> TransactionalProducer:
        if self._producer is None:
            producer = self._new_producer()
            # Fences whoever used this transactional id before and aborts what it left open.
            producer.start()
            self._producer = producer
        return self._producer

    def _recover(self, error: Exception) -> None:
        """Abort, and read again from the committed offsets; only our own failures were counted on a record."""
        unexpected = not isinstance(error, HeadraceError)
        log.warning("a batch was not routed; reading it again", extra={"error": repr(error)}, exc_info=unexpected)
        self._metrics.transactions.labels("aborted").inc()
        self.reader.rewind()
        try:
            if self._producer is not None and not isinstance(error, Fenced):
                self._producer.abort()
                return
            self._drop_producer()
            # Settles at once what became of the last commit; the committed offsets cannot be read before.
            self._ready_producer()
        except HeadraceError as trouble:
            log.warning("no transactional producer", extra={"error": str(trouble)})
            self._drop_producer()

    def _unblock(self, consumer: BatchConsumer, partition: Partition) -> None:
        """End a transaction that hangs, and for whose end Kafka waits before it tells committed offsets."""
        log.warning("Kafka does not tell the committed offsets; ending transactions that may hang")
        with self.reader.gate:
            try:
                self._ready_producer().end_hanging({partition: 0}, consumer)
            except HeadraceError as trouble:
                log.warning("no transactional producer", extra={"error": str(trouble)})
                self._drop_producer()

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _count(self, tally: Tally, produced: Counter[str], seconds: float) -> None:
        metrics = self._metrics
        metrics.transactions.labels("committed").inc()
        metrics.transaction_seconds.observe(seconds)
        metrics.routed_events.inc(tally.events)
        metrics.skipped_offsets.inc(tally.skipped)
        for topic, count in produced.items():
            metrics.routed_deliveries.labels(topic).inc(count)
