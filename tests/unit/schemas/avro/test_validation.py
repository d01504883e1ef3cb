from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import original_text
from schemas.avro.codec import DecodedEvent, EventDecoder
from schemas.avro.validation import EventWriter
from schemas.model.errors import InvalidEvent
from schemas.model.event import EventDraft, Identifier
from schemas.model.event_type import Attribute, EventType, Registration
from tests.unit.schemas.avro.event_types import (
    EVENT_ID,
    EVERY_KIND,
    RECEIVED_AT,
    draft,
    event_type,
    registration,
    schema_of,
)

TYPED = event_type(*EVERY_KIND)
OPEN = event_type(open=True)
NAME = Attribute(name="name", type="String", required=True)
TOTAL = Attribute(name="total", type="Number")


def problems(of: EventType, sent: EventDraft, registered: Registration | None = None, path: str = "$.data") -> Any:
    with pytest.raises(InvalidEvent) as refused:
        EventWriter(of, registered).write(sent, event_id=EVENT_ID, received_at=RECEIVED_AT, path=path)
    assert str(refused.value)
    return {problem.path: problem.message for problem in refused.value.problems}


def key_of(of: EventType, sent: EventDraft) -> bytes | None:
    return EventWriter(of, None).write(sent, event_id=EVENT_ID, received_at=RECEIVED_AT)[1]


def decoded(of: EventType, sent: EventDraft, registered: Registration | None = None) -> DecodedEvent:
    value, _ = EventWriter(of, registered).write(sent, event_id=EVENT_ID, received_at=RECEIVED_AT)
    return EventDecoder(schema_of(of)).decode(value)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("productID", b"5", "String expected: a string, not a number"),
        ("productID", b'["A"]', "String expected: a string, not an array"),
        ("orderTotal", b'"125.50"', "Number expected: a number, not a string"),
        ("orderTotal", b"true", "Number expected: a number, not a boolean"),
        ("orderTotal", b"1e400", "too large"),
        ("paid", b'"true"', "Boolean expected: a boolean, not a string"),
        ("paid", b"0", "Boolean expected: a boolean, not a number"),
        ("at", b"1614875814", "Time expected: a string, not a number"),
        ("at", b'"2021-03-04T16:36:54"', "Time expected: not an ISO 8601 instant with an offset"),
        ("count", b"1.5", "integer expected"),
        ("count", b"9223372036854775808", "integer expected"),
        ("count", b"{}", "integer expected: a number, not an object"),
        ("price", b"1.005", r"decimal(12,2) expected"),
        ("price", b"12345678901", r"decimal(12,2) expected"),
        ("price", b'"1.00"', r"decimal(12,2) expected: a number, not a string"),
        ("colour", b"1", "is not a registered attribute"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(name: str, wrong: bytes, said: str) -> None:
    found = problems(TYPED, draft(b'{"%s": %s}' % (name.encode(), wrong)), path="$[3].data")

    assert list(found) == [f"$[3].data.{name}"]
    assert said in found[f"$[3].data.{name}"]


@pytest.mark.parametrize(
    ("sent", "count"),
    [("1.0", 1), ("1e2", 100), ("-0.0", 0), ("9223372036854775807.0", 2**63 - 1), ("5", 5), ("-0", 0)],
)
def test_an_integer_is_a_number_without_a_fraction_and_keeps_its_text(sent: str, count: int) -> None:
    rest = '"productID":"A","orderTotal":125.50,"paid":true,"at":"2021-03-04t16:36:54z"'
    event = decoded(TYPED, draft(f'{{"count":{sent},{rest}}}'.encode()))

    assert isinstance(event.data, dict)
    assert event.data["count"] == count
    assert f'"count":{sent}' in event.data_json().decode()
    assert all(part in event.data_json().decode() for part in rest.split(","))


@pytest.mark.parametrize(
    "data",
    [
        '{"orderTotal": %s}',
        '{"orderTotal": 0.%s}',
        '{"orderTotal": 1e%s}',
        '{"count": -%s}',
        '{"price": 1.%s}',
        '{"extra": {"a": [%s]}}',
        '{"productID": "1\\"", "extra": %s}',
    ],
)
def test_a_number_has_at_most_so_many_digits(data: str) -> None:
    for of, path in ((TYPED, "$.data"), (OPEN, "$.data")):
        found = problems(of, draft((data % ("1" * 5_000)).encode()))
        assert found == {path: "holds a number of more than 4,300 digits"}


def test_digits_in_a_text_are_no_number() -> None:
    digits = "1" * 5_000

    assert decoded(TYPED, draft(f'{{"productID":"\\"{digits}"}}'.encode())).data_json()
    assert decoded(OPEN, draft(f'{{"{digits}":"{digits}", "n":{digits[:4_300]}}}'.encode())).data_json()


def test_all_problems_are_named_at_once() -> None:
    of = event_type(NAME, TOTAL, Attribute(name="order note", type="Boolean"))
    found = problems(of, draft(b'{"total": "x", "order note": 1, "colour": "red", "total size": 1}'))

    assert found == {
        "$.data.colour": "is not a registered attribute",
        "$.data['total size']": "is not a registered attribute",
        "$.data.name": "is required",
        "$.data.total": "Number expected: a number, not a string",
        "$.data['order note']": "Boolean expected: a boolean, not a number",
    }


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"name": "a",}', "is not JSON"),
        (b'{"name": NaN}', "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"x":' * 5_000 + b"1" + b"}" * 5_000, "is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_as_a_whole(sent: bytes, said: str) -> None:
    found = problems(event_type(NAME), draft(sent))

    assert list(found) == ["$.data"]
    assert said in found["$.data"]


