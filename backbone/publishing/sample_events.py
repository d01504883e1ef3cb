"""Events that are made up to try an endpoint: encoded like any other of their type, and published nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.type_changes import has_identity
from backbone.kafka.records import Record
from schemas.avro.validation import EventWriter
from schemas.model import timestamps
from schemas.model.event import EventDraft
from schemas.model.event_headers import EventHeaders
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client
    from schemas.model.event_type import EventType

SUBJECT = "test"
"""Of every made-up event, so that its receiver can tell."""

_SAMPLES: dict[str, Any] = {
    "String": "test",
    "Number": 1.5,
    "Boolean": True,
    "integer": 1,
    "json": {"test": True},
}


def sample_data(event_type: EventType) -> bytes:
    """A value for each attribute of a type; for an open type an object that says that it is a test."""
    if event_type.open:
        return b'{"test":true}'
    samples = _SAMPLES | {"Time": timestamps.to_text(timestamps.now())}
    # The others are decimals, whose names have their sizes.
    return json.dumps({each.name: samples.get(each.type, 0) for each in event_type.attributes}).encode()


def sample_record(view: CatalogView, event_type: EventType, client: Client, data: bytes | None) -> tuple[str, Record]:
    """The id of an event, and the record that publishing it would write.

    Args:
        view: the catalog.
        event_type: of the event.
        client: that it comes from.
        data: JSON; None for ``sample_data``.

    Raises:
        InvalidEvent: the data does not fit the type.
    """
    draft = EventDraft(
        workspace=event_type.workspace,
        namespace=event_type.namespace,
        code=event_type.code,
        client=client.id,
        publisher=client.unique_id,
        data=sample_data(event_type) if data is None else data,
        subject=SUBJECT,
    )
    event_id, now = new_id(), timestamps.now()
    # A made-up event has no partition key, and its record none either.
    written_as = event_type if data is not None else msgspec.structs.replace(event_type, compacted=False)
    writer = EventWriter(written_as, None, identity=has_identity(view, event_type))
    value, key = writer.write(draft, event_id=event_id, received_at=now)
    return event_id, Record(
        event_type.topic, value, key, EventHeaders(client.id, event_type.code)(draft, event_id, now)
    )
