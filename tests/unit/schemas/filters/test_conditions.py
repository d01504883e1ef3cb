"""The filter language: what fits, what does not, and where a wrong filter is wrong."""

from __future__ import annotations

import json
import operator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.layout import parse_json
from schemas.filters.conditions import MAX_CONDITION_LENGTH, Condition, compile_condition, compile_filter
from schemas.filters.operators import scalar_key
from schemas.model import numbers
from schemas.model.endpoint import EventFilter
from schemas.model.errors import InvalidFilter
from schemas.model.event import Identifier, identifiers_by_name


class Event:
    """An event as conditions see it."""

    def __init__(self, data: Any = None, **fields: Any) -> None:
        self.data = data
        self.clientid: str = fields.get("clientid", "shop-1")
        self.code: str = fields.get("code", "Order")
        self.id: str = fields.get("id", "7")
        self.source: str = fields.get("source", self.clientid)
        self.type: str = fields.get("type", self.code)
        self.dataschema: str | None = fields.get("dataschema")
        self.datacontenttype: str | None = fields.get("datacontenttype")
        self.extensions: dict[str, Any] = fields.get("extensions", {})
        self.subject: str | None = fields.get("subject")
        self.channel: str | None = fields.get("channel")
        self.time: int = fields.get("time", 1_614_875_814_591_000)
        self.known_identifiers: tuple[Identifier, ...] = fields.get("identifiers", ())

    def identifier_values(self) -> dict[str, list[str]]:
        return identifiers_by_name(self.known_identifiers)

    def extension_values(self) -> dict[str, Any]:
        return self.extensions

    def data_value(self) -> Any:
        return self.data


def condition(pattern: Any) -> Condition:
    return compile_condition(json.dumps(pattern))


def written(condition: str, value: str) -> bool:
    """Whether a condition on ``x``, as JSON text, fits a number, as JSON text."""
    return compile_condition(f'{{"data": {{"x": [{condition}]}}}}').matches(Event(parse_json(f'{{"x": {value}}}')))


def fits(alternatives: list[Any], value: Any) -> bool:
    return condition({"data": {"x": alternatives}}).matches(Event({"x": value}))


@pytest.mark.parametrize(
    ("alternatives", "value", "expected"),
    [
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        ([1], 1.0, True),
        ([1], True, False),
        ([True], 1, False),
        ([True], True, True),
        ([False], 0, False),
        (["1"], 1, False),
        ([None], None, True),
        ([0.1], Decimal("0.1"), True),
        ([125.5], Decimal("125.50"), True),
        ([3], Decimal("3.00"), True),
        ([{"in": ["a", 2]}], 2, True),
        ([{"in": ["a", 2]}], "2", False),
        ([{"prefix": "ab"}], "abc", True),
        ([{"prefix": "ab"}], "cab", False),
        ([{"prefix": "1"}], 1, False),
        ([{"suffix": ".png"}], "a.png", True),
        ([{"suffix": ".png"}], "a.jpg", False),
        ([{"anything-but": "a"}], "b", True),
        ([{"anything-but": "a"}], "a", False),
        ([{"anything-but": ["a", 1]}], 1.0, False),
        ([{"anything-but": ["a", 1]}], None, True),
        ([{"anything-but": {"prefix": "te"}}], "test", False),
        ([{"anything-but": {"prefix": "te"}}], "live", True),
        ([{"anything-but": {"suffix": "st"}}], "test", False),
        ([{"anything-but": {"suffix": "st"}}], {"a": 1}, False),
        ([{"anything-but": "a"}], {"a": 1}, False),
        ([{"numeric": [">", 5]}], 6, True),
        ([{"numeric": [">", 5]}], 5, False),
        ([{"numeric": [">=", 5, "<", 7]}], 5, True),
        ([{"numeric": [">=", 5, "<", 7]}], 7, False),
        ([{"numeric": ["=", 5]}], Decimal(5), True),
        ([{"numeric": ["<=", 5]}], "4", False),
        ([{"numeric": ["<", 5]}], True, False),
        ([{"exists": True}], None, True),
        ([{"exists": True}], {}, True),
        ([{"exists": False}], None, False),
        ([{"exists": True}], [], True),
        (["a", {"numeric": [">", 3]}], 4, True),
        (["a", {"numeric": [">", 3]}], "a", True),
        (["a", {"numeric": [">", 3]}], 2, False),
        (["a"], ["b", ["a"]], True),
        (["a"], [], False),
        ([{"anything-but": "a"}], ["a", "b"], True),
        ([{"numeric": [">", 3]}], [1, 9], True),
        (["a"], {"a": "a"}, False),
    ],
)
def test_alternatives(alternatives: list[Any], value: Any, expected: bool) -> None:  # noqa: FBT001 -- a column
    assert expected is fits(alternatives, value)


