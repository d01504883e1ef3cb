"""What an event filter would have matched of the last events: read from Kafka, and nothing is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.consumption import selected_topics
from backbone.catalog.decoders import Decoders
from backbone.kafka.consumer import BatchConsumer
from schemas.budget import CONDITION_STEPS, TimedWork
from schemas.errors import CorruptRecord, InvalidFilter, Problem, SearchTooLong, WorkExceeded
from schemas.filters import compile_condition, compile_filter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Message, Partition
    from backbone.kafka.settings import KafkaSettings
    from schemas.codec import DecodedEvent
    from schemas.filters import Condition
    from schemas.subscription import EventFilter

_BATCH = 500
_POLL = 0.05
"""Seconds."""
_NOT_IN_TIME = "the events of a dry run could not be read and compared in time"


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was looked at; ``appended_at`` in milliseconds, ``time`` in microseconds since the epoch."""

    appended_at: int
    topic: str
    partition: int
    offset: int
    id: str
    event_id: str
    type: str
    source: str
    clientid: str
    time: int
    matches: bool


def dry_run(
    settings: KafkaSettings, catalog: Catalog, event_filter: EventFilter, *, last: int, seconds: float
) -> list[Looked]:
    """The last events of the types that a filter selects, the latest first, and whether it matches each.

    Blocks. Records that are no events (the router would set them aside) are passed over.

    Args:
        settings: how to reach Kafka.
        catalog: caught up.
        event_filter: need not be in the catalog.
        last: how many events at most.
        seconds: that it may take.

    Raises:
        InvalidFilter: its condition is not in the filter language, or takes too many steps on one of the events.
        SearchTooLong: not all could be read and compared within that time.
    """
    if event_filter.condition is not None:
        compile_condition(event_filter.condition, event_filter.version)
    condition = compile_filter(event_filter)
    decoders = Decoders(catalog)
    view = catalog.view
    topics = {topic for each in event_filter.types for topic in selected_topics(view, event_filter.workspace, each)}
    found = []
    deadline = time.monotonic() + seconds
    for message in _last_of_each(settings, topics, last, deadline):
        if time.monotonic() > deadline:
            raise SearchTooLong(_NOT_IN_TIME)
        try:
            event = decoders.decode(message.value() or b"")
            matches = condition is None or _matches(condition, event, deadline)
        except CorruptRecord:
            continue
        found.append(_looked(message, event, matches=matches))
        if len(found) > 2 * last:
            found = _latest(found, last)
    return _latest(found, last)


def _matches(condition: Condition, event: DecodedEvent, deadline: float) -> bool:
    try:
        return condition.matches(event, TimedWork(CONDITION_STEPS, deadline))
    except WorkExceeded as error:
        if time.monotonic() > deadline:
            raise SearchTooLong(_NOT_IN_TIME) from error
        message = "takes too many steps on one of the events, whose delivery would be set aside."
        raise InvalidFilter(f"The condition {message}", [Problem(path="$", message=message)]) from error


def _latest(events: list[Looked], count: int) -> list[Looked]:
    def place(event: Looked) -> tuple[int, str, int, int]:
        return event.appended_at, event.topic, event.partition, event.offset

    return sorted(events, key=place, reverse=True)[:count]


def _looked(message: Message, event: DecodedEvent, *, matches: bool) -> Looked:
    return Looked(
        appended_at=message.timestamp()[1],
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        id=event.id,
        event_id=event.event_id,
        type=event.type,
        source=event.source,
        clientid=event.clientid,
        time=event.time,
        matches=matches,
    )


def _last_of_each(settings: KafkaSettings, topics: Collection[str], last: int, deadline: float) -> Iterator[Message]:
    """The last records of every partition; tombstones are none."""
    consumer = BatchConsumer(settings, group=None)
    try:
        partitions = consumer.partitions_of(sorted(topics), _left(deadline))
        bounds = consumer.watermarks(partitions, _left(deadline))
        ends = {partition: end for partition, (first, end) in bounds.items() if end > first}
        consumer.assign({partition: max(bounds[partition][0], end - last) for partition, end in ends.items()})
        read: dict[Partition, int] = {}
        while any(max(read.get(each, 0), consumer.ends.get(each, 0)) < end for each, end in ends.items()):
            if time.monotonic() > deadline:
                raise SearchTooLong(_NOT_IN_TIME)
            for message in consumer.consume(_BATCH, _POLL):
                partition, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
                read[partition] = offset + 1
                if offset < ends[partition] and message.value() is not None:
                    yield message
    finally:
        consumer.close()


def _left(deadline: float) -> float:
    """Seconds that one question to Kafka may take."""
    return max(0.1, deadline - time.monotonic())
