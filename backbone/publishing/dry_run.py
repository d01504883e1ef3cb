"""What an event filter would have matched of the last events: read from Kafka, and nothing is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.consumption import selected_topics
from backbone.catalog.decoders import Decoders
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.read_to_end import read_to
from backbone.kafka.records import place_of
from schemas.filters.conditions import compile_condition, compile_filter
from schemas.model.errors import CorruptRecord, InvalidFilter, Problem, SearchTooLong, WorkExceeded
from schemas.security.budget import CONDITION_STEPS, TimedWork

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from backbone.thread_turns import ThreadTurns
    from schemas.avro.codec import DecodedEvent
    from schemas.filters.conditions import Condition
    from schemas.model.endpoint import EventFilter

_BATCH = 20
"""Records of a poll: they are copied in one go, up to a megabyte each."""

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
    settings: KafkaSettings,
    catalog: Catalog,
    event_filter: EventFilter,
    *,
    last: int,
    seconds: float,
    turns: ThreadTurns,
) -> list[Looked]:
    """The last events of the types that a filter selects, the latest first, and whether it matches each.

    Blocks. Records that are no events (the router would set them aside) are passed over.

    Args:
        settings: how to reach Kafka.
        catalog: caught up.
        event_filter: need not be in the catalog.
        last: how many events at most.
        seconds: that it may take.
        turns: of the process, for its work between two records.

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
    work = turns.begin()
    for message in last_of_each(settings, topics, last, deadline):
        _check(deadline)
        try:
            with work:
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


def _looked(message: ConsumedRecord, event: DecodedEvent, *, matches: bool) -> Looked:
    return Looked(
        appended_at=message.timestamp()[1],
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        id=event.id,
        event_id=event.event_id,
        type=event.type,
        source=event.source,
        clientid=event.clientid,
        time=event.time,
        matches=matches,
    )


def last_of_each(
    settings: KafkaSettings, topics: Collection[str], last: int, deadline: float
) -> Iterator[ConsumedRecord]:
    """The last records of every partition; tombstones are none.

    Raises:
        SearchTooLong: they could not be read before the deadline, in monotonic seconds.
    """
    consumer = BatchConsumer(settings, group=None)
    try:
        partitions = consumer.partitions_of(sorted(topics), _left(deadline))
        bounds = consumer.watermarks(partitions, _left(deadline))
        ends = {partition: end for partition, (first, end) in bounds.items() if end > first}
        consumer.assign({partition: max(bounds[partition][0], end - last) for partition, end in ends.items()})
        passed = dict.fromkeys(ends, 0)
        for record in read_to(consumer, ends, passed, check=lambda: _check(deadline), batch=_BATCH, wait=_POLL):
            if record.offset() < ends[place_of(record)] and record.value() is not None:
                yield record
    finally:
        consumer.close()


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise SearchTooLong(_NOT_IN_TIME)


def _left(deadline: float) -> float:
    """Seconds that one question to Kafka may take."""
    return max(0.1, deadline - time.monotonic())