@pytest.mark.parametrize("alternative", [None, "a", {"prefix": "a"}, {"anything-but": "a"}, {"numeric": ["<", 1]}])
def test_an_absent_field_fits_nothing_but_exists_false(alternative: Any) -> None:
    event = Event({"y": 1})
    assert not condition({"data": {"x": [alternative]}}).matches(event)
    assert condition({"data": {"x": [alternative, {"exists": False}]}}).matches(event)
    assert not condition({"data": {"x": [alternative, {"exists": True}]}}).matches(event)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1, "c": 3}}, False),
        ({"a": [{"b": 1, "c": 3}, {"b": 1, "c": 2}]}, True),
        ({"a": [{"b": 1}, {"c": 2}]}, False),
        ({"a": "text"}, False),
        ([{"a": {"b": 1, "c": 2}}], True),
        ("text", False),
        (None, False),
    ],
)
def test_nested_fields_hold_together_in_one_object(data: Any, expected: bool) -> None:  # noqa: FBT001 -- a column
    assert expected is condition({"data": {"a": {"b": [1], "c": [2]}}}).matches(Event(data))


@pytest.mark.parametrize("data", [{}, {"a": {}}, {"a": []}, {"a": 5}, 7, None, []])
def test_exists_false_looks_through_what_is_not_there(data: Any) -> None:
    assert condition({"data": {"a": {"b": [{"exists": False}]}}}).matches(Event(data))


