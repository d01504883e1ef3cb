from __future__ import annotations

import json

import msgspec
import pytest

from backbone.catalog import records
from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.view import CatalogView
from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.access import Workspace
from schemas.model.errors import CorruptRecord

WORKSPACE = Workspace(id="w1", name="acme", created_at=0, updated_at=0)
SCHEMA = RegisteredSchema(7, "events.acme.events.Offer-value", 3, '"string"')


class Consumed:
    """A record as a consumer hands it out."""

    def __init__(self, record: Record, timestamp: int = 5) -> None:
        self.record = record
        self._timestamp = timestamp

    def topic(self) -> str:
        return self.record.topic

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self.record.headers

    def timestamp(self) -> tuple[int, int]:
        return (2, self._timestamp)


def apply(view: CatalogView, *written: Record) -> None:
    for record in written:
        records.apply(view, Consumed(record))  # type: ignore[arg-type]


def test_a_resource_is_read_back_with_its_write_id() -> None:
    view = CatalogView()
    record = records.resource_record(WORKSPACE, "write-1")
    apply(view, record)
    assert view.workspace("acme") == WORKSPACE
    assert records.write_id_of(Consumed(record)) == "write-1"  # type: ignore[arg-type]
    apply(view, records.tombstone(topics.CATALOG, WORKSPACE.key.encode(), "write-2"))
    assert view.workspace("acme") is None


def test_a_schema_is_written_as_the_confluent_registry_writes_it() -> None:
    record = records.schema_record(SCHEMA, "write-1")
    assert record.key == (b'{"keytype":"SCHEMA","subject":"events.acme.events.Offer-value","version":3,"magic":1}')
    assert json.loads(record.value or b"") == {
        "subject": SCHEMA.subject,
        "version": 3,
        "id": 7,
        "schema": '"string"',
        "deleted": False,
    }
    view = CatalogView()
    apply(view, record)
    assert view.subject_versions(SCHEMA.subject) == (SCHEMA,)


def test_records_of_a_confluent_registry_are_understood() -> None:
    view = CatalogView()
    value = {"subject": "s", "version": 1, "id": 4, "md5": "x", "schemaType": "AVRO", "schema": "t", "deleted": False}
    key = b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}'
    apply(
        view,
        Record(topics.SCHEMAS, b"", b'{"keytype":"NOOP","magic":0}'),
        Record(topics.SCHEMAS, b'{"compatibilityLevel":"FULL"}', b'{"keytype":"CONFIG","subject":"s","magic":0}'),
        Record(topics.SCHEMAS, b'{"compatibilityLevel":"FULL"}', b'{"keytype":"CONFIG","subject":null,"magic":0}'),
        Record(topics.SCHEMAS, json.dumps(value).encode(), key),
    )
    assert view.subject_versions("s") == (RegisteredSchema(4, "s", 1, "t"),)
    apply(view, Record(topics.SCHEMAS, json.dumps(value | {"deleted": True}).encode(), key))
    assert view.subject_versions("s") == ()
    assert view.schema(4) is not None
    apply(view, Record(topics.SCHEMAS, None, key))


def test_a_deleted_subject_loses_its_versions() -> None:
    view = CatalogView()
    apply(
        view,
        records.schema_record(RegisteredSchema(1, "s", 1, "a"), "w"),
        records.schema_record(RegisteredSchema(2, "s", 2, "b"), "w"),
        Record(topics.SCHEMAS, b'{"subject":"s","version":1}', b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}'),
    )
    assert [each.version for each in view.subject_versions("s")] == [2]


@pytest.mark.parametrize(
    "record",
    [
        Record(topics.CATALOG, b"no JSON", b"workspace/acme"),
        Record(topics.CATALOG, b'{"kind":"unheard-of"}', b"workspace/acme"),
        Record(topics.CATALOG, b"\xff\xfe", b"workspace/acme"),
        Record(topics.CATALOG, b"", b"workspace/acme"),
        Record(topics.CATALOG, records.resource_record(WORKSPACE, "w").value, b"workspace/other"),
        Record(topics.SCHEMAS, b"no JSON", records.schema_record(SCHEMA, "w").key),
        Record(topics.SCHEMAS, records.schema_record(SCHEMA, "w").value, b"no JSON"),
        Record(topics.SCHEMAS, b"{}", b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}'),
        Record(
            topics.SCHEMAS,
            b'{"subject":"s","version":1,"id":2147483647,"schema":"t"}',
            b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
        ),
        Record(
            topics.SCHEMAS,
            records.schema_record(SCHEMA, "w").value,
            b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
        ),
    ],
)
def test_what_cannot_be_read_is_said_to_be_corrupt_and_changes_nothing(record: Record) -> None:
    view = CatalogView()
    apply(view, records.resource_record(WORKSPACE, "w"), records.schema_record(SCHEMA, "w"))
    with pytest.raises(CorruptRecord):
        apply(view, record)
    assert view.version == 2
    assert view.workspace("acme") == WORKSPACE
    assert view.subject_versions(SCHEMA.subject) == (SCHEMA,)


def test_what_restores_a_key_is_what_it_said_or_a_tombstone() -> None:
    view = CatalogView()
    good, schema = records.resource_record(WORKSPACE, "w"), records.schema_record(SCHEMA, "w")
    apply(view, good, schema)
    assert records.restoring_record(view, topics.CATALOG, b"workspace/acme", "w") == good
    assert records.restoring_record(view, topics.SCHEMAS, schema.key or b"", "w") == schema
    apply(view, records.resource_record(msgspec.structs.replace(WORKSPACE, id="w2", name="\ufffd"), "w"))
    for topic, key in (
        (topics.CATALOG, b"workspace/other"),
        (topics.CATALOG, b"\xff"),
        (topics.CATALOG, b"workspace/\xff"),
        (topics.SCHEMAS, b"no JSON"),
        (topics.SCHEMAS, b"\xff"),
        (topics.SCHEMAS, b"{}"),
        (topics.SCHEMAS, b'{"keytype": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
        (topics.SCHEMAS, b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}'),
    ):
        restoring = records.restoring_record(view, topic, key, "w")
        assert restoring == records.tombstone(topic, key, "w")
        # It is no poison itself: it would be restored for ever.
        apply(view, restoring)
