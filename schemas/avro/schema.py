"""Event type to Avro: the schema that analysts see, Avro names for any name, and the framing of a record's value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from schemas.avro.attributes import AttributeKind, AttributeType, parse_type
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.model.event_type import Attribute

NAME_PROPERTY = "headrace.name"
"""Field property: the attribute's name as registered."""
TYPE_PROPERTY = "headrace.type"
"""Field property: the attribute's type as registered."""

HEADER_LENGTH = 5
"""Bytes before the Avro data: the magic byte and the schema id."""
_MAGIC = 0

_NOT_AVRO = re.compile(r"[^A-Za-z0-9_]|^[0-9]|_(?=x[0-9a-f])", re.ASCII)
_MANGLED = re.compile(r"_x([0-9a-f]+)_")

_TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}
_AVRO_TYPES: dict[AttributeKind, Any] = {
    AttributeKind.STRING: "string",
    AttributeKind.NUMBER: "double",
    AttributeKind.BOOLEAN: "boolean",
    AttributeKind.TIME: _TIMESTAMP,
    AttributeKind.INTEGER: "long",
    AttributeKind.JSON: "string",
}


def schema_text(
    *,
    workspace: str,
    namespace: str,
    code: str,
    attributes: Sequence[Attribute] = (),
    open: bool = False,  # noqa: A002 -- the event type's own word for it
) -> str:
    """The Avro schema of an event type, as canonical JSON: equal types have equal texts.

    The record is ``events.<workspace>.<namespace>.<code>``: the envelope, with ``data`` as a nested record with one
    nullable field per attribute, in the order given; for an open type ``data`` is a string that holds JSON text.
    ``id``, ``type`` and ``source`` are the producer's; ``event_id`` is the gateway's id, ``clientid`` who published.
    """
    names = ("events", *map(mangle, (workspace, namespace, code)))
    full_name = ".".join(names)
    return json.dumps(
        {
            "type": "record",
            "name": names[-1],
            "namespace": ".".join(names[:-1]),
            "fields": [
                {"name": "id", "type": "string"},
                {"name": "type", "type": "string"},
                {"name": "source", "type": "string"},
                _nullable("subject", "string"),
                {"name": "time", "type": _TIMESTAMP},
                {"name": "received_at", "type": _TIMESTAMP},
                _nullable("channel", "string"),
                {"name": "identifiers", "type": {"type": "array", "items": _identifier(full_name)}, "default": []},
                {"name": "data", "type": "string" if open else _data(full_name, attributes)},
                _nullable("lexical", {"type": "map", "values": "string"}),
                {"name": "event_id", "type": "string", "default": ""},
                {"name": "clientid", "type": "string", "default": ""},
                _nullable("dataschema", "string"),
                _nullable("datacontenttype", "string"),
                {"name": "extensions", "type": {"type": "map", "values": "string"}, "default": {}},
            ],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def has_identity(schema: str) -> bool:
    """Whether a schema that ``schema_text`` made has the envelope's fields from ``event_id`` on.

    Schemas of earlier releases end with ``lexical``.
    """
    return any(field["name"] == "event_id" for field in json.loads(schema)["fields"])


def avro_type(of: AttributeType) -> Any:
    """The Avro type of an attribute's values."""
    if of.kind is AttributeKind.DECIMAL:
        return {"type": "bytes", "logicalType": "decimal", "precision": of.precision, "scale": of.scale}
    return _AVRO_TYPES[of.kind]


def mangle(name: str) -> str:
    """An Avro name for any non-empty name, reversible: a character that Avro does not allow becomes ``_x<hex>_``."""
    return _NOT_AVRO.sub(lambda match: f"_x{ord(match.group()):x}_", name)


def unmangle(name: str) -> str:
    """The name that ``mangle`` was given."""
    return _MANGLED.sub(lambda match: chr(int(match.group(1), 16)), name)


def frame(schema_id: int) -> bytes:
    """What goes before the Avro data: magic byte 0 and the schema id, four bytes big-endian."""
    return bytes((_MAGIC, *schema_id.to_bytes(4, "big")))


def unframe(value: bytes | None) -> tuple[int, int]:
    """The schema id of a framed value, and where its Avro data starts.

    Raises:
        CorruptRecord: the value is missing, too short, or begins with another magic byte.
    """
    if value is None or len(value) < HEADER_LENGTH:
        raise CorruptRecord("no Avro value: shorter than its five-byte header")
    if value[0] != _MAGIC:
        raise CorruptRecord(f"no Avro value: magic byte {value[0]} instead of 0")
    return int.from_bytes(value[1:HEADER_LENGTH], "big"), HEADER_LENGTH


def _data(full_name: str, attributes: Sequence[Attribute]) -> dict[str, Any]:
    fields = []
    for attribute in attributes:
        kind = parse_type(attribute.type)
        field = _nullable(mangle(attribute.name), avro_type(kind))
        fields.append(field | {NAME_PROPERTY: attribute.name, TYPE_PROPERTY: str(kind)})
    return {"type": "record", "name": "Data", "namespace": full_name, "fields": fields}


def _identifier(full_name: str) -> dict[str, Any]:
    fields = [{"name": "name", "type": "string"}, {"name": "value", "type": "string"}]
    return {"type": "record", "name": "Identifier", "namespace": full_name, "fields": fields}


def _nullable(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}