def test_data_may_be_no_object_at_all() -> None:
    assert condition({"data": ["go"]}).matches(Event("go"))
    assert condition({"data": [2]}).matches(Event([1, 2]))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["shop-1"]}, True),
        ({"source": [{"prefix": "till-"}]}, False),
        ({"type": ["Order"]}, True),
        ({"subject": [{"exists": False}]}, False),
        ({"subject": [None]}, False),
        ({"channel": [{"exists": False}]}, True),
        ({"channel": [None]}, False),
        ({"time": [{"prefix": "2021-03-04T16:"}]}, True),
        ({"time": ["2021-03-04T16:36:54.591Z"]}, True),
        ({"identifiers": {"customer": ["c2"]}}, True),
        ({"identifiers": {"customer": ["c3"]}}, False),
        ({"identifiers": {"order": [{"exists": False}]}}, True),
        ({"source": ["shop-1"], "type": ["Refund"]}, False),
    ],
)
def test_the_envelope(pattern: Any, expected: bool) -> None:  # noqa: FBT001 -- a column
    identifiers = (Identifier("customer", "c1"), Identifier("customer", "c2"))
    assert expected is condition(pattern).matches(Event(subject="s", identifiers=identifiers))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"$or": [{"source": ["other"]}, {"data": {"x": [1]}}]}, True),
        ({"$or": [{"source": ["other"]}, {"data": {"x": [2]}}]}, False),
        ({"$and": [{"source": ["shop-1"]}, {"data": {"x": [1]}}]}, True),
        ({"$and": [{"source": ["shop-1"]}, {"data": {"x": [2]}}]}, False),
        ({"$not": {"data": {"x": [1]}}}, False),
        ({"$not": {"data": {"x": [2]}}, "source": ["shop-1"]}, True),
        ({"data": {"$or": [{"x": [2]}, {"y": ["b"]}], "x": [1]}}, True),
        ({"data": {"$not": {"z": [{"exists": True}]}}}, True),
    ],
)
def test_operators_over_patterns(pattern: Any, expected: bool) -> None:  # noqa: FBT001 -- a column
    assert expected is condition(pattern).matches(Event({"x": 1, "y": "b"}))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ([], "$"),
        ({}, "$"),
        ("x", "$"),
        ({"payload": ["a"]}, "$.payload"),
        ({"$nor": [{"source": ["a"]}]}, "$.$nor"),
        ({"source": "a"}, "$.source"),
        ({"source": []}, "$.source"),
        ({"source": {"a": ["b"]}}, "$.source"),
        ({"identifiers": ["b"]}, "$.identifiers"),
        ({"data": {}}, "$.data"),
        ({"data": {"total": 5}}, "$.data.total"),
        ({"data": {"total amount": 5}}, "$.data['total amount']"),
        ({"data": {"total": [[1]]}}, "$.data.total[0]"),
        ({"data": {"total": [1, {"greater": 2}]}}, "$.data.total[1].greater"),
        ({"data": {"total": [{"prefix": "a", "suffix": "b"}]}}, "$.data.total[0]"),
        ({"data": {"total": [{}]}}, "$.data.total[0]"),
        ({"data": {"total": [{"prefix": 5}]}}, "$.data.total[0].prefix"),
        ({"data": {"total": [{"suffix": ""}]}}, "$.data.total[0].suffix"),
        ({"data": {"total": [{"in": []}]}}, "$.data.total[0].in"),
        ({"data": {"total": [{"in": [1, {}]}]}}, "$.data.total[0].in[1]"),
        ({"data": {"total": [{"exists": "yes"}]}}, "$.data.total[0].exists"),
        ({"data": {"total": [{"exists": True}, {"exists": False}]}}, "$.data.total[1].exists"),
        ({"data": {"total": [{"anything-but": {"numeric": [">", 1]}}]}}, "$.data.total[0].anything-but"),
        ({"data": {"total": [{"anything-but": {"prefix": 1}}]}}, "$.data.total[0].anything-but.prefix"),
        ({"data": {"total": [{"numeric": []}]}}, "$.data.total[0].numeric"),
        ({"data": {"total": [{"numeric": [">"]}]}}, "$.data.total[0].numeric"),
        ({"data": {"total": [{"numeric": ["!=", 1]}]}}, "$.data.total[0].numeric[0]"),
        ({"data": {"total": [{"numeric": [">", 1, "<", "5"]}]}}, "$.data.total[0].numeric[3]"),
        ({"data": {"total": [{"numeric": [">", True]}]}}, "$.data.total[0].numeric[1]"),
        ({"$or": {"source": ["a"]}}, "$.$or"),
        ({"$or": []}, "$.$or"),
        ({"$or": [{"source": ["a"]}, {"nope": ["a"]}]}, "$.$or[1].nope"),
        ({"$not": [{"source": ["a"]}]}, "$.$not"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_position(pattern: Any, path: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        condition(pattern)
    assert [problem.path for problem in refused.value.problems] == [path]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"source": ["a"]', "line 1, column 17"),
        ('{"source":\n [a]}', "line 2, column 3"),
        ('{"data": {"x": [NaN]}}', "NaN"),
        ('{"data": {"x": [1], "x": [2]}}', "'x' twice"),
        ('{"data": {"x": [' + "1" * 5_000 + "]}}", "more than 4,300 digits"),
        ('{"data": {"x": [1.' + "1" * 4_300 + "]}}", "more than 4,300 digits"),
        ('{"data": {"x": [{"numeric": [">", 1e' + "0" * 4_300 + "1]}]}}", "more than 4,300 digits"),
        ("[" * 50_000, "nested deeper"),
        ('{"$not": ' * 70 + '{"source": ["a"]}' + "}" * 70, "nested deeper"),
        (" " * (MAX_CONDITION_LENGTH + 1), "longer than"),
    ],
)
def test_text_that_is_no_condition(text: str, part: str) -> None:
    with pytest.raises(InvalidFilter, match=part):
        compile_condition(text)


