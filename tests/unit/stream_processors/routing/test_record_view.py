"""What conditions see of a record of whose data only their attributes are read."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from backbone.catalog.decoders import Decoders
from backbone.kafka.records import Message
from schemas.avro.original_text import key
from schemas.avro.schema import frame, mangle
from schemas.filters.conditions import Condition
from schemas.model import timestamps
from schemas.model.event_type import Attribute
from stream_processors.routing.record_view import RecordView
from tests.unit.schemas.avro.event_types import event_type, schema_of

VALUES: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "text": ("String", st.sampled_from(["", "a", "2"])),
    "number": ("Number", st.sampled_from([-1.5, 0.0, 2.0])),
    "yes": ("Boolean", st.booleans()),
    "at": ("Time", st.sampled_from([0, 1_614_875_814_591_000])),
    "count": ("integer", st.integers(-1, 2)),
    "price in €": ("decimal(12,2)", st.decimals(-1, 2, places=1)),
    "more": ("json", st.sampled_from(['"a"', '{"a": 2, "b": ["a"]}', '[{"a": null}, {"b": {"a": 2}}]', "[]", "null"])),
}
SCHEMA = schema_of(event_type(*(Attribute(name=name, type=kind) for name, (kind, _) in VALUES.items())))
PARSED = fastavro.parse_schema(json.loads(SCHEMA))

NAMES = st.sampled_from([*VALUES, "of another version"])
LITERALS = st.sampled_from([None, True, False, "", "a", "2", -1.5, 0, 1, 2, "1970-01-01T00:00:00Z"])
OPERATORS: list[Any] = [
    {"exists": False},
    {"anything-but": "a"},
    {"prefix": "2"},
    {"suffix": "Z"},
    {"numeric": [">", 0]},
]
ALTERNATIVES = st.lists(LITERALS | st.sampled_from(OPERATORS), min_size=1, max_size=2) | st.just([{"exists": True}])


def combined(fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """The patterns, and what the operators over patterns make of them."""
    several = st.lists(fields, min_size=1, max_size=2)
    return st.one_of(
        fields,
        st.builds(lambda inner: {"$not": inner}, fields),
        st.builds(lambda parts, beside: beside | {"$or": parts}, several, st.just({}) | fields),
        st.builds(lambda parts, inner: {"$and": parts, "$not": inner}, several, fields),
    )


NESTED = combined(st.dictionaries(st.sampled_from("ab"), ALTERNATIVES, min_size=1))
DATA = st.dictionaries(NAMES, ALTERNATIVES | NESTED, min_size=1, max_size=2)
IN_HEADERS = st.dictionaries(st.sampled_from(["source", "subject", "time"]), ALTERNATIVES, min_size=1, max_size=1)
IN_VALUE = st.sampled_from([{"channel": ["a"]}, {"identifiers": {"a": ["a"]}}, {"data": [{"exists": True}]}])
OF_DATA = st.builds(lambda data: {"data": data}, combined(DATA))
PATTERNS = combined(st.one_of(OF_DATA, OF_DATA, OF_DATA, IN_HEADERS, IN_VALUE))

RECORDS = st.fixed_dictionaries(
    {
        "id": st.just("e1"),
        "type": st.just("Order"),
        "source": st.sampled_from(["a", "2"]),
        "subject": st.sampled_from([None, "a"]),
        "time": st.sampled_from([0, 1_614_875_814_591_000]),
        "received_at": st.just(0),
        "channel": st.sampled_from([None, "a"]),
        "clientid": st.sampled_from(["", "a", "b"]),
        "extensions": st.sampled_from([{}, {"a": "a"}]),
        "identifiers": st.sampled_from([[], [{"name": "a", "value": "a"}]]),
        "data": st.fixed_dictionaries(
            {mangle(name): st.one_of(values, values, st.none()) for name, (_, values) in VALUES.items()}
        ),
        "lexical": st.none() | st.dictionaries(NAMES.map(key), st.sampled_from(["null", "1.50", "2", "1970Z"])),
    }
)


def encoded(record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, PARSED, record)
    return frame(7) + stream.getvalue()


@given(PATTERNS, st.lists(RECORDS, min_size=3, max_size=3), st.sets(NAMES, max_size=1), st.sampled_from([1, 2]))
def test_a_condition_holds_of_its_attributes_alone_when_it_holds_of_the_whole_event(
    pattern: dict[str, Any], records: list[dict[str, Any]], of_others: set[str], version: int
) -> None:
    catalog: Any = SimpleNamespace(view=SimpleNamespace(schema={7: SimpleNamespace(text=SCHEMA)}.get))
    decoders = Decoders(catalog)
    condition = Condition(pattern, version)
    looked_at = None if condition.attributes is None else condition.attributes | of_others
    for record in records:
        value = encoded(record)
        sent = {"specversion": "1.0", "source": record["source"], "subject": record["subject"]}
        sent["time"] = timestamps.to_text(record["time"])
        if record["clientid"]:
            sent["clientid"] = record["clientid"]
        headers = [(f"ce_{name}", text.encode()) for name, text in sent.items() if text is not None]
        message: Any = Message(topic="t", value=value, headers=headers)

        seen = RecordView(message, value, decoders, looked_at)

        assert condition.matches(seen) is condition.matches(decoders.decode(value))
