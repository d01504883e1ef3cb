"""The router: turns batches of events into deliveries and receipts, in Kafka transactions with the offsets."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import dead_letter
from schemas.model import topics
from schemas.model.errors import CorruptRecord, Fenced, HeadraceError, PayloadTooLarge
from stream_processors.routing.deliveries import delivery_records, event_id, projected, split_held, wanted
from stream_processors.routing.fan_out import FanOut
from stream_processors.routing.long_matching import LongMatching
from stream_processors.routing.open_transaction import OpenTransaction
from stream_processors.routing.turns import TURN, Turns
from stream_processors.runtime.fault_injection import no_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.decoders import Decoders
    from backbone.catalog.reader import Catalog
    from backbone.kafka.alternating import AlternatingProducer
    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition, Record
    from backbone.tracing.spans import ConsumerSpans
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.routing.live_index import LiveIndex
    from stream_processors.routing.matching import Match, MatchIndex
    from stream_processors.runtime.fault_injection import BeforeCommit
    from stream_processors.runtime.reader import Batch, BatchReader

log = logging.getLogger(__name__)

ISOLATE_AFTER = 3
"""Failures of the router's own code on one record before the record becomes a dead letter."""
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
"""Most bytes of a transaction: consumers see its records only when all of them are written."""

_SHARED_BYTES = 4 * 1024 * 1024
"""The same with several workspaces: while one transaction is written, the events of all others wait."""

_BETWEEN_WARNINGS = 10.0
"""Seconds between two log lines about conditions over their budgets; the metric counts all."""


class RecordFailure(HeadraceError):
    """The router's own code failed on a record that may be valid; it is tried again before it becomes a dead letter."""


class RecordsLost(HeadraceError):
    """Kafka has lost routed records, and gives their offsets to new ones."""


