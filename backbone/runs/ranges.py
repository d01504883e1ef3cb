"""The offsets that a run looks at: found once, when it is asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import headers_of
from schemas.model import timestamps
from schemas.model.delivery import SourceOffset
from schemas.model.errors import Conflict, NotFound, SearchTooLong
from schemas.model.run import OffsetRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.delivery import Headers

Begin = SourceOffset | int | None
"""Where a run begins: at an offset, at a time (microseconds since the epoch), or with the first that there is."""

_POLL = 0.1


def find_ranges(
    settings: KafkaSettings,
    topics: Sequence[str],
    begin: Begin,
    until: int | None,
    *,
    seconds: float,
    is_strict: bool = True,
) -> tuple[OffsetRange, ...]:
    """The offsets of these topics from where a run begins to a time, or to the present ends. Blocks.

    Args:
        settings: how to reach Kafka.
        topics: with the records; one that does not exist has none.
        begin: an offset limits the run to its partition.
        until: before which records were appended, microseconds since the epoch; None: all until now.
        seconds: that it may take.
        is_strict: whether a time is refused from which on retention has taken records.

    Raises:
        Conflict: retention has taken records from that time or offset on; says where the run can begin.
        NotFound: the offset is in no partition of these topics.
        SearchTooLong: Kafka does not tell in that time.
        Unavailable: Kafka does not answer.
    """
    deadline = time.monotonic() + seconds
    consumer = BatchConsumer(settings, group=None)
    try:
        partitions = consumer.partitions_of(topics, seconds)
        if isinstance(begin, SourceOffset):
            partitions = [each for each in partitions if each == (begin.topic, begin.partition)]
            if not partitions:
                raise NotFound(f"{begin} is in no topic that this endpoint is subscribed to.")
        bounds = consumer.watermarks(partitions, _left(deadline))
        starts = _starts(consumer, bounds, begin, deadline, is_strict=is_strict)
        ends = {partition: end for partition, (_, end) in bounds.items()}
        if until is not None:
            times = dict.fromkeys(partitions, -(-until // 1_000))
            found = consumer.offsets_for_times(times, _left(deadline)) if times else {}
            ends |= {partition: min(end, ends[partition]) for partition, end in found.items() if end is not None}
    finally:
        consumer.close()
    return tuple(OffsetRange(*each, starts[each], ends[each]) for each in partitions if starts[each] < ends[each])


def check_there(settings: KafkaSettings, ranges: Iterable[OffsetRange], *, seconds: float) -> None:
    """Refuse ranges of which retention has taken something. Blocks.

    Raises:
        Conflict: it has.
        Unavailable: Kafka does not answer.
    """
    wanted = list(ranges)
    consumer = BatchConsumer(settings, group=None)
    try:
        there = consumer.partitions_of({each.topic for each in wanted}, seconds)
        bounds = consumer.watermarks(there, seconds)
    finally:
        consumer.close()
    for each in wanted:
        first, end = bounds.get((each.topic, each.partition), (0, 0))
        if not first <= each.first < end:
            place = f"{each.topic}/{each.partition}/{each.first}"
            raise Conflict(f"There is nothing at {place}: retention has taken it, or it never was.")


class FoundRecord(NamedTuple):
    """A record as it is in its topic."""

    headers: Headers
    value: bytes | None


def read_record(settings: KafkaSettings, place: OffsetRange, *, seconds: float) -> FoundRecord:
    """The record at the first offset of a range. Blocks.

    Raises:
        Conflict: there is none.
        SearchTooLong: Kafka does not send it in that time.
        Unavailable: Kafka does not answer.
    """
    deadline = time.monotonic() + seconds
    check_there(settings, [place], seconds=seconds)
    consumer = BatchConsumer(settings, group=None)
    try:
        consumer.assign({(place.topic, place.partition): place.first})
        while time.monotonic() < deadline:
            for record in consumer.consume(1, _POLL):
                if record.offset() != place.first:
                    raise Conflict(f"There is nothing at {place.topic}/{place.partition}/{place.first}.")
                headers = [(name, value or b"") for name, value in headers_of(record)]
                return FoundRecord(headers, record.value())
    finally:
        consumer.close()
    raise SearchTooLong("Kafka does not send the record in time")


def _starts(
    consumer: BatchConsumer,
    bounds: Mapping[Partition, tuple[int, int]],
    begin: Begin,
    deadline: float,
    *,
    is_strict: bool,
) -> dict[Partition, int]:
    if begin is None:
        return {partition: first for partition, (first, _) in bounds.items()}
    if isinstance(begin, SourceOffset):
        ((partition, (first, _)),) = bounds.items()
        if begin.offset < first:
            place = SourceOffset(*partition, first)
            raise Conflict(f"Kafka has nothing before {place} there any more: begin with `{place}` or `earliest`.")
        return {partition: begin.offset}
    times = dict.fromkeys(bounds, begin // 1_000)
    found = consumer.offsets_for_times(times, _left(deadline)) if times else {}
    starts = {
        partition: end if found[partition] is None else found[partition] or 0 for partition, (_, end) in bounds.items()
    }
    if not is_strict:
        return starts
    taken = [each for each, (first, end) in bounds.items() if 0 < first < end and starts[each] <= first]
    oldest = _append_times(consumer, {each: bounds[each][0] for each in taken}, deadline)
    later = [appended_at for appended_at in oldest.values() if appended_at > begin // 1_000]
    if later:
        earliest = timestamps.to_text(max(later) * 1_000)
        raise Conflict(
            f"Retention has taken events that were accepted before {earliest}: the run can begin at `{earliest}`, or at"
            " `earliest` with what is left."
        )
    return starts


def _append_times(consumer: BatchConsumer, offsets: Mapping[Partition, int], deadline: float) -> dict[Partition, int]:
    """When the records at these offsets, or the next ones, were appended, milliseconds since the epoch."""
    found: dict[Partition, int] = {}
    if offsets:
        consumer.assign(offsets)
    while len(found) < len(offsets):
        if time.monotonic() > deadline:
            raise SearchTooLong("Kafka does not tell in time how far its records reach back")
        for record in consumer.consume(len(offsets), _POLL):
            place = (record.topic(), record.partition())
            if place not in found:
                found[place] = record.timestamp()[1]
                consumer.pause([place])
        # Nothing but commit markers may be left of a partition.
        found |= {each: 0 for each in consumer.ends if each not in found}
    return found


def _left(deadline: float) -> float:
    """Seconds that one question to Kafka may take."""
    return max(0.1, deadline - time.monotonic())
