"""What we read is what fastavro reads."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.attributes import parse_type
from schemas.avro.codec import EventDecoder
from schemas.avro.decoding import read_long, read_map
from schemas.avro.original_text import key
from schemas.avro.schema import HEADER_LENGTH, frame, mangle
from schemas.model.errors import CorruptRecord
from schemas.model.event_type import Attribute
from tests.unit.schemas.avro.event_types import event_type, schema_of
from tests.unit.schemas.avro.test_encoding import INSTANTS, INT64, MAYBE_TEXT, TEXT, fastavro_bytes, typed_events

ENVELOPES = st.fixed_dictionaries(
    {
        "id": TEXT,
        "type": TEXT,
        "source": TEXT,
        "subject": MAYBE_TEXT,
        "time": INSTANTS,
        "received_at": INSTANTS,
        "channel": MAYBE_TEXT,
        "identifiers": st.lists(st.fixed_dictionaries({"name": TEXT, "value": TEXT})),
        "lexical": st.none() | st.dictionaries(TEXT, TEXT),
        "event_id": TEXT.filter(bool),
        "clientid": TEXT.filter(bool),
        "dataschema": MAYBE_TEXT,
        "datacontenttype": MAYBE_TEXT,
        "extensions": st.dictionaries(TEXT, TEXT),
    }
)


@given(typed_events(), ENVELOPES)
def test_typed_events_are_read_as_fastavro_reads_them(
    event: tuple[tuple[Attribute, ...], dict[str, Any]], envelope: dict[str, Any]
) -> None:
    attributes, values = event
    # What JSON cannot say is refused on purpose; the codec's tests look at that.
    values = {each.name: sayable(each, values[each.name]) for each in attributes}
    of = event_type(*attributes)
    payload = fastavro_bytes(schema_of(of), envelope | {"data": {mangle(name): values[name] for name in values}})

    found = EventDecoder(schema_of(of)).decode(frame(77) + payload)

    assert found.data == values
    assert {name: getattr(found, name) for name in envelope if name != "identifiers"} == {
        name: value for name, value in envelope.items() if name != "identifiers"
    }
    assert [{"name": each.name, "value": each.value} for each in found.identifiers] == envelope["identifiers"]


@given(typed_events(), ENVELOPES, st.data())
def test_some_attributes_alone_are_what_they_are_among_all(
    event: tuple[tuple[Attribute, ...], dict[str, Any]], envelope: dict[str, Any], draw: st.DataObject
) -> None:
    attributes, values = event
    values = {each.name: sayable(each, values[each.name]) for each in attributes}
    names = st.sampled_from([*values, "no attribute"])
    sent = draw.draw(st.dictionaries(names.map(key), st.sampled_from(["null", "1.50", "2021-03-04T16:36Z", ".5"])))
    wanted = frozenset(draw.draw(st.lists(names)))
    schema = schema_of(event_type(*attributes))
    payload = fastavro_bytes(
        schema, envelope | {"lexical": sent, "data": {mangle(name): values[name] for name in values}}
    )
    decoder = EventDecoder(schema)

    found = decoder.data_decoder(wanted)(frame(77) + payload)

    whole = decoder.decode(frame(77) + payload).data_value()
    assert found == {name: whole[name] for name in whole if name in wanted}


@pytest.mark.parametrize("identity", [{"event_id": "e" * 36, "clientid": "c" * 36}, {"extensions": {"n": "5"}}])
@pytest.mark.parametrize("wanted", [frozenset(), frozenset({"a"}), frozenset({"a", "b"})])
def test_what_breaks_off_is_corrupt_also_where_it_is_only_stepped_over(
    wanted: frozenset[str], identity: dict[str, Any]
) -> None:
    schema = schema_of(event_type(Attribute(name="a", type="String"), Attribute(name="b", type="Time")))
    envelope: dict[str, Any] = dict.fromkeys(("id", "type", "source", "subject", "channel"), "x" * 100)
    envelope["time"] = 1 << 50
    data = {"a": "y" * 200, "b": 1 << 50}
    envelope |= {"received_at": 1 << 50, "identifiers": [], "data": data, "lexical": {"t": "z"}} | identity
    whole = frame(77) + fastavro_bytes(schema, envelope)
    read = EventDecoder(schema).data_decoder(wanted)
    assert read(whole).keys() == wanted
    for end in range(HEADER_LENGTH, len(whole)):
        with pytest.raises(CorruptRecord):
            read(whole[:end])
    with pytest.raises(CorruptRecord):
        read(whole + b"\x00")


def sayable(attribute: Attribute, value: Any) -> Any:
    kind = parse_type(attribute.type).kind.value
    if value is None or kind not in {"json", "Number"}:
        return value
    return json.dumps(value) if kind == "json" else min(max(value, -1e300), 1e300)


@given(INT64, st.binary(max_size=10))
def test_longs(value: int, rest: bytes) -> None:
    written = fastavro_bytes('"long"', value)  # type: ignore[arg-type]

    assert read_long(written + rest, 0) == (value, len(written))


@given(st.dictionaries(TEXT, TEXT), st.booleans())
def test_maps_in_several_blocks_with_and_without_their_sizes(entries: dict[str, str], sized: bool) -> None:  # noqa: FBT001 -- hypothesis draws it
    """Other Avro writers split maps into blocks, and say their size in bytes before each."""
    value = b""
    for name, text in entries.items():
        entry = b"".join(fastavro_bytes('"string"', each) for each in (name, text))  # type: ignore[arg-type]
        size = fastavro_bytes('"long"', len(entry))  # type: ignore[arg-type]
        value += b"\x01" + size + entry if sized else b"\x02" + entry
    value += b"\x00"

    assert read_map(value, 0) == (entries, len(value))
    schema = fastavro.parse_schema({"type": "map", "values": "string"})
    assert fastavro.schemaless_reader(io.BytesIO(value), schema, None) == entries


@pytest.mark.parametrize("value", [b"\xff" * 10 + b"\x01", b"\xff" * 9 + b"\x03"])
def test_longs_of_more_than_64_bits_are_corrupt(value: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read_long(value, 0)
