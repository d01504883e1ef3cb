"""Compatibility levels: the event types we derive, general records, and agreement with what fastavro can read."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.compatibility import check
from schemas.avro.schema import schema_text
from schemas.model.errors import IncompatibleSchema, InvalidRequest
from schemas.model.event_type import Attribute, Compatibility


def event_schema(*attributes: tuple[str, str], open: bool = False) -> str:  # noqa: A002 -- the event type's own word
    return schema_text(
        workspace="acme",
        namespace="events",
        code="Order",
        attributes=[Attribute(name=name, type=kind) for name, kind in attributes],
        open=open,
    )


def record(*fields: dict[str, Any], name: str = "R", **rest: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), **rest})


def problems(new: str, *earlier: str, level: Compatibility = Compatibility.BACKWARD) -> list[tuple[str, str]]:
    try:
        check(new, earlier, level)
    except IncompatibleSchema as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


BASE = event_schema(("total", "Number"), ("order id", "String"))


@pytest.mark.parametrize("level", list(Compatibility))
def test_attributes_may_come_and_go_at_every_level(level: Compatibility) -> None:
    wider = event_schema(("total", "Number"), ("order id", "String"), ("paidAt", "Time"), ("lines", "json"))
    assert problems(wider, BASE, level=level) == []
    assert problems(BASE, wider, level=level) == []
    assert problems(event_schema(), BASE, wider, level=level) == []


def test_a_changed_attribute_type_names_the_attribute_and_both_types() -> None:
    changed = event_schema(("total", "Number"), ("order id", "Number"))
    assert problems(changed, BASE) == [
        ("$.data['order id']", "changes from String to Number, so that earlier events could not be read")
    ]
    assert problems(changed, BASE, level=Compatibility.FORWARD) == [
        (
            "$.data['order id']",
            "changes from String to Number, so that readers of an earlier version could not read on",
        )
    ]
    assert len(problems(changed, BASE, level=Compatibility.FULL)) == 2
    assert problems(changed, BASE, level=Compatibility.NONE) == []


@pytest.mark.parametrize(
    ("before", "after", "backward", "forward"),
    [
        ("integer", "Number", True, False),
        ("Number", "integer", False, True),
        ("json", "String", True, True),
        ("Time", "integer", False, False),
        ("Time", "Number", False, False),
        ("String", "decimal(10,2)", False, False),
        ("decimal(10,2)", "decimal(12,2)", False, False),
        ("decimal(10,2)", "decimal(10,3)", False, False),
        ("decimal(10,2)", "decimal(10,2)", True, True),
        ("Boolean", "String", False, False),
    ],
)
def test_attribute_type_changes(before: str, after: str, *, backward: bool, forward: bool) -> None:
    old, new = event_schema(("x", before)), event_schema(("x", after))
    assert backward is not bool(problems(new, old, level=Compatibility.BACKWARD))
    assert forward is not bool(problems(new, old, level=Compatibility.FORWARD))


def test_a_typed_event_type_cannot_become_open() -> None:
    assert [path for path, _ in problems(event_schema(open=True), BASE)] == ["$.data"]


def test_only_transitive_levels_look_past_the_latest_version() -> None:
    first, second, third = event_schema(("x", "String")), event_schema(), event_schema(("x", "Number"))
    assert problems(third, first, second) == []
    assert [path for path, _ in problems(third, first, second, level=Compatibility.BACKWARD_TRANSITIVE)] == ["$.data.x"]


def test_the_first_version_is_always_fine() -> None:
    assert problems(BASE, level=Compatibility.FULL_TRANSITIVE) == []


@pytest.mark.parametrize(
    ("new", "old", "backward", "forward"),
    [
        (record({"name": "a", "type": "string"}), record(), ["$.a"], []),
        (record({"name": "a", "type": "string", "default": ""}), record(), [], []),
        (record(), record({"name": "a", "type": "string"}), [], ["$.a"]),
        (
            record({"name": "b", "aliases": ["a"], "type": "string"}),
            record({"name": "a", "type": "string"}),
            [],
            ["$.a"],
        ),
        (record(name="Q"), record(name="R"), ["$"], ["$"]),
        (record(name="Q", aliases=["R"]), record(name="R"), [], ["$"]),
        (record(name="other.R"), record(name="some.R"), [], []),
        (record({"name": "a", "type": "long"}), record({"name": "a", "type": "int"}), [], ["$.a"]),
        (record({"name": "a", "type": "string"}), record({"name": "a", "type": "bytes"}), [], []),
        (record({"name": "a", "type": ["null", "int"]}), record({"name": "a", "type": "int"}), [], ["$.a"]),
        (record({"name": "a", "type": ["int", "string"]}), record({"name": "a", "type": ["string"]}), [], ["$.a"]),
        (record({"name": "a", "type": ["null", "long"]}), record({"name": "a", "type": ["null", "int"]}), [], ["$.a"]),
        (
            record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X"]}}),
            record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}}),
            ["$.a"],
            [],
        ),
        (
            record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X"], "default": "X"}}),
            record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}}),
            [],
            [],
        ),
        (
            record({"name": "a", "type": {"type": "fixed", "name": "F", "size": 4}}),
            record({"name": "a", "type": {"type": "fixed", "name": "F", "size": 8}}),
            ["$.a"],
            ["$.a"],
        ),
        (
            record({"name": "a", "type": {"type": "array", "items": "long"}}),
            record({"name": "a", "type": {"type": "array", "items": "int"}}),
            [],
            ["$.a[*]"],
        ),
        (
            record({"name": "a", "type": {"type": "map", "values": "int"}}),
            record({"name": "a", "type": {"type": "map", "values": "string"}}),
            ["$.a[*]"],
            ["$.a[*]"],
        ),
    ],
)
def test_general_schemas(new: str, old: str, backward: list[str], forward: list[str]) -> None:
    assert backward == [path for path, _ in problems(new, old, level=Compatibility.BACKWARD)]
    assert forward == [path for path, _ in problems(new, old, level=Compatibility.FORWARD)]


def test_an_object_whose_type_is_a_schema_stands_for_it() -> None:
    """Canonical form has it so, and both answers are given for one text."""
    old = record({"name": "a", "type": ["null", {"type": "array", "items": "long"}], "default": None})
    of = {"type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "x"}
    items = {"type": "array", "items": {"type": {"type": "long"}, "logicalType": "timestamp-micros"}}
    assert problems(record({"name": "a", "type": {"type": ["null", items]}}), old) == []
    assert problems(record({"name": "a", "type": of}), record({"name": "a", "type": of["type"]})) == []


def test_a_schema_that_holds_itself_ends() -> None:
    tree = {"name": "next", "type": ["null", "R"], "default": None}
    assert problems(record(tree, {"name": "v", "type": "long"}), record(tree, {"name": "v", "type": "int"})) == []
    assert [path for path, _ in problems(record(tree, {"name": "v", "type": "int"}), record(tree))] == ["$.v"]


@pytest.mark.parametrize("text", ["{", '"nope"', '{"type": "enum", "name": "x"}', "5", '{"type": "array"}'])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not an Avro schema"):
        check(text, [], Compatibility.BACKWARD)


VALUES = {"int": 5, "long": 2**40, "float": 1.5, "double": 2.5, "string": "x", "bytes": b"y", "boolean": True}
TYPES = st.sampled_from(sorted(VALUES))
FIELD_SETS = st.dictionaries(st.sampled_from("abc"), st.tuples(TYPES, st.booleans()), max_size=3)


def general(fields: dict[str, tuple[str, bool]]) -> dict[str, Any]:
    declared = [
        {"name": name, "type": ["null", kind], "default": None} if nullable else {"name": name, "type": kind}
        for name, (kind, nullable) in fields.items()
    ]
    return {"type": "record", "name": "R", "fields": declared}


@given(FIELD_SETS, FIELD_SETS)
def test_what_is_called_compatible_can_be_read(new: dict[str, Any], old: dict[str, Any]) -> None:
    """And the other way round: fastavro, given one event of every shape, fails where we say that it breaks."""
    written = [{name: VALUES[kind] for name, (kind, _) in old.items()}]
    if any(nullable for _, nullable in old.values()):
        written.append({name: None if nullable else VALUES[kind] for name, (kind, nullable) in old.items()})
    readable = True
    for value in written:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, fastavro.parse_schema(general(old)), value)
        buffer.seek(0)
        try:
            fastavro.schemaless_reader(
                buffer,
                fastavro.parse_schema(general(old)),
                fastavro.parse_schema(general(new)),
                return_record_name=False,
            )
        except (fastavro.read.SchemaResolutionError, UnicodeDecodeError):
            readable = False
    assert readable is not bool(problems(json.dumps(general(new)), json.dumps(general(old))))


@pytest.mark.parametrize(
    "schema",
    [
        record({"name": 7, "type": "string"}),
        record({"name": None, "type": "string"}),
        record({"name": ["a"], "type": "string"}),
        record({"name": "a", "type": "string", "aliases": [{}]}),
        record({"name": "a", "type": "string", "aliases": 7}),
        record({"name": "a", "type": "string", "headrace.name": 7}),
        record(aliases=None),
        record(aliases=[7]),
    ],
)
@pytest.mark.parametrize("level", [Compatibility.BACKWARD, Compatibility.FORWARD])
def test_a_name_that_is_no_text_makes_it_no_schema(schema: str, level: Compatibility) -> None:
    with pytest.raises(InvalidRequest):
        check(schema, [record({"name": "a", "type": "string"})], level)
