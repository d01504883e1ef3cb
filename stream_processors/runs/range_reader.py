"""Reads the offset ranges of a run, one after the other."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord
    from schemas.model.run import OffsetRange

_WAIT = 0.1
"""Seconds that one fetch waits for a first record."""

_SILENCE = 10.0
"""Seconds without a record, after which it is asked whether the range is still there."""


class RangeReader:
    """Gives the records of the ranges in order; knows at any time what is left.

    Args:
        new_consumer: builds the consumer, without a group, at the first fetch.
        ranges: what to read.
    """

    def __init__(self, new_consumer: Callable[[], BatchConsumer], ranges: Iterable[OffsetRange]) -> None:
        self._new_consumer = new_consumer
        self._consumer: BatchConsumer | None = None
        self._ranges = deque(each for each in ranges if each.count > 0)
        self._assigned: OffsetRange | None = None
        self._fetched: deque[ConsumedRecord] = deque()
        self._is_passed = False
        self._lost = 0
        self._heard_at = time.monotonic()

    @property
    def left(self) -> tuple[OffsetRange, ...]:
        """What has not been taken, the present range first."""
        return tuple(self._ranges)

    @property
    def is_done(self) -> bool:
        """Whether everything was taken."""
        return not self._ranges

    def take_lost(self) -> int:
        """The number of offsets that retention took before they were read, since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def close(self) -> None:
        """Leave Kafka."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def fetch(self, count: int) -> bool:
        """Fetch more records of the present range, unless some are left; return whether there is progress.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if self._fetched:
            return True
        if not self._ranges:
            return False
        if self._consumer is None:
            self._consumer = self._new_consumer()
        present = self._ranges[0]
        if self._assigned is not present and not self._assign(self._consumer, present):
            return True
        end, partition = present.end, (present.topic, present.partition)
        for record in self._consumer.consume(count, _WAIT):
            if place_of(record) == partition:
                self._keep(record)
        # Commit markers, and what compaction removed, may be all that is left of it.
        if not self._fetched and (self._is_passed or self._consumer.ends.get(partition, 0) >= end):
            self._reach(end)
            return True
        return bool(self._fetched) or self._gives_up(self._consumer, self._ranges[0])

    def _keep(self, record: ConsumedRecord) -> None:
        self._heard_at = time.monotonic()
        if record.offset() >= self._ranges[0].end:
            self._is_passed = True
        elif record.offset() >= self._ranges[0].first:
            self._fetched.append(record)

    def take(self) -> ConsumedRecord | None:
        """Take the next record that was fetched; None when another fetch is needed."""
        if not self._fetched:
            return None
        record = self._fetched.popleft()
        self._reach(record.offset() + 1)
        return record

    def _gives_up(self, consumer: BatchConsumer, present: OffsetRange) -> bool:
        """Leave a range that was silent and cannot be read any more; False if it can.

        The topic was deleted. If it was made anew, it has an earlier end, or, by now, other records at these offsets.
        """
        if time.monotonic() - self._heard_at < _SILENCE:
            return False
        self._heard_at = time.monotonic()
        partition = (present.topic, present.partition)
        bounds = consumer.watermarks([partition]) if partition in consumer.partitions_of([present.topic]) else {}
        if bounds.get(partition, (0, 0))[1] >= present.end:
            return False
        self._lost += present.count
        self._reach(present.end)
        return True

    def _assign(self, consumer: BatchConsumer, wanted: OffsetRange) -> bool:
        """Begin with a range; False if nothing of it is there any more."""
        partition = (wanted.topic, wanted.partition)
        bounds = consumer.watermarks([partition]) if partition in consumer.partitions_of([wanted.topic]) else {}
        first = min(bounds.get(partition, (wanted.end, 0))[0], wanted.end)
        self._lost += max(0, first - wanted.first)
        if first >= wanted.end:
            self._reach(wanted.end)
            return False
        self._reach(max(first, wanted.first))
        # Met while an earlier range of the partition was read.
        consumer.ends.pop(partition, None)
        self._is_passed = False
        consumer.assign({partition: self._ranges[0].first})
        self._heard_at = time.monotonic()
        self._assigned = self._ranges[0]
        return True

    def _reach(self, offset: int) -> None:
        """Take note that everything before an offset of the present range is behind."""
        present = self._ranges[0]
        if offset >= present.end:
            self._ranges.popleft()
            self._fetched.clear()
            self._assigned = None
            return
        # The same range as far as its assignment is concerned.
        moved = msgspec.structs.replace(present, first=offset)
        if self._assigned is present:
            self._assigned = moved
        self._ranges[0] = moved