@pytest.mark.parametrize(
    ("pattern", "attributes"),
    [
        ({"source": ["a"], "type": ["b"], "subject": ["c"], "time": ["d"]}, set()),
        ({"source": ["a"], "$not": {"channel": ["b"]}}, None),
        ({"identifiers": {"a": ["b"]}, "data": {"x": [1]}}, None),
        ({"$or": [{"source": ["a"]}, {"data": {"x": [1], "y": {"z": [2]}}}]}, {"x", "y"}),
        ({"data": {"$and": [{"x": [1]}, {"$not": {"y": {"$or": [{"z": [2]}]}}}]}}, {"x", "y"}),
        ({"data": {"x": [1]}, "$not": {"data": ["text"]}}, None),
    ],
)
def test_attributes_are_all_that_a_condition_looks_at_in_the_value(pattern: Any, attributes: set[str] | None) -> None:
    assert condition(pattern).attributes == attributes


def test_equality_terms_are_those_that_every_match_satisfies() -> None:
    terms = condition(
        {
            "source": ["a", "b"],
            "data": {"x": [1, {"in": [2]}], "y": [{"prefix": "p"}], "z": ["q", {"exists": False}]},
            "$and": [{"data": {"n": {"m": ["deep"]}}}],
            "$or": [{"type": ["never"]}],
            "$not": {"subject": ["never"]},
        }
    ).equality_terms()
    assert {term.path: term.keys for term in terms} == {
        ("source",): {"a", "b"},
        ("data", "x"): {1, 2},
        ("data", "n", "m"): {"deep"},
    }


def test_an_event_filter_is_its_lists_and_its_condition() -> None:
    compiled = compile_filter(
        EventFilter(
            id="f",
            workspace="w",
            name="f",
            types=(),
            sources=("shop-1", "shop-2"),
            channels=("till",),
            identifiers={"customer": ("c1",), "order": ()},
            condition='{"data": {"x": [1]}}',
            created_at=0,
            updated_at=0,
        )
    )
    assert compiled is not None
    event = Event({"x": 1}, channel="till", identifiers=(Identifier("customer", "c1"),))
    assert compiled.matches(event)
    event.channel = "web"
    assert not compiled.matches(event)
    assert {term.path for term in compiled.equality_terms()} == {
        ("clientid",),
        ("channel",),
        ("identifiers", "customer"),
        ("data", "x"),
    }


@pytest.mark.parametrize(
    ("pattern", "version", "expected"),
    [
        ({"source": ["/o"]}, 2, True),
        ({"source": ["/o"]}, 1, False),
        ({"source": ["client"]}, 2, False),
        ({"source": ["client"]}, 1, True),
        ({"type": ["shop/Order"]}, 2, True),
        ({"type": ["shop/Order"]}, 1, False),
        ({"type": ["Order"]}, 2, False),
        ({"type": ["Order"]}, 1, True),
        ({"clientid": ["client"], "id": ["8"], "dataschema": [{"prefix": "http:"}]}, 2, True),
        ({"datacontenttype": [{"exists": False}]}, 2, True),
        ({"extensions": {"region": ["eu"], "n": [{"numeric": [">", 4]}]}}, 2, True),
        ({"extensions": {"n": ["5"]}}, 2, False),
        ({"extensions": {"other": [{"exists": False}]}}, 2, True),
    ],
)
def test_the_attributes_of_a_cloudevent_by_the_version_of_the_filter(
    pattern: Any,
    version: int,
    expected: bool,  # noqa: FBT001 -- a column
) -> None:
    event = Event(
        clientid="client",
        code="Order",
        source="/o",
        type="shop/Order",
        id="8",
        dataschema="http://x/y",
        extensions={"region": "eu", "n": 5},
    )
    plain = EventFilter(
        id="f",
        workspace="w",
        name="f",
        types=(),
        condition=json.dumps(pattern),
        version=version,
        created_at=0,
        updated_at=0,
    )
    compiled = compile_filter(plain)
    assert compiled is not None
    assert expected is compiled.matches(event)
    sources = msgspec.structs.replace(plain, condition=None, sources=("/o",), version=version)
    by_sources = compile_filter(sources)
    assert by_sources is not None
    assert by_sources.matches(event) is (version == 2)


