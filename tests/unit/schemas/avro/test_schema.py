from __future__ import annotations

import json
import re

import avro.schema
import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.schema import frame, mangle, schema_text, unframe, unmangle
from schemas.model.errors import CorruptRecord
from schemas.model.event_type import Attribute

AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
TRICKY = st.one_of(st.text(min_size=1), st.text(alphabet="_xa0 5f", min_size=1))


@given(TRICKY)
def test_any_name_becomes_an_avro_name_and_back(name: str) -> None:
    assert AVRO_NAME.fullmatch(mangle(name))
    assert name == unmangle(mangle(name))


@pytest.mark.parametrize("name", ["orderTotal", "order_total", "_id", "max_xAxis", "a__b"])
def test_avro_names_stay_as_they_are(name: str) -> None:
    assert name == mangle(name)


@pytest.mark.parametrize(("name", "mangled"), [("order total", "order_x20_total"), ("2nd", "_x32_nd"), ("é", "_xe9_")])
def test_other_names_are_mangled(name: str, mangled: str) -> None:
    assert mangled == mangle(name)


def test_the_schema_of_a_typed_event_type() -> None:
    attributes = [
        Attribute(name="name", type="string"),
        Attribute(name="order total", type="Number"),
        Attribute(name="paid", type="Boolean", required=True),
        Attribute(name="at", type="Time"),
        Attribute(name="count", type="integer"),
        Attribute(name="price", type="decimal(9,2)"),
        Attribute(name="extra", type="json"),
    ]
    text = schema_text(workspace="acme-1", namespace="shop", code="Offer.Made", attributes=attributes)

    schema = json.loads(text)
    fields = {field["name"]: field for field in schema["fields"]}
    data = {field["name"]: field for field in fields["data"]["type"]["fields"]}
    timestamp = {"type": "long", "logicalType": "timestamp-micros"}
    assert schema["namespace"] == "events.acme_x2d_1.shop"
    assert schema["name"] == "Offer_x2e_Made"
    assert list(fields) == [
        *("id", "type", "source", "subject", "time", "received_at", "channel", "identifiers", "data", "lexical"),
        *("event_id", "clientid", "dataschema", "datacontenttype", "extensions"),
    ]
    assert fields["time"]["type"] == fields["received_at"]["type"] == timestamp
    assert {name: field["type"][1] for name, field in data.items()} == {
        "name": "string",
        "order_x20_total": "double",
        "paid": "boolean",
        "at": timestamp,
        "count": "long",
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        "extra": "string",
    }
    assert all(field["type"][0] == "null" and field["default"] is None for field in data.values())
    assert data["order_x20_total"]["headrace.name"] == "order total"
    assert data["extra"]["headrace.type"] == "json"


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("attributes", [(), (Attribute(name="Data", type="json"), Attribute(name="id", type="Time"))])
def test_schemas_are_valid_avro(attributes: tuple[Attribute, ...], *, is_open: bool) -> None:
    text = schema_text(workspace="w", namespace="n", code="Data", attributes=attributes, open=is_open)

    fastavro.parse_schema(json.loads(text))
    avro.schema.parse(text)


def test_equal_types_have_equal_texts_and_open_ones_hold_text() -> None:
    lists = [[Attribute(name="a", type=spelling)] for spelling in ("number", "Number")]
    texts = {schema_text(workspace="w", namespace="n", code="c", attributes=each) for each in lists}
    is_open = json.loads(schema_text(workspace="w", namespace="n", code="c", open=True))

    assert len(texts) == 1
    assert is_open["fields"][8] == {"name": "data", "type": "string"}


@pytest.mark.parametrize("schema_id", [0, 1, 77, 2**31 - 1])
def test_framing_is_confluents(schema_id: int) -> None:
    assert frame(schema_id) == b"\0" + schema_id.to_bytes(4, "big")
    assert unframe(frame(schema_id) + b"payload") == (schema_id, 5)


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0", b"\x01\0\0\0\x01abc", b"{}____"])
def test_values_without_the_framing_are_corrupt(value: bytes | None) -> None:
    with pytest.raises(CorruptRecord):
        unframe(value)