class Router:
    """Routes batches, one at a time, on the thread that calls ``handle``.

    Args:
        catalog: brought up to date before each batch, so that a confirmed subscription is obeyed.
        index: finds the endpoints of an event.
        decoders: for conditions that look at an event's data.
        reader: source of the batches; rewound when a transaction does not commit.
        new_producer: builds the transactional producer, again after it was fenced.
        transaction_deliveries: most deliveries of a transaction, which may end in the middle of a batch. With several
            workspaces its time is limited too.
        metrics: of this process.
        before_commit: the fault hook of the tests.
        spans: of routed events; None makes none.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        index: LiveIndex,
        decoders: Decoders,
        reader: BatchReader,
        new_producer: Callable[[], AlternatingProducer],
        transaction_deliveries: int,
        metrics: ProcessorMetrics,
        before_commit: BeforeCommit = no_fault,
        spans: ConsumerSpans | None = None,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._decoders = decoders
        self.reader = reader
        self._new_producer = new_producer
        self._transaction_deliveries = transaction_deliveries
        self._metrics = metrics
        self._before_commit = before_commit
        self._spans = spans
        self._producer: AlternatingProducer | None = None
        self._generation = -1
        self._sequence = 0
        self._expected: dict[Partition, int] = {}
        self._marks: dict[Partition, str] = {}
        self._unfinished: dict[Partition, FanOut] = {}
        self._matching = LongMatching(decoders)
        self._failures: Counter[tuple[str, int, int]] = Counter()
        self._caught_up_at = 0.0
        self._turns = Turns()
        self._batch: Batch | None = None
        self._next_warning = 0.0
        reader.on_blocked = self._unblock

    def handle(self, batch: Batch) -> None:
        """Route a batch, or drop it if its generation is over. Failures rewind the reader; none is raised.

        With several workspaces a part may be left for ``go_on``, so that the next batch does not wait.
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
        """Route more of the events that earlier batches left; return False if none are left."""
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
        """Route for one turn; return False if it failed and the reader was rewound."""
        try:
            self._route(batch)
        except Exception as error:  # noqa: BLE001  # no failure may let the offsets move past the batch
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
            self._generation, self._sequence = batch.generation, 0
            self._expected = {partition: commit.offset for partition, commit in batch.resumed.items()}
            self._marks = {partition: commit.metadata for partition, commit in batch.resumed.items() if commit.metadata}
            self._unfinished.clear()
            self._matching.clear()
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
        # With one workspace nobody else waits, and large transactions are cheaper.
        ends = time.monotonic() + TURN if len(index.workspaces) > 1 else None
        while self._turns:
            self._transaction(batch, ends, index)
            if ends is not None and time.monotonic() > ends:
                return

    def _catch_up(self, batch: Batch) -> None:
        """Bring the catalog up to the time of the batch, so that earlier confirmed subscriptions are in it."""
        if self._caught_up_at <= batch.fetched_at:
            asked_at = time.monotonic()
            self._catalog.catch_up()
            self._index.catch_up()
            self._caught_up_at = asked_at

    def _transaction(self, batch: Batch, ends: float | None, index: MatchIndex) -> None:
        """Route waiting events in one transaction, until it is full or the time ``ends`` has come."""
        started = time.monotonic()
        transaction = OpenTransaction(
            self._ready_producer(),
            index,
            self._expected,
            size=_TRANSACTION_BYTES if ends is None else _SHARED_BYTES,
            deliveries=self._transaction_deliveries,
            ends=ends,
        )
        appended_at = None
        message: ConsumedRecord | None = None
        # Closed in any case, so that the time is charged to the workspace that used it.
        with contextlib.closing(self._turns.turn(None if ends is None else max(0.0, ends - started))) as turn:
            for message in turn:
                if appended_at is None:
                    appended_at = message.timestamp()[1] / 1_000
                self._route_event(message, transaction)
                if transaction.is_full():
                    break
        routed = time.monotonic()
        transaction.commit(batch.membership, self._before_commit)
        if self._spans is not None:
            self._spans.end()
        self._forget_failures()
        if message is not None and transaction.is_large():
            # The workspace of the last event made the transaction large, so it pays for the commit.
            self._turns.charge(message, time.monotonic() - routed)
        self._count(transaction, time.monotonic() - started)
        if appended_at is not None:
            self._metrics.routing_seconds.observe(max(0.0, time.time() - appended_at))

    def _route_event(self, message: ConsumedRecord, into: OpenTransaction) -> None:
        """Write the deliveries of one event, or a part of them; write a dead letter for a poison record."""
        partition = (message.topic(), message.partition())
        tally = into.tally
        if not tally.add(partition, message.offset()):
            # If the offset that the consumer asked for is gone, it reads from the beginning.
            raise RecordsLost(f"{partition}: offset {message.offset()} was routed before")
        if self._spans is not None:
            self._spans.begin(message)
        try:
            records, matches = self._deliveries(message, partition, into)
        except CorruptRecord as error:
            self._write(into, message, [self._set_aside(message, str(error))])
            return
        except Exception as error:
            place = (*partition, message.offset())
            self._failures[place] += 1
            log.exception("routing a record failed", extra={"place": place, "failures": self._failures[place]})
            if self._failures[place] < ISOLATE_AFTER:
                raise RecordFailure(f"{place}: {error!r}") from error
            letter = self._set_aside(message, f"routing failed {ISOLATE_AFTER} times: {error!r}")
            self._write(into, message, [letter])
            return
        for match in matches:
            tally.matched(partition, match.endpoint.id)
            if match.failure is not None:
                self._over_budget(match, partition)
        self._write(into, message, records)

    def _deliveries(
        self, message: ConsumedRecord, partition: Partition, into: OpenTransaction
    ) -> tuple[Sequence[Record], Sequence[Match]]:
        """The deliveries that fit the transaction, and their matches; an event with more deliveries is put back."""
        fan_out = self._unfinished.pop(partition, None)
        if fan_out is None:
            is_earlier = self._matching.is_begun(partition)
            found = self._matching.matches(message, partition, into.index, into.ends)
            if found is None:
                into.tally.take_back(partition)
                self._turns.put_back(message)
                return (), ()
            if is_earlier:
                into.tally.separate(partition)
            matches = wanted(message, found)
            mark = self._mark(partition, message.offset()) if self._marks else None
            matches, held = split_held(matches)
            if not matches:
                into.tally.hold(partition, held)
                return (), ()
            matches = projected(matches, partition[0], self._catalog.view)
            size = len(message.value() or b"")
            if mark is None and into.holds(size, len(matches)):
                into.use(size, len(matches))
                into.tally.hold(partition, held)
                event = event_id(message, self._decoders)
                routed_at = into.routed_at
                return delivery_records(message, event, matches, routed_at=routed_at, decoding=self._decoders), matches
            fan_out = FanOut(message, matches, self._decoders, mark, held)
        into.tally.separate(partition)
        part = fan_out.part(into)
        if not fan_out.is_done:
            self._unfinished[partition] = fan_out
            into.tally.leave(partition, fan_out.mark)
            self._turns.put_back(message)
        else:
            into.tally.hold(partition, fan_out.held)
        return part

    def _mark(self, partition: Partition, offset: int) -> str | None:
        """The mark of an event that an earlier transaction did not finish; None for all other events."""
        mark = self._marks.pop(partition, None)
        return mark if offset == self._expected.get(partition) else None

    def _forget_failures(self) -> None:
        """Forget the failures of records that are committed."""
        for topic, number, offset in list(self._failures):
            if offset < self._expected.get((topic, number), 0):
                del self._failures[topic, number, offset]

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

    def _write(self, into: OpenTransaction, message: ConsumedRecord, records: Sequence[Record]) -> None:
        """Add the records of an event. If one exceeds Kafka's limit, add a dead letter without value instead.

        Only an event of another producer can be that large: compressed, it was within its topic's limit.
        """
        for record in records:
            try:
                into.write(record)
            except PayloadTooLarge as error:
                into.write(msgspec.structs.replace(self._set_aside(message, str(error)), value=None))
                return

    def _set_aside(self, message: ConsumedRecord, reason: str) -> Record:
        log.warning(
            "poison record set aside",
            extra={"topic": message.topic(), "partition": message.partition(), "offset": message.offset()},
        )
        self._metrics.set_aside.labels("router").inc()
        return dead_letter(message, reason=reason)

    def _ready_producer(self) -> AlternatingProducer:
        if self._producer is None:
            producer = self._new_producer()
            # Fences the previous user of this transactional id, and aborts its open transaction.
            producer.start()
            self._producer = producer
        return self._producer

    def _recover(self, error: Exception) -> None:
        """Abort, and read again from the committed offsets."""
        unexpected = not isinstance(error, HeadraceError)
        log.warning("a batch was not routed; reading it again", extra={"error": repr(error)}, exc_info=unexpected)
        self._metrics.transactions.labels("aborted").inc()
        if self._spans is not None:
            self._spans.end(error)
        self.reader.rewind()
        try:
            if self._producer is not None and not isinstance(error, Fenced):
                self._producer.abort()
                return
            self._drop_producer()
            # Ends the last transaction, committed or not; only then can the committed offsets be read.
            self._ready_producer()
        except HeadraceError as trouble:
            log.warning("no transactional producer", extra={"error": str(trouble)})
            self._drop_producer()

    def _unblock(self, consumer: BatchConsumer, partition: Partition) -> None:
        """End a hanging transaction: until it ends, Kafka does not return the committed offsets."""
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

    def _count(self, transaction: OpenTransaction, seconds: float) -> None:
        metrics = self._metrics
        metrics.transactions.labels("committed").inc()
        metrics.transaction_seconds.observe(seconds)
        metrics.routed_events.inc(transaction.tally.events)
        metrics.skipped_offsets.inc(transaction.tally.skipped)
        for topic, count in transaction.produced.items():
            metrics.routed_deliveries.labels(topic).inc(count)
