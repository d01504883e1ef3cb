from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.codec import DecodedEvent, EventDecoder
from schemas.avro.schema import frame
from schemas.avro.validation import EventWriter
from schemas.filters.operators import scalar_key
from schemas.model.errors import CorruptRecord
from schemas.model.event import Identifier
from tests.unit.schemas.avro.event_types import EVENT_ID, EVERY_KIND, RECEIVED_AT, draft, event_type, schema_of

if TYPE_CHECKING:
    from schemas.model.event_type import EventType

TYPED = event_type(*EVERY_KIND)
OPEN = event_type(open=True)


def roundtrip(of: EventType, data: Any, **changed: Any) -> DecodedEvent:
    value, _ = EventWriter(of, None).write(draft(data, **changed), event_id=EVENT_ID, received_at=RECEIVED_AT)
    return EventDecoder(schema_of(of)).decode(value)


def written(of: EventType, **changed: Any) -> bytes:
    """A value that someone else wrote with our schema."""
    record = {
        "id": EVENT_ID,
        "type": "Order",
        "source": "elsewhere",
        "time": 0,
        "received_at": 0,
        "identifiers": [],
        "data": {},
        **changed,
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(schema_of(of))), record)
    return frame(77) + stream.getvalue()


def test_the_envelope_comes_back() -> None:
    identifiers = (Identifier("email", "a@b.c"), Identifier("email", "d@e.f"))
    event = roundtrip(
        TYPED,
        {},
        subject="Offer made",
        channel="Web",
        identifiers=identifiers,
        time=1_614_876_441_970_889,
        time_text="2021-03-04T16:47:21.9708899+00:00",
    )

    assert (event.id, event.type, event.source) == (EVENT_ID, "Order", "client-1")
    assert (event.subject, event.channel, event.identifiers) == ("Offer made", "Web", identifiers)
    assert (event.time, event.received_at) == (1_614_876_441_970_889, RECEIVED_AT)
    assert event.time_text == "2021-03-04T16:47:21.9708899+00:00"
    assert event.lexical == {"time": "2021-03-04T16:47:21.9708899+00:00"}


def test_an_event_without_a_time_happened_when_it_was_received() -> None:
    event = roundtrip(TYPED, {})

    assert event.time == event.received_at == RECEIVED_AT
    assert event.time_text == "2026-11-21T03:33:20.123456Z"
    assert event.lexical is None


@pytest.mark.parametrize(
    ("sent", "printed"),
    [
        (b"{}", b"{}"),
        (b'{"orderTotal": 125.50}', b'{"orderTotal":125.50}'),
        (b'{"orderTotal": 5}', b'{"orderTotal":5}'),
        (b'{"orderTotal": 5.0}', b'{"orderTotal":5.0}'),
        (b'{"orderTotal":1e3}', b'{"orderTotal":1e3}'),
        (b'{"orderTotal":-0}', b'{"orderTotal":-0}'),
        (b'{"orderTotal":0.00001}', b'{"orderTotal":0.00001}'),
        (b'{"orderTotal":12345678901234567890.123456789}', b'{"orderTotal":12345678901234567890.123456789}'),
        # Sixteen digits: the first whole number that a double respells, and one that it does not.
        (b'{"orderTotal":9007199254740993}', b'{"orderTotal":9007199254740993}'),
        (b'{"orderTotal":9007199254740.993}', b'{"orderTotal":9007199254740.993}'),
        (b'{"count": -0}', b'{"count":-0}'),
        (b'{"count":9223372036854775807}', b'{"count":9223372036854775807}'),
        (b'{"price": 125.5}', b'{"price":125.5}'),
        (b'{"price":-0.00}', b'{"price":-0.00}'),
        (b'{"price": 1e2}', b'{"price":1e2}'),
        (b'{"at":"2021-03-04T17:36:54.591+01:00"}', b'{"at":"2021-03-04T17:36:54.591+01:00"}'),
        (b'{"at":"2021-03-04T16:36:54.1234567Z"}', b'{"at":"2021-03-04T16:36:54.1234567Z"}'),
        (b'{"at":"2021-03-04T16:36:54.591Z"}', b'{"at":"2021-03-04T16:36:54.591Z"}'),
        (b'{"orderTotal":\n\t 1.0\n}', b'{"orderTotal":1.0}'),
        (b'{"orderTotal": null, "productID":null, "at":null}', b'{"productID":null,"orderTotal":null,"at":null}'),
        (b'{"extra": {"b":1.50,"a":[null, 1E5]}}', b'{"extra":{"b":1.50,"a":[null, 1E5]}}'),
        (b'{"extra":null}', b'{"extra":null}'),
        (b'{"productID":"null: 1.50 \\u00e9 \\"q\\""}', '{"productID":"null: 1.50 é \\"q\\""}'.encode()),
        (b'{"order note": "n", "paid": false}', b'{"paid":false,"order note":"n"}'),
    ],
)
def test_typed_data_is_printed_as_sent_in_the_order_of_the_schema(sent: bytes, printed: bytes) -> None:
    event = roundtrip(TYPED, sent)

    assert event.data_json() == printed
    assert isinstance(event.data, dict)
    values, expected = event.data_value(), json.loads(printed, parse_float=Decimal)
    assert scalar_keys(values) == scalar_keys(expected)


def scalar_keys(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, dict) else scalar_key(value) for name, value in values.items()}


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"-?[1-9][0-9]{0,3}\.[0-9]{1,2}", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
)