def test_text_must_be_utf_8_and_json_not_nested_beyond_reading() -> None:
    assert "is not UTF-8" in problems(event_type(NAME), draft(b'{"name": "\xff"}'))["$.data.name"]
    of = event_type(Attribute(name="extra", type="json"))

    assert "is not UTF-8" in problems(of, draft(b'{"extra": {"a": "\xff"}}'))["$.data.extra"]
    assert "is not JSON" in problems(of, draft(b'{"extra": %s}' % (b"[" * 5_000 + b"]" * 5_000)))["$.data"]


@pytest.mark.parametrize("sent", [b"{}", b'{"name": null}'])
def test_a_required_attribute_must_have_a_value(sent: bytes) -> None:
    for kind in ("String", "Number", "Boolean", "Time", "integer", "decimal(9,2)"):
        found = problems(event_type(Attribute(name="name", type=kind, required=True)), draft(sent))

        assert "is required" in found["$.data.name"]


def test_the_registration_says_what_may_be_sent() -> None:
    of = event_type(NAME, TOTAL)
    only_total = registration(TOTAL)

    assert decoded(of, draft({"total": 1}), only_total).data == {"name": None, "total": 1.0}
    assert problems(of, draft({"name": "a"}), only_total) == {"$.data.name": "is not a registered attribute"}
    assert problems(of, draft({"name": "a"}), registration()) == {"$.data.name": "is not a registered attribute"}
    assert decoded(of, draft(None), registration()).data_json() == b"{}"


def test_a_registration_in_another_order_writes_the_schemas() -> None:
    event = decoded(event_type(NAME, TOTAL), draft({"total": 2, "name": "a"}), registration(TOTAL, NAME))

    assert event.data == {"name": "a", "total": 2.0}


def test_canonical_values_leave_lexical_empty() -> None:
    sent = b"""{"productID":"1.50","orderTotal":125.53,"paid":true,"at":"2021-03-04T16:36:54Z","count":10,
                "price":1.50,"extra":{"a":1.50},"order note":": null, : 1e5"}"""

    assert decoded(TYPED, draft(sent)).lexical is None


def test_texts_are_read_as_the_registered_type() -> None:
    sent = {"productID": "1", "orderTotal": "125.53", "paid": "false", "count": "3", "price": "1.50", "extra": "[1]"}
    event = decoded(TYPED, draft(None, text_values=sent))

    assert event.lexical is None
    assert event.data_json() == (
        b'{"productID":"1","orderTotal":125.53,"paid":false,"count":3,"price":1.50,"extra":[1]}'
    )


