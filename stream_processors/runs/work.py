"""One run under way: it goes on where its last transaction left off."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record
from backbone.runs.records import progress_record
from schemas.model import topics
from schemas.model.delivery import ReceiptKind, RoutingReceipt
from schemas.model.errors import PayloadTooLarge
from schemas.model.run import ENDED, RunProgress, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.transaction import TransactionalProducer
    from backbone.runs.view import KnownRun
    from schemas.model.run import OffsetRange
    from stream_processors.runs.decisions import Decision, Rule
    from stream_processors.runs.pace import Pace
    from stream_processors.runs.range_reader import RangeReader
    from stream_processors.runtime.fault_injection import BeforeCommit

MOST_LOOKED_AT = 2_000
"""Records in one step: other runs take their turns after it."""

MOST_DELIVERIES = 500
MOST_BYTES = 4 * 1024 * 1024
"""In one transaction."""

TOO_LARGE = "the delivery is too large for Kafka"
_ENCODER = msgspec.json.Encoder()
_MOST_REASONS = 20
"""Reasons that are counted apart."""


class RunWork:
    """Executes one run, a transaction at a time, from one thread.

    Args:
        known: the run and its progress, read after ``producer`` has fenced all others.
        producer: holds the run's lock, and is started.
        new_reader: builds the reader of the ranges that are left.
        partitions: of the topic ``runs``.
        pace: how many deliveries it may write; outlives this object, which may be built again for the same run.
    """

    def __init__(
        self,
        known: KnownRun,
        producer: TransactionalProducer,
        new_reader: Callable[[RunProgress], RangeReader],
        *,
        partitions: int,
        pace: Pace,
    ) -> None:
        self.run = known.run
        self.retries = known.retries
        self.progress = _going_on(known)
        self._producer = producer
        self._new_reader = new_reader
        self._reader: RangeReader | None = None
        self._pace = pace
        self._partitions = partitions
        self.ranges: tuple[OffsetRange, ...] | None = known.run.ranges if known.run.held_since is None else None
        """None: they are to be found before the first step."""

    @property
    def is_ended(self) -> bool:
        """Whether the run has ended."""
        return self.progress is not None and self.progress.state in ENDED

    def close(self) -> None:
        """Leave Kafka; nothing is open between two steps."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def step(self, rule: Rule, now: float, instant: int, before_commit: BeforeCommit) -> int | None:
        """Look at some records, and write what they come to with the progress, in one transaction.

        Args:
            rule: by the catalog as it is now.
            now: seconds.
            instant: the same, microseconds since the epoch.
            before_commit: the fault hook of the tests.

        Returns:
            The number of deliveries; None if there was nothing to do, because of the rate or of Kafka.

        Raises:
            TransactionAborted: nothing of this step is written; the run has to be begun again.
            Unavailable: Kafka does not answer; likewise.
        """
        progress = self.progress or self._begun(instant)
        if self._reader is None:
            self._reader = self._new_reader(progress)
        room = self._pace.room(now, MOST_DELIVERIES)
        if room == 0:
            return None
        moved, decisions = self._decide(self._reader, rule, room, instant)
        if not moved and not self._reader.is_done and self.progress is not None:
            return None
        progress = self._advanced(progress, self._reader, decisions, instant)
        rule.committed(self._write(progress, decisions, before_commit, instant))
        count = sum(each.delivery is not None for _, each in decisions)
        self._pace.spend(count)
        return count

    def end(self, state: RunState, reason: str | None, instant: int) -> None:
        """Write that the run has ended before its time.

        Raises:
            TransactionAborted: it is not written.
        """
        progress = self.progress or self._begun(instant)
        self._write(
            msgspec.structs.replace(progress, state=state, reason=reason, changed_at=instant), [], lambda: None, instant
        )

    def _begun(self, instant: int) -> RunProgress:
        ranges = self.ranges or ()
        return RunProgress(
            run=self.run.id,
            state=RunState.RUNNING,
            left=ranges,
            total=sum(each.count for each in ranges),
            retries=self.retries,
            started_at=instant,
            changed_at=instant,
        )

    def _decide(
        self, reader: RangeReader, rule: Rule, room: int, instant: int
    ) -> tuple[bool, list[tuple[ConsumedRecord, Decision]]]:
        """Take records while there is room; tell whether there were any, and what those come to that matter."""
        decisions: list[tuple[ConsumedRecord, Decision]] = []
        taken = size = written = 0
        moved = False
        while taken < MOST_LOOKED_AT and written < room and size < MOST_BYTES:
            message = reader.take()
            if message is None:
                # What there is already goes out before more is waited for.
                if (taken and written) or not reader.fetch(MOST_DELIVERIES):
                    break
                moved = True
                continue
            taken += 1
            decision = rule.decide(message, instant)
            if decision is not None:
                decisions.append((message, decision))
                written += decision.record is not None or decision.mark is not None
                size += 0 if decision.record is None else len(decision.record.value or b"")
        return moved or taken > 0, decisions

    def _advanced(
        self,
        progress: RunProgress,
        reader: RangeReader,
        decisions: list[tuple[ConsumedRecord, Decision]],
        instant: int,
    ) -> RunProgress:
        skipped = Counter(progress.skipped)
        for _, decision in decisions:
            if decision.skipped is not None:
                known = decision.skipped in skipped or len(skipped) < _MOST_REASONS
                skipped[decision.skipped if known else "other reasons"] += 1
        left = reader.left
        return msgspec.structs.replace(
            progress,
            state=RunState.DONE if reader.is_done else RunState.RUNNING,
            left=left,
            looked_at=progress.total - sum(each.count for each in left),
            deliveries=progress.deliveries
            + sum(each.record is not None or each.mark is not None for _, each in decisions),
            skipped=dict(skipped),
            lost=progress.lost + reader.take_lost(),
            changed_at=instant,
        )

    def _write(
        self,
        progress: RunProgress,
        decisions: list[tuple[ConsumedRecord, Decision]],
        before_commit: BeforeCommit,
        instant: int,
    ) -> list[ConsumedRecord]:
        """Commit a step, and return the records it wrote something about.

        A delivery that Kafka does not take for its size is counted as skipped.
        """
        producer = self._producer
        producer.begin()
        written = []
        for message, decision in decisions if not self.run.dry_run else ():
            try:
                for record in (decision.record, decision.mark):
                    if record is not None:
                        producer.produce(record)
            except PayloadTooLarge:
                skipped = {**progress.skipped, TOO_LARGE: progress.skipped.get(TOO_LARGE, 0) + 1}
                progress = msgspec.structs.replace(progress, deliveries=progress.deliveries - 1, skipped=skipped)
                continue
            written.append((message, decision))
        for receipt in _receipts(self.run.id, written, instant):
            producer.produce(receipt)
        producer.produce(progress_record(self.run, progress, self._partitions))
        before_commit()
        producer.commit()
        self.progress = progress
        return [message for message, _ in written]