@given(NUMBERS, st.sampled_from(["", " ", "\n", "\t  "]), st.sampled_from(["", " ", "\r\n"]))
def test_no_number_is_respelled(text: str, before: str, after: str) -> None:
    """The cheap look at the whole object misses no number that would print back otherwise."""
    event = roundtrip(TYPED, f'{{"orderTotal":{before}{text}{after}}}'.encode())

    assert event.data_json() == f'{{"orderTotal":{text}}}'.encode()
    assert isinstance(event.data, dict)
    assert event.data["orderTotal"] == float(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON.map(lambda value: json.dumps(value, ensure_ascii=False)))
def test_open_data_is_the_text_as_received(text: str) -> None:
    event = roundtrip(OPEN, text.encode())

    assert event.data_json() == text.encode()
    assert event.data_value() == json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("number", ["1e400", "-1e-400", "1e999999999", "-0", "9" * 4_300, f"0.{'1' * 4_299}"])
def test_an_open_number_past_a_doubles_range_is_kept_and_can_be_looked_at(number: str) -> None:
    event = roundtrip(OPEN, b'{"a": %s}' % number.encode())

    assert event.data_json() == b'{"a": %s}' % number.encode()
    assert event.data_value() == {"a": Decimal(number)}


def test_an_exponent_that_no_decimal_holds_is_kept_and_is_larger_than_others() -> None:
    event = roundtrip(OPEN, b'{"a": 1e99999999999999999999, "b": -1e-99999999999999999999}')

    assert event.data_json() == b'{"a": 1e99999999999999999999, "b": -1e-99999999999999999999}'
    assert event.data_value()["a"] > Decimal("1e999999999")
    assert Decimal("-1e-999999999") < event.data_value()["b"] < 0


def test_text_values_are_printed_as_sent_where_json_can_say_it() -> None:
    sent = {"orderTotal": "125.50", "paid": "TRUE", "count": "+7", "price": ".5", "at": "2021-03-04T16:36:54.500Z"}
    event = roundtrip(TYPED, None, text_values=sent)

    assert event.lexical == {f"data.{name}": text for name, text in sent.items()}
    assert json.loads(event.data_json()) == {
        "orderTotal": 125.5,
        "paid": True,
        "at": "2021-03-04T16:36:54.500Z",
        "count": 7,
        "price": 0.5,
    }
    assert b'"orderTotal":125.50,' in event.data_json()


def test_the_value_is_read_once() -> None:
    event = roundtrip(OPEN, {"a": 1})

    assert event.data_value() is event.data_value()


@settings(max_examples=400)
@given(st.data())
def test_damaged_values_are_corrupt_or_events_but_never_anything_else(data: st.DataObject) -> None:
    sent = (
        b'{"productID":"A","orderTotal":1.50,"extra":[1],"at":"2021-03-04T16:36:54Z","price":1,"paid":true,"count":5}'
    )
    value, _ = EventWriter(TYPED, None).write(
        draft(sent, identifiers=(Identifier("a", "b"),), subject="s"), event_id=EVENT_ID, received_at=RECEIVED_AT
    )
    damaged = bytearray(value)
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(5, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(5, len(damaged)))
    tail = data.draw(st.binary(max_size=20))
    decoder = EventDecoder(schema_of(TYPED))
    try:
        event = decoder.decode(bytes(damaged[:cut]) + tail)
    except CorruptRecord:
        return
    json.loads(event.data_json())
    event.data_value()
    assert event.time_text


@pytest.mark.parametrize(
    "value", [None, b"", b"\0\0\0\0\1", b"\1" + bytes(40), b'{"id": "x"}', b"\0\0\0\0\1" + b"\xff" * 40]
)
def test_what_is_no_event_is_corrupt(value: bytes | None) -> None:
    for of in (TYPED, OPEN):
        with pytest.raises(CorruptRecord):
            EventDecoder(schema_of(of)).decode(value)


def test_bytes_after_the_event_are_corrupt() -> None:
    value = written(OPEN, data="{}")
    decoder = EventDecoder(schema_of(OPEN))

    assert decoder.decode(value).data_json() == b"{}"
    with pytest.raises(CorruptRecord):
        decoder.decode(value + b"\0")


@pytest.mark.parametrize(
    ("of", "changed"),
    [
        (OPEN, {"data": "{"}),
        (OPEN, {"data": ""}),
        (OPEN, {"data": "[" * 100_000}),
        (OPEN, {"data": "{}", "time": 2**62}),
        (OPEN, {"data": "{}", "received_at": -(2**62)}),
        (TYPED, {"data": {"extra": "{'a': 1}"}}),
        (TYPED, {"data": {"orderTotal": float("nan")}}),
        (TYPED, {"data": {"orderTotal": float("-inf")}}),
        (TYPED, {"data": {"at": 2**62}}),
    ],
)
def test_what_json_cannot_say_is_corrupt(of: EventType, changed: dict[str, Any]) -> None:
    with pytest.raises(CorruptRecord):
        EventDecoder(schema_of(of)).decode(written(of, **changed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"string"',
        "{}",
        '{"type": "record", "name": "x", "fields": []}',
        schema_of(TYPED).replace('"headrace.type":"json"', '"headrace.type":"colour"'),
        schema_of(TYPED).replace('"headrace.name"', '"name_"'),
        schema_of(OPEN).replace('"received_at"', '"received"'),
    ],
)
def test_other_schemas_are_refused(text: str) -> None:
    with pytest.raises(CorruptRecord):
        EventDecoder(text)