def test_a_stored_filter_without_a_version_is_of_version_1() -> None:
    stored = b'{"kind":"event_filter","id":"f","workspace":"w","name":"f","types":[],"created_at":0,"updated_at":0}'
    assert msgspec.json.decode(stored, type=EventFilter).version == 1


@pytest.mark.parametrize("field", ["id", "clientid", "dataschema", "datacontenttype", "extensions", "code"])
def test_version_1_has_the_fields_that_it_had(field: str) -> None:
    with pytest.raises(InvalidFilter):
        compile_condition(json.dumps({field: ["x"]}), version=1)


def test_an_unknown_version_is_refused() -> None:
    unknown = EventFilter(id="f", workspace="w", name="f", types=(), version=3, created_at=0, updated_at=0)
    with pytest.raises(InvalidFilter, match="version 3"):
        compile_filter(unknown)


def test_an_event_filter_without_restrictions_has_no_condition() -> None:
    plain = EventFilter(id="f", workspace="w", name="f", types=(), created_at=0, updated_at=0)
    assert compile_filter(plain) is None


def test_a_wrong_condition_of_an_event_filter_is_refused() -> None:
    wrong = EventFilter(
        id="f", workspace="w", name="f", types=(), sources=("a",), condition="{}", created_at=0, updated_at=0
    )
    with pytest.raises(InvalidFilter):
        compile_filter(wrong)


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


@given(SCALARS, SCALARS)
def test_a_literal_fits_what_json_holds_equal(literal: Any, value: Any) -> None:
    same_kind = isinstance(literal, bool) is isinstance(value, bool)
    assert fits([literal], value) is (same_kind and literal == value)


@given(DATA, st.dictionaries(st.sampled_from("abc"), st.lists(SCALARS, min_size=1, max_size=2), min_size=1))
def test_what_matches_satisfies_every_equality_term(data: Any, pattern: dict[str, list[Any]]) -> None:
    compiled = condition({"data": pattern})
    if compiled.matches(Event(data)):
        for term in compiled.equality_terms():
            assert not term.keys.isdisjoint(keys_at(data, term.path[1:]))


