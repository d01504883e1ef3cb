"""The records of ``catalog`` and ``_schemas``: how the view's contents are written down and read back.

``_schemas`` is kept as the Confluent Schema Registry keeps it, so that either can take over the other's topic: JSON
keys ``{"keytype": "SCHEMA", "subject": …, "version": …, "magic": 1}`` in that order, because compaction compares bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from backbone.catalog.authenticity import WRITE_ID
from backbone.catalog.indexes import RegisteredSchema
from backbone.kafka.records import Record, headers_of
from schemas.model import topics
from schemas.model.errors import CorruptRecord
from schemas.model.resources import decode_resource, encode_resource

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import ConsumedRecord
    from schemas.model.resources import Resource

_SHOWN = 300
"""Characters or bytes of a key in a message."""


class _SchemaKey(msgspec.Struct):
    keytype: str
    subject: str | None = None
    version: int = 0
    magic: int = 1


class _SchemaValue(msgspec.Struct):
    subject: str
    version: int
    # Four bytes of every event say it; new ids follow the largest.
    id: Annotated[int, msgspec.Meta(ge=0, lt=2**31 - 1)]
    schema: str
    deleted: bool = False


class _SubjectDeletion(msgspec.Struct):
    subject: str
    version: int


_KEYS = msgspec.json.Decoder(_SchemaKey)
_VALUES = msgspec.json.Decoder(_SchemaValue)
_DELETIONS = msgspec.json.Decoder(_SubjectDeletion)


def resource_record(resource: Resource, write_id: str) -> Record:
    """The record that puts a resource."""
    return Record(topics.CATALOG, encode_resource(resource), resource.key.encode(), _headers(write_id))


def tombstone(topic: str, key: bytes, write_id: str) -> Record:
    """The record that deletes a key."""
    return Record(topic, None, key, _headers(write_id))


def schema_record(schema: RegisteredSchema, write_id: str) -> Record:
    """The record that registers a schema version."""
    key = _SchemaKey("SCHEMA", schema.subject, schema.version)
    value = _SchemaValue(schema.subject, schema.version, schema.id, schema.text)
    return Record(topics.SCHEMAS, msgspec.json.encode(value), msgspec.json.encode(key), _headers(write_id))


def restoring_record(view: CatalogView, topic: str, key: bytes, write_id: str) -> Record:
    """The record that puts back what a key last said, as the view has it; a tombstone when it said nothing."""
    if topic == topics.CATALOG:
        resource = view.get(key.decode(errors="replace"))
        if resource is None or resource.key.encode() != key:
            return tombstone(topic, key, write_id)
        return resource_record(resource, write_id)
    try:
        parsed = _KEYS.decode(key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return tombstone(topic, key, write_id)
    for schema in view.subject_versions(parsed.subject or ""):
        if parsed.keytype == "SCHEMA" and schema.version == parsed.version:
            restored = schema_record(schema, write_id)
            return Record(topic, restored.value, key, restored.headers)
    return tombstone(topic, key, write_id)


def write_id_of(message: ConsumedRecord) -> str | None:
    """The write that a record belongs to, or None for a record that no writer of ours wrote."""
    for name, value in headers_of(message):
        if name == WRITE_ID and value is not None:
            return value.decode(errors="replace")
    return None


def apply(view: CatalogView, message: ConsumedRecord) -> None:
    """Apply a record of either topic to the view.

    Raises:
        CorruptRecord: it cannot be read; the view is unchanged.
    """
    key, value = _bytes(message.key()), message.value()
    if message.topic() == topics.CATALOG:
        _apply_resource(view, key, None if value is None else _bytes(value), message.timestamp()[1] * 1_000)
    else:
        _apply_schema(view, key, None if value is None else _bytes(value))


def _apply_resource(view: CatalogView, key: bytes, value: bytes | None, appended_at: int) -> None:
    if value is None:
        view.remove(key.decode(errors="replace"))
        return
    resource = decode_resource(value)
    if resource.key.encode() != key:
        raise CorruptRecord(f"the record with key {key[:_SHOWN]!r} is about {resource.key[:_SHOWN]!r}")
    view.put(resource, appended_at)


def _apply_schema(view: CatalogView, key: bytes, value: bytes | None) -> None:
    try:
        parsed = _KEYS.decode(key)
        if parsed.keytype == "SCHEMA":
            found = None if value is None else _VALUES.decode(value)
            if found is None:
                view.remove_schema(parsed.subject or "", parsed.version)
            elif (found.subject, found.version) != (parsed.subject, parsed.version):
                about = f"{found.subject[:_SHOWN]} version {found.version}"
                raise CorruptRecord(f"the record with key {key[:_SHOWN]!r} is about {about}")
            else:
                view.put_schema(RegisteredSchema(found.id, found.subject, found.version, found.schema))
                if found.deleted:
                    view.remove_schema(found.subject, found.version, keep_id=True)
        elif parsed.keytype == "DELETE_SUBJECT" and value is not None:
            deletion = _DELETIONS.decode(value)
            for schema in view.subject_versions(deletion.subject):
                if schema.version <= deletion.version:
                    view.remove_schema(schema.subject, schema.version, keep_id=True)
        # Other key types (CONFIG, MODE, NOOP, …) are a foreign registry's own business.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A key that says nothing had nothing to lose: its tombstone, with which it is restored, is no poison.
        if value is not None:
            raise CorruptRecord(f"not a schema registry record: {error}") from error


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _headers(write_id: str) -> list[tuple[str, bytes]]:
    return [(WRITE_ID, write_id.encode())]
