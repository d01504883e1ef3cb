"""The decoders that are kept for the schemas of the catalog."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backbone.catalog import decoders as module
from backbone.catalog.decoders import Decoders
from schemas.avro.schema import frame
from schemas.model.errors import CorruptRecord
from schemas.model.event_type import Attribute
from tests.unit.schemas.avro.event_types import event_type, schema_of
from tests.unit.schemas.avro.test_encoding import fastavro_bytes

SCHEMA = schema_of(event_type(Attribute(name="a", type="Number"), Attribute(name="b", type="String")))
ENVELOPE = dict.fromkeys(("id", "type", "source", "subject", "channel"), "x")
VALUE = frame(7) + fastavro_bytes(
    SCHEMA,
    ENVELOPE | {"time": 0, "received_at": 0, "identifiers": [], "data": {"a": 1.5, "b": "y"}, "lexical": None},
)


def decoders() -> Decoders:
    schemas = {7: SimpleNamespace(text=SCHEMA)}
    catalog: Any = SimpleNamespace(view=SimpleNamespace(schema=schemas.get))
    return Decoders(catalog)


def test_of_the_data_only_what_is_asked_for_is_read() -> None:
    found = decoders()
    assert found.data_value(VALUE, frozenset({"b", "c"})) == {"b": "y"}
    assert found.decode(VALUE).data_value() == {"a": 1.5, "b": "y"}
    with pytest.raises(CorruptRecord, match="schema 8 is not registered"):
        found.data_value(frame(8) + VALUE[5:], frozenset({"b"}))


def test_filters_that_come_and_go_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DATA_DECODERS", 10)
    found = decoders()
    for count in range(25):
        assert found.data_value(VALUE, frozenset({"a", f"at some time {count}"})) == {"a": 1.5}
        assert len(found._data_decoders) <= 10