def _going_on(known: KnownRun) -> RunProgress | None:
    """The progress to go on from: of a run that is retried, what it was at its end."""
    progress = known.progress
    if progress is None or progress.retries >= known.retries:
        return progress
    if known.run.held_since is not None and not progress.total:
        return None  # it ended before it knew where to look
    return msgspec.structs.replace(progress, state=RunState.RUNNING, reason=None, retries=known.retries)


def _receipts(run: str, written: list[tuple[ConsumedRecord, Decision]], instant: int) -> list[Record]:
    """What a step delivered to whom, by the partitions of the events."""
    hour = datetime.fromtimestamp(instant / 1_000_000, UTC).strftime("%Y-%m-%dT%H")
    by_partition: dict[tuple[str, int], tuple[list[int], Counter[str]]] = {}
    for _, decision in written:
        delivery = decision.delivery
        if delivery is not None:
            source = delivery.source
            offsets, matched = by_partition.setdefault((source.topic, source.partition), ([], Counter()))
            offsets.append(source.offset)
            matched[delivery.endpoint] += 1
    return [
        Record(
            topics.ROUTING_RECEIPTS,
            _ENCODER.encode(
                RoutingReceipt(
                    kind=ReceiptKind.ROUTED,
                    topic=topic,
                    partition=number,
                    first_offset=min(offsets),
                    next_offset=max(offsets) + 1,
                    events=len(offsets),
                    matched={endpoint: {hour: count} for endpoint, count in matched.items()},
                    routed_at=instant,
                    run=run,
                )
            ),
            f"{topic}/{number}".encode(),
        )
        for (topic, number), (offsets, matched) in by_partition.items()
    ]