def test_texts_of_another_type_are_named() -> None:
    sent = {"orderTotal": "abc", "at": "now", "extra": "{", "order note": "fine", "colour": "red", "paid": ""}
    found = problems(TYPED, draft(None, text_values=sent), path="$.events[0].attributes")

    assert list(found) == [f"$.events[0].attributes.{name}" for name in ("colour", "orderTotal", "paid", "at", "extra")]
    assert "Number expected: 'abc' is not a number" in found["$.events[0].attributes.orderTotal"]
    assert "is required" in problems(event_type(NAME), draft(None, text_values={}))["$.data.name"]


@pytest.mark.parametrize("sent", [b"{", b"", b'"\xff"', b"[1,]", b"NaN", b"[" * 100_000])
def test_open_data_must_be_json(sent: bytes) -> None:
    assert "is not JSON" in problems(OPEN, draft(sent))["$.data"]


def test_an_open_event_without_data_is_null_and_texts_are_an_object() -> None:
    assert decoded(OPEN, draft(None)).data_json() == b"null"
    assert decoded(OPEN, draft(None, text_values={"a": "1"})).data_json() == b'{"a":"1"}'


@pytest.mark.parametrize(
    ("source", "sent", "key"),
    [
        (None, {}, None),
        ("source", {}, b"client-1"),
        ("identifier.email", {}, b"a@b.c"),
        ("identifier.cookie", {}, None),
        ("data.productID", {"productID": "é"}, "é".encode()),
        ("data.productID", {}, None),
        ("data.orderTotal", b'{"orderTotal": 125.50}', b"125.5"),
        ("data.orderTotal", b'{"orderTotal": 5.0}', b"5"),
        ("data.paid", {"paid": False}, b"false"),
        ("data.at", {"at": "2021-03-04T17:36:54.500+01:00"}, b"2021-03-04T16:36:54.5Z"),
        ("data.price", b'{"price": 1}', b"1.00"),
        ("data.order note", {"order note": "x"}, b"x"),
        ("data.unknown", {}, None),
    ],
)
def test_the_partition_key_is_equal_for_equal_values(source: str | None, sent: Any, key: bytes | None) -> None:
    of = event_type(*EVERY_KIND, partition_key=source)
    identifiers = (Identifier("email", "a@b.c"), Identifier("email", "d@e.f"))

    assert key == key_of(of, draft(sent, identifiers=identifiers))


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b'{"a": "x"}', b"x"),
        (b'{"a": "\\u00e9"}', "é".encode()),
        (b'{"a": 5.0}', b"5"),
        (b'{"a": 5}', b"5"),
        (b'{"a": 123456789012345678901234567890}', b"123456789012345678901234567890"),
        (b'{"a": 1.2e3}', b"1200"),
        (b'{"a": -0.0}', b"0"),
        (b'{"a": 0.00000015}', b"0.00000015"),
        (b'{"a": 123456789012345678.910}', b"123456789012345678.91"),
        (b'{"a": 1e999999999}', b"1E+999999999"),
        (b'{"a": true}', b"true"),
        (b'{"a": null}', None),
        (b'{"b": 1}', None),
        (b"[1]", None),
        (b"null", None),
    ],
)
def test_the_partition_key_of_an_open_type(sent: bytes, key: bytes | None) -> None:
    assert key == key_of(event_type(open=True, partition_key="data.a"), draft(sent))
    assert key_of(event_type(open=True, partition_key="data.a"), draft(None, text_values={"a": "t"})) == b"t"


@pytest.mark.parametrize(
    ("source", "path"), [("data.total", "$[0].data.total"), ("identifier.email", "$[0].identifiers")]
)
def test_a_compacted_type_needs_the_key(source: str, path: str) -> None:
    of = event_type(TOTAL, partition_key=source, compacted=True)

    assert list(problems(of, draft({}), path="$[0].data")) == [path]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_print_without_exponent_and_read_back(value: float) -> None:
    text = original_text.number_text(value)

    assert float(text) == value
    assert original_text.JSON_NUMBER.fullmatch(text)
    assert "e" not in text
