"""Which texts are Avro schemas by the specification, and which of them are equal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.avro import compatibility, specification
from schemas.avro.attributes import AttributeKind
from schemas.avro.schema import schema_text
from schemas.model.errors import InvalidRequest
from schemas.model.event_type import Attribute, Compatibility


def record(*fields: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": fields} | members


def field(of: Any, **members: Any) -> dict[str, Any]:
    return {"name": "f", "type": of} | members


def defaulted(of: Any, default: Any) -> dict[str, Any]:
    return record(field(of, default=default))


ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 2}


@pytest.mark.parametrize(
    "schema",
    [
        "nope",
        5,
        None,
        {},
        {"type": "nope"},
        {"name": "x"},
        record(field("string", name="a-b")),
        record(field("string", name="1a")),
        record(field("string", name="")),
        record(field("string", name="é")),
        record(field("string", name=5)),
        record(field("string"), field("int")),
        record({"name": "f"}),
        record({"type": "int"}),
        record("f"),
        record(name="a-b"),
        record(name="a..b"),
        record(name="string"),
        record(name="a.int"),
        record(namespace="a-b"),
        record(namespace=5),
        record(aliases="a"),
        record(aliases=["a-b"]),
        record(aliases=[5]),
        record(field("int", aliases=["a.b"])),
        record(field("int", order="sideways")),
        {"type": "record", "name": "R"},
        {"type": "record", "fields": []},
        {"type": "record", "name": "R", "fields": {}},
        record(field({"type": "record", "name": "R", "fields": []})),
        record(field(ENUM), field(ENUM, name="g")),
        record(field("Other")),
        record(field("a.R")),
        defaulted("int", "1"),
        defaulted("int", 1.5),
        defaulted("int", 2**31),
        defaulted("int", True),
        defaulted("long", 2**63),
        defaulted("double", "1"),
        defaulted("string", None),
        defaulted("boolean", 0),
        defaulted("null", 0),
        defaulted("bytes", "\u0100"),
        defaulted(["null", "int"], "x"),
        defaulted(ENUM, "C"),
        defaulted(FIXED, "abc"),
        defaulted({"type": "array", "items": "int"}, ["x"]),
        defaulted({"type": "array", "items": "int"}, {}),
        defaulted({"type": "map", "values": "int"}, {"a": "x"}),
        defaulted(record(field("int"), name="Inner"), {}),
        defaulted(record(field("int"), name="Inner"), {"f": "x"}),
        ["int", "int"],
        ["int", {"type": "int"}],
        [{"type": "array", "items": "int"}, {"type": "array", "items": "string"}],
        ["null", ["int", "string"]],
        [{"type": "long", "logicalType": "timestamp-micros"}, "long"],
        {"type": "enum", "name": "E"},
        {"type": "enum", "name": "E", "symbols": "AB"},
        {"type": "enum", "name": "E", "symbols": ["A", "A"]},
        {"type": "enum", "name": "E", "symbols": ["a-b"]},
        {"type": "enum", "name": "E", "symbols": [1]},
        ENUM | {"default": "C"},
        ENUM | {"default": None},
        FIXED | {"size": -1},
        FIXED | {"size": "2"},
        FIXED | {"size": 2.0},
        FIXED | {"size": True},
        {"type": "fixed", "name": "F"},
        {"type": "array"},
        {"type": "array", "items": "nope"},
        {"type": "map"},
        {"type": "map", "values": {}},
        {"type": {"type": {"type": "nope"}}},
    ],
)
def test_invalid_schemas(schema: Any) -> None:
    text = json.dumps(schema)

    with pytest.raises(InvalidRequest, match="not an Avro schema"):
        specification.canonical(text)
    for level in Compatibility:
        with pytest.raises(InvalidRequest, match="not an Avro schema"):
            compatibility.check(text, ['"string"'], level)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "string",
        '"string" "int"',
        "NaN",
        '{"type":"fixed","name":"F","size":' + "1" * 5_000 + "}",
        "[" * 100_000,
    ],
)
def test_texts_that_are_no_schema(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not an Avro schema"):
        specification.canonical(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", {"type": "string"}),
        ("string", {"type": {"type": "string"}}),
        (record(field("string")), record(field({"type": "string"}), doc="d")),
        (record(field("int"), name="a.R"), record(field("int"), namespace="a")),
        (record(field("int"), name="a.R"), record(field("int"), name="a.R", namespace="ignored")),
        (record(field(["null", "R"]), name="a.R"), record(field(["null", "a.R"], default=None), namespace="a")),
        (record(field("int")), record(field("int", doc="d", order="ignore", aliases=["g"]), aliases=["a.S"])),
        (defaulted(["null", "int"], 5), defaulted(["null", "int"], None)),
        (defaulted(ENUM, "A"), record(field(ENUM | {"default": "B", "doc": "d"}))),
        (defaulted(FIXED, "ab"), defaulted(FIXED, "\u00ff\u0000")),
        (defaulted("double", 1), defaulted("double", 1.5)),
        (
            defaulted(record(field("int", default=1), name="Inner"), {}),
            defaulted(record(field("int", default=1), name="Inner"), {"f": 2}),
        ),
    ],
)
def test_equal_schemas(one: Any, other: Any) -> None:
    assert specification.canonical(json.dumps(one)) == specification.canonical(json.dumps(other, indent=1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", "bytes"),
        (record(field("int")), record(field("long"))),
        (record(field("int")), record(field("int", name="g"))),
        (record(), record(namespace="a")),
        (["null", "int"], ["int", "null"]),
        ("long", {"type": "long", "logicalType": "timestamp-micros"}),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3},
        ),
        (ENUM, ENUM | {"symbols": ["B", "A"]}),
        (FIXED, FIXED | {"size": 3}),
    ],
)
def test_other_schemas(one: Any, other: Any) -> None:
    assert specification.canonical(json.dumps(one)) != specification.canonical(json.dumps(other))


def test_our_own_schemas_are_valid() -> None:
    kinds = ["decimal(9,2)" if kind is AttributeKind.DECIMAL else kind.value for kind in AttributeKind]
    attributes = [Attribute(name=f"a {kind}", type=kind) for kind in kinds]
    for is_open in (False, True):
        text = schema_text(workspace="w.1", namespace="n", code="c/d", attributes=attributes, open=is_open)
        assert specification.canonical(text) == specification.canonical(json.dumps(json.loads(text), indent=2))
