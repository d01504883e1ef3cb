"""What we encode is byte for byte what fastavro writes, and what Confluent's deserializer reads."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.attributes import AttributeKind, parse_type
from schemas.avro.encoding import EventEncoder, decimal_bytes, long_bytes, text_bytes
from schemas.avro.schema import mangle, unframe
from schemas.avro.validation import EventWriter
from schemas.model.event import Identifier
from schemas.model.event_type import Attribute
from tests.unit.schemas.avro.event_types import EVENT_ID, EVERY_KIND, RECEIVED_AT, draft, event_type, schema_of

TYPES = ("String", "Number", "Boolean", "Time", "integer", "decimal(12,2)", "json")
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
INSTANTS = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MAYBE_TEXT = st.none() | TEXT
VALUES: dict[AttributeKind, st.SearchStrategy[Any]] = {
    AttributeKind.STRING: TEXT,
    AttributeKind.NUMBER: st.floats(allow_nan=False),
    AttributeKind.BOOLEAN: st.booleans(),
    AttributeKind.TIME: INSTANTS,
    AttributeKind.INTEGER: INT64,
    AttributeKind.DECIMAL: st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    AttributeKind.JSON: TEXT,
}
CLOUDEVENTS = st.fixed_dictionaries(
    {},
    optional={
        "producer_id": TEXT.filter(bool),
        "type": TEXT.filter(bool),
        "source": TEXT.filter(bool),
        "dataschema": TEXT,
        "datacontenttype": TEXT,
        "extensions": st.dictionaries(TEXT, TEXT),
    },
)
NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=8)


def fastavro_bytes(schema: str, record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(schema)), record)
    return stream.getvalue()


@st.composite
def typed_events(draw: st.DrawFn) -> tuple[tuple[Attribute, ...], dict[str, Any]]:
    attributes = tuple(Attribute(name=name, type=draw(st.sampled_from(TYPES))) for name in draw(NAMES))
    values = {each.name: draw(st.none() | VALUES[parse_type(each.type).kind]) for each in attributes}
    return attributes, values


@given(
    typed_events(),
    st.tuples(TEXT, TEXT, MAYBE_TEXT, INSTANTS, INSTANTS, MAYBE_TEXT),
    st.lists(st.tuples(TEXT, TEXT)),
    st.none() | st.dictionaries(TEXT, TEXT, min_size=1),
    st.tuples(CLOUDEVENTS, st.data()),
)
def test_typed_events_are_what_fastavro_writes(
    event: tuple[tuple[Attribute, ...], dict[str, Any]],
    envelope: tuple[str, str, str | None, int, int, str | None],
    identifiers: list[tuple[str, str]],
    lexical: dict[str, str] | None,
    rest: tuple[dict[str, Any], st.DataObject],
) -> None:
    attributes, values = event
    own, data = rest
    event_id, client, subject, time, received_at, channel = envelope
    # A client may be registered for some of the attributes only, and in an order of its own.
    sent = data.draw(st.permutations(attributes))[: data.draw(st.integers(0, len(attributes)))]
    names = [attribute.name for attribute in sent]
    of = event_type(*attributes)
    encoder = EventEncoder(schema_id=77, code="Order", attributes=attributes, sent=names)

    value = encoder.encode(
        draft(
            client=client,
            subject=subject,
            channel=channel,
            identifiers=tuple(Identifier(*each) for each in identifiers),
            **own,
        ),
        event_id=event_id,
        time=time,
        received_at=received_at,
        data=encoder.data([values[name] for name in names]),
        lexical=lexical,
    )

    record = {
        "id": own.get("producer_id", event_id),
        "type": own.get("type", "Order"),
        "source": own.get("source", client),
        "subject": subject,
        "time": time,
        "received_at": received_at,
        "channel": channel,
        "identifiers": [{"name": name, "value": text} for name, text in identifiers],
        "data": {mangle(name): values[name] for name in names},
        "lexical": lexical,
        "event_id": event_id,
        "clientid": client,
        "dataschema": own.get("dataschema"),
        "datacontenttype": own.get("datacontenttype"),
        "extensions": own.get("extensions", {}),
    }
    assert unframe(value) == (77, 5)
    assert value[5:] == fastavro_bytes(schema_of(of), record)


@given(INT64 | st.sampled_from([0, -1, 63, 64, -64, -65, (1 << 48) - 1, 1 << 48, 1 << 55, (1 << 55) - 1, -(1 << 55)]))
def test_longs(value: int) -> None:
    assert long_bytes(value) == fastavro_bytes('"long"', value)  # type: ignore[arg-type]


@given(TEXT | st.integers(0, 70_000).map(lambda size: "é" * size))
def test_strings_of_any_length(text: str) -> None:
    assert text_bytes(text) == fastavro_bytes('"string"', text)  # type: ignore[arg-type]


@given(st.decimals(min_value=-(10**30), max_value=10**30, places=4))
def test_decimals(value: Decimal) -> None:
    schema = '{"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4}'

    assert decimal_bytes(value) == fastavro_bytes(schema, value)  # type: ignore[arg-type]


def confluent_reads(schema: str, value: bytes) -> dict[str, Any]:
    """What the stock deserializer of a downstream team makes of a value, given only the registered schema."""
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    schema_id = registry.register_schema("topic-value", Schema(schema, "AVRO"))
    framed = b"\0" + schema_id.to_bytes(4, "big") + value[5:]
    found = AvroDeserializer(registry)(framed, SerializationContext("topic", MessageField.VALUE))
    assert isinstance(found, dict)
    return found


def test_confluents_deserializer_reads_a_typed_event() -> None:
    of = event_type(*EVERY_KIND)
    sent = b"""{"productID": "A-1", "orderTotal": 125.50, "paid": true, "at": "2021-03-04T16:36:54.591Z", "count": 3,
               "price": 12.5, "extra": {"a": [1, 2]}, "order note": "\xc3\xa9"}"""
    value, _ = EventWriter(of, None).write(draft(sent, subject="s"), event_id=EVENT_ID, received_at=RECEIVED_AT)

    found = confluent_reads(schema_of(of), value)

    assert found["id"] == EVENT_ID
    assert found["type"] == "Order"
    assert found["source"] == "client-1"
    assert found["subject"] == "s"
    assert found["received_at"].isoformat() == "2026-11-21T03:33:20.123456+00:00"
    assert found["lexical"] == {"data.orderTotal": "125.50", "data.price": "12.5"}
    assert found["data"] == {
        "productID": "A-1",
        "orderTotal": 125.5,
        "paid": True,
        "at": found["data"]["at"],
        "count": 3,
        "price": Decimal("12.50"),
        "extra": '{"a": [1, 2]}',
        "order_x20_note": "é",
    }
    assert found["data"]["at"].isoformat() == "2021-03-04T16:36:54.591000+00:00"


@pytest.mark.parametrize("data", [b'{"a": 1.50}', b"[1, 2]", b'"text"', b" null "])
def test_confluents_deserializer_reads_an_open_event(data: bytes) -> None:
    of = event_type(open=True)
    value, _ = EventWriter(of, None).write(draft(data), event_id=EVENT_ID, received_at=RECEIVED_AT)

    assert confluent_reads(schema_of(of), value)["data"] == data.decode()
