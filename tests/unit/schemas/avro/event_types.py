"""Event types, registrations and drafts for the tests of this directory."""

from __future__ import annotations

import json
from typing import Any

from schemas.avro.schema import schema_text
from schemas.model.event import EventDraft
from schemas.model.event_type import Attribute, EventType, Registration

EVERY_KIND = (
    Attribute(name="productID", type="String"),
    Attribute(name="orderTotal", type="Number"),
    Attribute(name="paid", type="Boolean"),
    Attribute(name="at", type="Time"),
    Attribute(name="count", type="integer"),
    Attribute(name="price", type="decimal(12,2)"),
    Attribute(name="extra", type="json"),
    Attribute(name="order note", type="String"),
)

EVENT_ID = "01930f5e-7e5c-7b8e-9b1a-0123456789ab"
RECEIVED_AT = 1_795_232_000_123_456


def event_type(*attributes: Attribute, **changed: Any) -> EventType:
    return EventType(
        **{
            "workspace": "acme",
            "namespace": "shop",
            "code": "Order",
            "attributes": attributes,
            "effective_partitions": 4,
            "schema_id": 77,
            "created_at": 0,
            "updated_at": 0,
        }
        | changed
    )


def registration(*attributes: Attribute) -> Registration:
    return Registration(
        client="client-1",
        workspace="acme",
        namespace="shop",
        code="Order",
        attributes=attributes,
        created_at=0,
        updated_at=0,
    )


def schema_of(of: EventType) -> str:
    return schema_text(
        workspace=of.workspace, namespace=of.namespace, code=of.code, attributes=of.attributes, open=of.open
    )


def older_schema_of(of: EventType) -> str:
    """The schema that releases before the envelope's ``event_id`` derived."""
    schema = json.loads(schema_of(of))
    names = [field["name"] for field in schema["fields"]]
    schema["fields"] = schema["fields"][: names.index("event_id")]
    return json.dumps(schema)


def draft(data: Any = None, **changed: Any) -> EventDraft:
    """A draft; ``data`` that is neither bytes nor None is sent as JSON."""
    text = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    fields = {"workspace": "acme", "namespace": "shop", "code": "Order", "client": "client-1", "data": text}
    return EventDraft(**({"publisher": "client-1"} | fields | changed))
