from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.attributes import (
    AttributeKind,
    AttributeType,
    canonical,
    from_text,
    member,
    parse_type,
    to_decimal,
    union,
)
from schemas.avro.payload import PayloadReader
from schemas.model.errors import Conflict, InvalidRequest
from schemas.model.event_type import Attribute


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("string", "String"),
        ("NUMBER", "Number"),
        ("Boolean", "Boolean"),
        (" time ", "Time"),
        ("Integer", "integer"),
        ("JSON", "json"),
        ("Decimal( 9 , 2 )", "decimal(9,2)"),
        ("decimal(38,38)", "decimal(38,38)"),
    ],
)
def test_types_are_read_whatever_their_case(text: str, spelled: str) -> None:
    assert spelled == str(parse_type(text))
    assert parse_type(text) == parse_type(spelled)


@pytest.mark.parametrize(
    "text", ["", "Date", "Datetime", "float", "decimal", "decimal(0,0)", "decimal(39,2)", "decimal(2,3)"]
)
def test_other_types_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_type(text)


@pytest.mark.parametrize("name", ['say "so"', "back\\slash", "two\nlines", "\0"])
def test_a_name_that_json_has_to_escape_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        canonical([Attribute(name="ok", type="String"), Attribute(name=name, type="String")])
    assert [problem.path for problem in refused.value.problems] == ["$.attributes[1].name"]


@pytest.mark.parametrize("name", ["it's", "größe", "a b", "\x7f", "\U0001f600", "x" * 255])
def test_events_can_be_read_with_every_other_name(name: str) -> None:
    reader = PayloadReader(canonical([Attribute(name=name, type="String")]))
    assert reader.from_json(json.dumps({name: "x"}).encode(), "$") == (("x",), None)


def test_canonical_names_every_problem() -> None:
    with pytest.raises(InvalidRequest) as refused:
        canonical(
            [
                Attribute(name="a", type="string"),
                Attribute(name="", type="number"),
                Attribute(name="a", type="colour"),
            ],
            "$.registration.attributes",
        )

    assert [problem.path for problem in refused.value.problems] == [
        "$.registration.attributes[1].name",
        "$.registration.attributes[2].name",
        "$.registration.attributes[2].type",
    ]
    assert canonical([Attribute(name="a", type="TIME", required=True)]) == (
        Attribute(name="a", type="Time", required=True),
    )


def test_union_keeps_the_order_and_requires_only_what_all_require() -> None:
    merged = union(
        [
            [Attribute(name="b", type="Number", required=True), Attribute(name="a", type="String", required=True)],
            [Attribute(name="c", type="json"), Attribute(name="b", type="number", required=True)],
        ]
    )

    assert merged == (
        Attribute(name="b", type="Number", required=True),
        Attribute(name="a", type="String"),
        Attribute(name="c", type="json"),
    )
    assert union([]) == ()


def test_union_of_two_types_is_a_conflict_that_names_the_attribute() -> None:
    with pytest.raises(Conflict, match="orderTotal"):
        union([[Attribute(name="orderTotal", type="Number")], [Attribute(name="orderTotal", type="decimal(9,2)")]])


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (" as is ", "String", " as is "),
        ("125.50", "Number", 125.5),
        ("+.5", "Number", 0.5),
        ("1e3", "Number", 1000.0),
        ("TRUE", "Boolean", True),
        ("false", "Boolean", False),
        ("2021-03-04T16:36:54.591Z", "Time", 1_614_875_814_591_000),
        ("-9223372036854775808", "integer", -(2**63)),
        ("007", "integer", 7),
        ("125.5", "decimal(9,2)", Decimal("125.50")),
        ('{"a": [1]}', "json", '{"a": [1]}'),
    ],
)
def test_text_is_read_as_its_type(text: str, kind: str, value: object) -> None:
    assert value == from_text(text, parse_type(kind))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("abc", "Number"),
        ("", "Number"),
        ("nan", "Number"),
        ("1e400", "Number"),
        ("1_000", "Number"),
        ("1,000", "Number"),
        (" 1", "Number"),
        ("yes", "Boolean"),
        ("2021-03-04", "Time"),
        ("9223372036854775808", "integer"),
        ("1.5", "integer"),
        ("1e19", "integer"),
        ("1e-1", "integer"),
        ("1e400", "integer"),
        ("1e999999999", "integer"),
        ("-9223372036854775809.0", "integer"),
        ("1" * 4_301, "Number"),
        (f"0.{'1' * 4_300}", "Number"),
        (f"1e{'0' * 4_300}1", "decimal(9,2)"),
        (f'{{"a": [{"1" * 4_301}]}}', "json"),
        ("1.005", "decimal(9,2)"),
        ("12345678.00", "decimal(9,2)"),
        ("1e9999", "decimal(38,2)"),
        ("{", "json"),
    ],
)
def test_text_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_text(text, parse_type(kind))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0", 1),
        ("1e2", 100),
        ("-2.50E+1", -25),
        ("-0.0", 0),
        ("9223372036854775807.000", 2**63 - 1),
        ("-9.223372036854775808e18", -(2**63)),
        ("1000e-3", 1),
    ],
)
def test_a_number_without_a_fraction_is_an_integer(text: str, value: int) -> None:
    found = from_text(text, parse_type("integer"))

    assert (found, type(found)) == (value, int)


def test_the_error_of_a_long_text_is_short() -> None:
    with pytest.raises(ValueError, match=r"is not a number") as refused:
        from_text("x" * 100_000, parse_type("Number"))
    assert len(str(refused.value)) < 200


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20), st.integers(0, 10))
def test_decimals_are_exact_or_refused(value: Decimal, scale: int) -> None:
    of = AttributeType(AttributeKind.DECIMAL, 20, scale)
    try:
        found = to_decimal(str(value), of)
    except ValueError:
        unscaled = value.scaleb(scale)
        assert unscaled != unscaled.to_integral_value() or abs(unscaled) >= 10**20
    else:
        assert found == value
        assert found.as_tuple().exponent == -scale


def test_paths_quote_what_is_not_a_plain_name() -> None:
    assert member("$.data", "orderTotal") == "$.data.orderTotal"
    assert member("$[3].data", "order total") == "$[3].data['order total']"
    assert member("$", "it's") == "$['it\\'s']"
