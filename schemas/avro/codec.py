"""Reading events back from their Avro values, and printing their data as it was sent."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.avro import original_text
from schemas.avro.attributes import AttributeKind, parse_type
from schemas.avro.decoding import data_reader, event_reader
from schemas.avro.layout import Layout, layout_of, parse_json
from schemas.avro.schema import NAME_PROPERTY, TYPE_PROPERTY, avro_type, unframe, unmangle
from schemas.model import timestamps
from schemas.model.errors import CorruptRecord, InvalidRequest
from schemas.model.event import ExtensionValue, Identifier, identifiers_by_name, known_identifiers
from schemas.model.ids import cloudevent_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.avro.attributes import AttributeType
    from schemas.avro.decoding import Reader

    Checks = Sequence[tuple[str, Callable[[Any], Any]]]

_OLDER_ENVELOPE = (
    "id",
    "type",
    "source",
    "subject",
    "time",
    "received_at",
    "channel",
    "identifiers",
    "data",
    "lexical",
)
_ENVELOPE = (*_OLDER_ENVELOPE, "event_id", "clientid", "dataschema", "datacontenttype", "extensions")
_NO_EXTENSIONS: Mapping[str, str] = MappingProxyType({})


class DecodedEvent(msgspec.Struct, kw_only=True):
    """An event as its record holds it; ``time`` and ``received_at`` are in microseconds since the epoch.

    Attributes:
        event_id: the gateway's id of the event, from which the ids of its deliveries derive.
        clientid: id of the client that published it.
        code: of its event type.
        id, type, source, dataschema, datacontenttype: as a CloudEvent's producer sent them. An event of another family,
            or of an earlier release, has its event id, code and client in their places.
        extensions: name to canonical text; see ``extension_values``.
        data: of an open type the JSON text as received; of a typed one attribute name to value: str, float, bool, int,
            Decimal, microseconds for a Time, JSON text for a json attribute, None for what is null.
        lexical: field to text, where a value does not print back as it was sent (``schemas.avro.original_text``).
        layout: the attributes of a typed event type; None for an open one.
    """

    event_id: str
    clientid: str
    code: str
    id: str
    type: str
    source: str
    subject: str | None
    time: int
    received_at: int
    channel: str | None
    identifiers: tuple[Identifier, ...]
    data: str | dict[str, Any]
    lexical: dict[str, str] | None
    dataschema: str | None = None
    datacontenttype: str | None = None
    extensions: Mapping[str, str] = _NO_EXTENSIONS
    layout: Layout | None = None
    _value: Any = msgspec.UNSET

    @property
    def known_identifiers(self) -> tuple[Identifier, ...]:
        """See ``schemas.model.event.known_identifiers``."""
        return known_identifiers(
            self.identifiers,
            client=self.clientid,
            source=self.source,
            dataschema=self.dataschema,
            extensions=self.extensions,
        )

    def identifier_values(self) -> dict[str, list[str]]:
        """The known identifiers by name."""
        return identifiers_by_name(self.known_identifiers)

    def extension_values(self) -> dict[str, ExtensionValue]:
        """The extension attributes with their values as JSON has them, as sent."""
        if not self.extensions:
            return {}
        sent = self.lexical or {}
        return {
            name: parse_json(text) if original_text.extension_key(name) in sent else text
            for name, text in self.extensions.items()
        }

    @property
    def time_text(self) -> str:
        """When it happened, as sent."""
        return (self.lexical or {}).get(original_text.TIME) or timestamps.to_text(self.time)

    def data_json(self) -> bytes:
        """The data as JSON: an open type's text as received; else an object in the schema's order, values as sent."""
        if self.layout is None or isinstance(self.data, str):
            return str(self.data).encode()
        sent = self.lexical or {}
        parts = []
        for member in self.layout.members:
            value = self.data[member.name]
            text = sent.get(member.key)
            if text is not None:
                parts.append(member.label + member.as_sent(value, text))
            elif value is not None:
                parts.append(member.label + member.print_json(value))
        return f"{{{','.join(parts)}}}".encode()

    def data_value(self) -> Any:
        """The data as a subscriber would read it from JSON: what a condition looks at. Read once, then kept.

        Raises:
            CorruptRecord: it is nested too deeply to be read.
        """
        if self._value is msgspec.UNSET:
            try:
                self._value = self._read_value()
            except (ValueError, RecursionError) as error:
                raise CorruptRecord(f"the data cannot be read: {error}") from error
        return self._value

    def _read_value(self) -> Any:
        if self.layout is None or isinstance(self.data, str):
            return parse_json(str(self.data))
        return self.layout.json_values(self.data, self.lexical)


class EventDecoder:
    """Decodes the values of one event schema, one that ``schemas.avro.schema`` derived.

    Raises:
        CorruptRecord: the schema is another.
    """

    def __init__(self, schema_text: str) -> None:
        try:
            schema = json.loads(schema_text)
            fields = {field["name"]: field["type"] for field in schema["fields"]}
            identity = tuple(fields) == _ENVELOPE
            if not identity and tuple(fields) != _OLDER_ENVELOPE:
                raise CorruptRecord("not the schema of an event: its fields are not the envelope's")
            data = fields["data"]
            attributes = None if data == "string" else [_attribute(field) for field in data["fields"]]
            self._code = unmangle(schema["name"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, InvalidRequest) as error:
            raise CorruptRecord(f"not the schema of an event: {error!r}") from error
        self._attributes = attributes
        self._layout = None if attributes is None else layout_of(attributes)
        self._read = event_reader(attributes, identity=identity)
        self._identity = identity
        self._checks = _checks(attributes or ())

    @property
    def is_open(self) -> bool:
        """Whether ``data`` is JSON text as received."""
        return self._layout is None

    def decode(self, value: bytes | None) -> DecodedEvent:
        """Read one framed value; the schema id is not looked at.

        Raises:
            CorruptRecord: it cannot be read as this schema, or holds what JSON cannot say.
        """
        unframe(value)
        try:
            own_id, kind, source, subject, time, received_at, channel, identifiers, data, texts, *rest = self._read(
                value or b""
            )
        except (IndexError, ValueError, struct.error) as error:
            raise CorruptRecord(f"not an event of its schema: {error}") from error
        if self._layout is None:
            _check_json(data)
        for name, check in self._checks:
            found = data[name]
            if found is not None:
                check(found)
        event_id, client, dataschema, datacontenttype, extensions = rest or (own_id, source, None, None, _NO_EXTENSIONS)
        return DecodedEvent(
            # Another producer of the topic may leave the defaults in place.
            event_id=event_id or cloudevent_id(client, source, own_id),
            clientid=client or source,
            code=self._code,
            id=own_id,
            type=kind,
            source=source,
            subject=subject,
            time=_instant(time),
            received_at=_instant(received_at),
            channel=channel,
            identifiers=identifiers,
            data=data,
            lexical=texts,
            dataschema=dataschema,
            datacontenttype=datacontenttype,
            extensions=extensions,
            layout=self._layout,
        )

    def data_decoder(self, wanted: frozenset[str]) -> Callable[[bytes], Any]:
        """What reads a framed value's ``data_value`` and nothing else, of a typed event only the attributes ``wanted``.

        The frame is not looked at. It raises CorruptRecord as ``decode`` does, but not for the content of what it does
        not read.
        """
        if self._attributes is None:
            return lambda value: self.decode(value).data_value()
        attributes = [(name, of) for name, of in self._attributes if name in wanted]
        return _DataDecoder(
            data_reader(self._attributes, wanted, identity=self._identity), layout_of(attributes), _checks(attributes)
        )


class _DataDecoder:
    """See ``EventDecoder.data_decoder``."""

    def __init__(self, read: Reader, layout: Layout, checks: Checks) -> None:
        self._read = read
        self._layout = layout
        self._checks = checks

    def __call__(self, value: bytes) -> dict[str, Any]:
        try:
            data, texts = self._read(value)
            for name, check in self._checks:
                found = data[name]
                if found is not None:
                    check(found)
            return self._layout.json_values(data, texts)
        except (IndexError, ValueError, struct.error, RecursionError) as error:
            raise CorruptRecord(f"not an event of its schema: {error}") from error


def _attribute(field: Mapping[str, Any]) -> tuple[str, AttributeType]:
    """Name and type of a field of ``data``, once it is known to be one that we derived."""
    name, of = field[NAME_PROPERTY], parse_type(field[TYPE_PROPERTY])
    if field["type"] != ["null", avro_type(of)]:
        raise CorruptRecord(f"not the schema of an event: {name!r} is no nullable {of}")
    return name, of


def _instant(micros: int) -> int:
    if not timestamps.EARLIEST <= micros <= timestamps.LATEST:
        raise CorruptRecord(f"a time outside the years 1 to 9999: {micros} µs")
    return micros


def _check_number(value: float) -> None:
    if not math.isfinite(value):
        raise CorruptRecord(f"a number that JSON cannot say: {value}")


def _check_json(text: str) -> None:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CorruptRecord(f"not JSON: {error}") from error


def _checks(attributes: Sequence[tuple[str, AttributeType]]) -> Checks:
    return [(name, _CHECKS[of.kind]) for name, of in attributes if of.kind in _CHECKS]


_CHECKS: dict[AttributeKind, Callable[[Any], Any]] = {
    AttributeKind.NUMBER: _check_number,
    AttributeKind.TIME: _instant,
    AttributeKind.JSON: _check_json,
}
"""What a value must be besides its Avro type, so that every decoded event can be printed."""
