"""Finds what the router kept back for an endpoint while its owner had it paused: by the router's own receipts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.read_to_end import read_to
from schemas.model import topics
from schemas.model.delivery import RoutingReceipt
from schemas.model.errors import Unavailable
from schemas.model.ids import LIVE
from schemas.model.run import OffsetRange, Run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

_RECEIPTS = msgspec.json.Decoder(RoutingReceipt)

_UNCOMMITTED: dict[str, Any] = {"isolation.level": "read_uncommitted"}

_CLOCKS = 60_000
"""Milliseconds by which the clock that named a pause may differ from the brokers'."""

_LOOK = 1.0
"""Seconds to look whether anything is between a committed offset and an end: often only commit markers are."""

_STEP = 0.5
"""Seconds in which receipts are read before other runs have their turn."""

_WAIT = 0.1
"""Seconds that one poll waits for a first receipt."""

_SILENCE = 60.0
"""Seconds without a receipt before the end, after which Kafka is taken to be away."""


class HeldRanges:
    """Finds the ranges of pauses that are over.

    Args:
        settings: how to reach Kafka.
        group: of the routers.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._ends: dict[str, dict[Partition, int]] = {}
        self._readings: dict[str, _Reading] = {}

    def find(self, run: Run, subscribed: Collection[str]) -> tuple[OffsetRange, ...] | None:
        """The ranges that a backfill looks at; None when it is to be asked again, in a moment.

        That is so while the router may still keep something back, and while there is more to read. Blocks for about a
        second at most, unless Kafka is slow.

        Args:
            run: a BACKFILL of an endpoint whose pause is over in the catalog.
            subscribed: the topics that the router reads for the endpoint.

        Raises:
            Unavailable: Kafka does not answer.
        """
        try:
            return self._step(run, subscribed)
        except BaseException:
            self.forget(run.id)
            raise

    def forget(self, run_id: str) -> None:
        """Leave off looking for the ranges of a run."""
        self._ends.pop(run_id, None)
        reading = self._readings.pop(run_id, None)
        if reading is not None:
            reading.close()

    def _step(self, run: Run, subscribed: Collection[str]) -> tuple[OffsetRange, ...] | None:
        reading = self._readings.get(run.id)
        if reading is None:
            if run.id not in self._ends:
                # What is appended later is routed by a catalog that has the end of the pause.
                self._ends[run.id] = self._present_ends(subscribed)
            if not self._is_routed(self._ends[run.id]):
                return None
            reading = self._readings[run.id] = _Reading(self._settings, run)
        if not reading.step():
            return None
        self.forget(run.id)
        return merged(reading.found)

    def _present_ends(self, names: Collection[str]) -> dict[Partition, int]:
        consumer = BatchConsumer(self._settings, group=None)
        try:
            partitions = consumer.partitions_of(sorted(names))
            return {each: end for each, (first, end) in consumer.watermarks(partitions).items() if first < end}
        finally:
            consumer.close()

    def _is_routed(self, ends: Mapping[Partition, int]) -> bool:
        """Whether the routers have committed everything before these ends."""
        if not ends:
            return True
        routers = BatchConsumer(self._settings, group=self._group)
        try:
            committed = routers.committed(ends)
        finally:
            routers.close()
        behind = {each: committed[each] for each, end in ends.items() if (committed[each] or 0) < end}
        if any(offset is None for offset in behind.values()):
            return False
        return not self._has_records({each: offset or 0 for each, offset in behind.items()}, ends)

    def _has_records(self, begins: Mapping[Partition, int], ends: Mapping[Partition, int]) -> bool:
        if not begins:
            return False
        consumer = BatchConsumer(self._settings, group=None)
        try:
            consumer.assign(begins)
            deadline = time.monotonic() + _LOOK
            while time.monotonic() < deadline:
                for record in consumer.consume(100, 0.1):
                    if record.offset() < ends[record.topic(), record.partition()]:
                        return True
                if all(consumer.ends.get(each, 0) >= ends[each] for each in begins):
                    return False
        finally:
            consumer.close()
        return True


class _Reading:
    """Reads the receipts of one pause, from about its begin to the end of now.

    Args:
        settings: how to reach Kafka.
        run: the backfill after the pause.
    """

    def __init__(self, settings: KafkaSettings, run: Run) -> None:
        self._endpoint, self._since = run.endpoint or "", run.held_since or 0
        self.found: list[OffsetRange] = []
        self._heard_at = time.monotonic()
        self._consumer = BatchConsumer(settings, group=None)
        try:
            partitions = self._consumer.partitions_of([topics.ROUTING_RECEIPTS])
            # The end of what was written, committed or not: a router's commit is seen a moment after its offsets.
            written = BatchConsumer(settings, group=None, **_UNCOMMITTED)
            try:
                self._ends = written.end_offsets(partitions)
            finally:
                written.close()
            begins = self._consumer.offsets_for_times(dict.fromkeys(partitions, self._since // 1_000 - _CLOCKS))
            self._passed = {each: self._ends[each] if begins[each] is None else begins[each] or 0 for each in begins}
            self._consumer.assign(self._passed)
        except BaseException:
            self._consumer.close()
            raise

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def step(self) -> bool:
        """Read for a moment; return whether all is read.

        Raises:
            Unavailable: nothing more came for long.
        """
        deadline, before = time.monotonic() + _STEP, sum(self._passed.values())

        def check() -> None:
            if time.monotonic() > deadline:
                raise _StepOver

        try:
            for record in read_to(self._consumer, self._ends, self._passed, check=check, wait=_WAIT):
                self._look_at(record.value() or b"")
        except _StepOver:
            if sum(self._passed.values()) > before:
                self._heard_at = time.monotonic()
            elif time.monotonic() - self._heard_at > _SILENCE:
                raise Unavailable("the receipts of a pause cannot be read") from None
            return False
        return True

    def _look_at(self, value: bytes) -> None:
        """Keep the range of a receipt that kept something back in this pause."""
        if self._endpoint.encode() not in value:
            return
        receipt = _RECEIPTS.decode(value)
        if receipt.run == LIVE and receipt.held.get(self._endpoint, (0, 0))[0] == self._since:
            self.found.append(OffsetRange(receipt.topic, receipt.partition, receipt.first_offset, receipt.next_offset))


class _StepOver(Exception):  # no error
    """The time of a step is over."""


def merged(ranges: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """The ranges in order, those that meet as one."""
    found: list[OffsetRange] = []
    for each in sorted(ranges, key=lambda one: (one.topic, one.partition, one.first)):
        last = found[-1] if found else None
        if last and (last.topic, last.partition, last.end) == (each.topic, each.partition, each.first):
            found[-1] = OffsetRange(last.topic, last.partition, last.first, each.end)
        else:
            found.append(each)
    return tuple(found)
