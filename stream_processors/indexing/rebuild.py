"""Fills the ledger anew from what Kafka still has, and says before what it would lose."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from backbone.kafka.consumer import BEGINNING
from backbone.kafka.read_to_end import read_to
from backbone.ledger.reading import read_rows
from backbone.ledger.tables import ATTEMPTS, DELIVERIES, EVENTS
from schemas.model import topics
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import ColumnElement, Engine

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.ledger.writer import LedgerWriter
    from stream_processors.indexing.indexer import LedgerIndexer

_BATCH = 2_000
_SILENCE = 30.0
"""Seconds without a record before the end, after which Kafka is taken to be away."""

_LOOK = 10.0
"""Seconds to wait for the first record of a partition."""

_DELIVERIES = (topics.WEBHOOK_DELIVERIES, topics.FILE_DELIVERIES, topics.WEBSOCKET_DELIVERIES)


class Loss(NamedTuple):
    """Rows of the ledger that Kafka does not have any more.

    Attributes:
        what: ``events``, ``deliveries`` or ``attempts``.
        rows: older than what Kafka has.
        kept: the others.
        earliest: the time of the first record that Kafka has, in microseconds since the epoch; None for no record.
    """

    what: str
    rows: int
    kept: int
    earliest: int | None


class LedgerRebuild:
    """Blocks. No ledger agent may run meanwhile.

    Args:
        engine: the ledger.
        writer: of it.
        indexer: writes its rows.
        new_consumer: makes a consumer without a group.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        writer: LedgerWriter,
        indexer: LedgerIndexer,
        new_consumer: Callable[[], BatchConsumer],
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._indexer = indexer
        self._new_consumer = new_consumer

    def losses(self) -> list[Loss]:
        """What a rebuild would lose.

        Raises:
            Unavailable: Kafka or the database does not answer.
        """
        consumer = self._new_consumer()
        try:
            earliest = self._earliest(consumer)
        finally:
            consumer.close()
        fixed = self._indexer.noted_topics
        of_events = {topic: at for topic, at in earliest.items() if topic not in fixed}
        return [
            self._lost_events(of_events),
            self._lost("deliveries", DELIVERIES.c.routed_at, [earliest.get(each) for each in _DELIVERIES]),
            self._lost("attempts", ATTEMPTS.c.started_at, [earliest.get(topics.ATTEMPTS)]),
        ]

    def run(self, progress: Callable[[int, int], None]) -> dict[Partition, int]:
        """Make the tables anew and fill them; return the offsets of the next records.

        Args:
            progress: called after each batch with the records read and those to read.

        Raises:
            Unavailable: Kafka or the database does not answer; run it again.
        """
        self._writer.drop()
        self._writer.create()
        consumer = self._new_consumer()
        try:
            partitions = consumer.partitions_of(self._indexer.topics())
            bounds = consumer.watermarks(partitions)
            passed = {each: first for each, (first, _) in bounds.items()}
            ends = {each: end for each, (_, end) in bounds.items()}
            first = dict(passed)
            total = sum(ends[each] - first[each] for each in partitions)
            # The ledger is read meanwhile: what is redacted must not be seen until its redaction comes by.
            redactions = {each: ends[each] for each in partitions if each[0] == topics.REDACTIONS}
            others = {each: ends[each] for each in partitions if each not in redactions}
            for some in (redactions, others):
                consumer.assign(dict.fromkeys(some, BEGINNING))
                for batch in _batches(consumer, some, passed):
                    self._indexer.index(batch)
                    progress(sum(passed[each] - first[each] for each in passed), total)
        finally:
            consumer.close()
        return passed

    def _earliest(self, consumer: BatchConsumer) -> dict[str, int]:
        """The time of each topic's first record, in microseconds; topics without a record are left out."""
        partitions = consumer.partitions_of(self._indexer.topics())
        starts = {each: first for each, (first, end) in consumer.watermarks(partitions).items() if first < end}
        found: dict[str, int] = {}
        left = set(starts)
        deadline = time.monotonic() + _LOOK
        consumer.assign(starts)
        while left and time.monotonic() < deadline:
            for record in consumer.consume(_BATCH, 0.2):
                place = (record.topic(), record.partition())
                if place in left:
                    left.discard(place)
                    at = record.timestamp()[1] * 1_000
                    found[place[0]] = min(at, found.get(place[0], at))
            left -= consumer.ends.keys()
            consumer.pause([each for each in starts if each not in left])
        return found

    def _lost_events(self, earliest: dict[str, int]) -> Loss:
        table = EVENTS.c
        lost = sum(self._count(table.topic == topic, table.received_at < at) for topic, at in earliest.items())
        lost += self._count(table.topic.not_in(earliest))
        return Loss("events", lost, self._count(table.topic.is_not(None)) - lost, min(earliest.values(), default=None))

    def _lost(self, what: str, at: ColumnElement[int], earliest: Iterable[int | None]) -> Loss:
        first = min((each for each in earliest if each is not None), default=None)
        every = self._count(at.is_not(None))
        lost = every if first is None else self._count(at < first)
        return Loss(what, lost, every - lost, first)

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        return int(read_rows(self._engine, select(func.count()).where(*conditions))[0][0])


def _batches(
    consumer: BatchConsumer, ends: dict[Partition, int], passed: dict[Partition, int]
) -> Iterator[list[ConsumedRecord]]:
    heard_at = time.monotonic()

    def check() -> None:
        if time.monotonic() - heard_at > _SILENCE:
            raise Unavailable("nothing more can be read from Kafka: run it again")

    batch: list[ConsumedRecord] = []
    for record in read_to(consumer, ends, passed, check=check, batch=_BATCH):
        heard_at = time.monotonic()
        batch.append(record)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
