"""What a projection would have made of the last events of a type: read from Kafka, and nothing is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.decoders import Decoders
from backbone.cloudevents import cloudevent
from backbone.kafka.records import headers_of
from backbone.publishing.dry_run import last_of_each
from schemas.model.delivery import event_headers
from schemas.model.errors import CorruptRecord, ProjectionFailed, SearchTooLong
from schemas.security.budget import PROJECTION_STEPS, TimedWork

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from backbone.thread_turns import ThreadTurns
    from schemas.projections.projection import Projection

SHOWN_BYTES = 65_536
"""Of a result; a larger one is not shown."""

_NOT_IN_TIME = "the events of a dry run could not be read and projected in time"


class TriedOn(msgspec.Struct, frozen=True, kw_only=True):
    """One event, and what a projection makes of it.

    Attributes:
        appended_at: milliseconds since the epoch.
        result: JSON; None where it failed, or has more than ``SHOWN_BYTES``.
        size: bytes of the result.
        error: why there is none.
        position: in the expression, of the part that failed.
    """

    appended_at: int
    partition: int
    offset: int
    id: str
    event_id: str
    type: str
    source: str
    result: bytes | None = None
    size: int | None = None
    error: str | None = None
    position: int | None = None


def dry_run_projection(
    settings: KafkaSettings,
    catalog: Catalog,
    topic: str,
    projection: Projection,
    *,
    last: int,
    seconds: float,
    turns: ThreadTurns,
) -> list[TriedOn]:
    """The last events of a type, the latest first, and what a projection makes of each.

    Blocks. Records that are no events are passed over.

    Args:
        settings: how to reach Kafka.
        catalog: caught up.
        topic: of the event type.
        projection: need not be in the catalog.
        last: how many events at most.
        seconds: that it may take.
        turns: of the process, for its work between two records.

    Raises:
        SearchTooLong: not all could be read and projected within that time.
    """
    deadline = time.monotonic() + seconds
    found: list[ConsumedRecord] = []
    for message in last_of_each(settings, [topic], last, deadline):
        found.append(message)
        if len(found) > 2 * last:
            found = _latest(found, last)
    decoders = Decoders(catalog)
    event_type = catalog.view.event_type(topic)
    namespace = event_type.namespace if event_type else None
    tried = []
    work = turns.begin()
    for message in _latest(found, last):
        if time.monotonic() > deadline:
            raise SearchTooLong(_NOT_IN_TIME)
        with work:
            try:
                tried.append(_tried(message, decoders, namespace, projection, deadline))
            except CorruptRecord:
                continue
    return tried


def _tried(
    message: ConsumedRecord, decoders: Decoders, namespace: str | None, projection: Projection, deadline: float
) -> TriedOn:
    event = decoders.decode(message.value() or b"")
    one = TriedOn(
        appended_at=message.timestamp()[1],
        partition=message.partition(),
        offset=message.offset(),
        id=event.id,
        event_id=event.event_id,
        type=event.type,
        source=event.source,
    )
    own = {name: value or b"" for name, value in event_headers(headers_of(message))}
    try:
        body, _ = projection(cloudevent(event, own, namespace), TimedWork(PROJECTION_STEPS, deadline))
    except ProjectionFailed as error:
        if time.monotonic() > deadline:
            raise SearchTooLong(_NOT_IN_TIME) from error
        return msgspec.structs.replace(one, error=error.reason, position=error.position)
    return msgspec.structs.replace(one, result=body if len(body) <= SHOWN_BYTES else None, size=len(body))


def _latest(messages: list[ConsumedRecord], count: int) -> list[ConsumedRecord]:
    def place(message: ConsumedRecord) -> tuple[int, int, int]:
        return message.timestamp()[1], message.partition(), message.offset()

    return sorted(messages, key=place, reverse=True)[:count]
