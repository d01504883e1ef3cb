"""The difference of two schemas: which attributes, and that large ones hold nobody up."""

from __future__ import annotations

import json
import time
from typing import Any

from families.console.http.event_types import difference


def schema(fields: list[Any], **members: Any) -> str:
    data = {"name": "data", "type": {"type": "record", "name": "Data", "fields": fields}}
    return json.dumps({"type": "record", "name": "r", "fields": [{"name": "id", "type": "string"}, data], **members})


def field(name: str, of: str) -> dict[str, str]:
    return {"name": name, "type": of}


def test_it_names_the_attributes_that_differ() -> None:
    before = schema([field("same", "int"), field("gone", "int"), field("wider", "int")])
    after = schema([field("same", "int"), field("wider", "long"), field("more", "int")], doc="told")
    found = difference(before, after)
    assert [text for sign, text in found if sign == "@"] == ["data.gone", "the schema", "data.wider", "data.more"]
    assert ("-", '  "type": "int"') in found
    assert ("+", '  "type": "long"') in found
    assert ("+", '  "doc": "told"') in found
    assert difference(before, before) == []


def test_large_schemas_take_milliseconds() -> None:
    kinds = ("string", "int", "long", "double", "boolean")
    before = schema([field(f"a{at}", kinds[at % 5]) for at in range(8_000)])
    after = schema([field(f"a{at * 7 % 8_000}", kinds[at * 7 % 5]) for at in range(8_000)])
    started = time.thread_time()
    found = difference(before, after)
    # A comparison of lines took half a second for a quarter of them.
    assert time.thread_time() - started < 1
    assert len(found) <= 2_001