def keys_at(value: Any, path: tuple[str, ...]) -> set[Any]:
    if isinstance(value, list):
        return {key for element in value for key in keys_at(element, path)}
    if not path:
        return {scalar_key(value)}
    return keys_at(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else set()


@pytest.mark.parametrize("pattern", [{"a": ["x"]}, {"a": {"b": ["x"]}}, {"a": [{"anything-but": ["y"]}]}])
def test_arrays_in_arrays_are_looked_into_however_deep_they_are(pattern: Any) -> None:
    for innermost, expected in (("x", "b" not in pattern["a"]), ({"b": "x"}, "b" in pattern["a"]), ([], False)):
        nested: Any = innermost
        for _ in range(5_000):
            nested = [nested]
        found = condition({"data": pattern}).matches(Event({"a": nested}))
        assert found is expected


def test_an_empty_array_inside_an_array_has_no_members() -> None:
    absent = condition({"data": {"a": {"b": [{"exists": False}]}}})
    assert absent.matches(Event({"a": [[], {"b": 1}]}))
    assert not absent.matches(Event({"a": [[{"b": 1}], {"b": 1}]}))


@pytest.mark.parametrize("number", ["1e9999999999999999", "-1e99999999999999999999"])
def test_a_number_beyond_all_numbers_is_refused(number: str) -> None:
    with pytest.raises(InvalidFilter, match=f"too large: {number}"):
        compile_condition(f'{{"data": {{"x": [{{"numeric": ["<", {number}]}}]}}}}')


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ('{"numeric": [">", 123456789012345678.91]}', "123456789012345679.00", True),
        ('{"numeric": [">", 123456789012345678.91]}', "123456789012345678.91", False),
        ('{"numeric": [">=", 123456789012345678.91]}', "123456789012345678.910", True),
        ('{"numeric": ["<", 123456789012345678.91]}', "123456789012345678.90", True),
        ("123456789012345678.91", "123456789012345678.910", True),
        ("123456789012345678.91", "123456789012345678.92", False),
        ('{"anything-but": 123456789012345678.91}', "123456789012345678.92", True),
        ('{"anything-but": [123456789012345678.91]}', "123456789012345678.91", False),
        ('{"in": [1, 9007199254740993.0]}', "9007199254740993", True),
        ('{"in": [1, 9007199254740993.0]}', "9007199254740992", False),
        ("9007199254740993", "9007199254740993.0", True),
        ("9007199254740993", "9007199254740992.0", False),
        ("1e23", "1" + "0" * 23, True),
        ("99999999999999991611392", "1e23", False),
        ("0.1", "0.1000000000000000055511151231257827021181583404541015625", False),
        ("0.1000000000000000055511151231257827021181583404541015625", "0.1", False),
        ('{"numeric": ["<", 0.1000000000000000001]}', "0.1", True),
        ('{"numeric": [">", 0.1000000000000000001]}', "0.1", False),
        ('{"numeric": [">", 0.1]}', "0.1000000000000000001", True),
        ("1e2", "100", True),
        ("100", "1.00e2", True),
        ("0", "-0", True),
        ("-0.0", "0", True),
        ("0", "0e99999999999999999999", True),
        ("1e400", "1" + "0" * 400, True),
        ('{"numeric": [">", 1e399, "<", 1e401]}', "1e400", True),
        ("1e4400", "10e4399", True),
        ('{"numeric": ["<", 1e999999999]}', "1e999999998", True),
        ('{"numeric": [">", 0]}', "1e-999999999", True),
        ('{"numeric": ["<", 1e-400]}', "1e-401", True),
        ('{"numeric": ["=", 3e-324]}', "5e-324", False),
        ('{"numeric": [">", 5]}', "1e99999999999999999999", True),
        ("9" * 4_300, "9" * 4_300 + ".0", True),
        (f'{{"numeric": ["<", {"9" * 4_300}]}}', "9" * 4_299, True),
        ("true", "1", False),
        ('"1"', "1", False),
    ],
)
def test_numbers_compare_by_the_values_that_their_texts_say(condition: str, value: str, expected: bool) -> None:  # noqa: FBT001
    assert written(condition, value) is expected


DECIMALS = st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?", fullmatch=True) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)


@given(DECIMALS, DECIMALS)
def test_numbers_compare_as_decimals_do(left: str, right: str) -> None:
    for symbol, compare in (("<", operator.lt), ("=", operator.eq), (">=", operator.ge)):
        expected = compare(Decimal(right), Decimal(left))
        assert written(f'{{"numeric": ["{symbol}", {left}]}}', right) is expected
        assert fits([{"numeric": [symbol, float(left)]}], float(right)) is compare(float(right), float(left))
    assert written(left, right) is (Decimal(left) == Decimal(right))
    assert (scalar_key(numbers.read(left)) == scalar_key(numbers.read(right))) is (Decimal(left) == Decimal(right))
    assert written(left, left)


@pytest.mark.parametrize(
    "alternatives",
    [
        ["2021-03-04T16:36:54.591Z"],
        ["2021-03-04t17:36:54.591000+01:00"],
        [{"in": ["x", "2021-03-04 16:36:54,591z"]}],
        [{"prefix": "2021-03-04T16"}],
        [{"anything-but": ["2021-03-04T16:36:54Z"]}],
    ],
)
def test_a_time_is_found_however_it_is_spelled(alternatives: list[Any]) -> None:
    found = condition({"time": alternatives})

    assert found.matches(Event())
    assert all("2021-03-04T16:36:54.591Z" in term.keys for term in found.equality_terms())
    assert not condition({"time": [{"anything-but": "2021-03-04T17:36:54.591+01:00"}]}).matches(Event())
