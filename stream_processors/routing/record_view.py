"""A raw record of an event topic as filter conditions see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from backbone.kafka.records import headers_of
from schemas.model import timestamps
from schemas.model.event import identifiers_by_name
from schemas.model.event_headers import CLIENT
from schemas.model.topics import code_of, namespace_of

if TYPE_CHECKING:
    from schemas.avro.codec import DecodedEvent

_UNREAD = object()


class Decoding(Protocol):
    """Reads the values of event records; both raise CorruptRecord."""

    def decode(self, value: bytes) -> DecodedEvent:
        """The event."""

    def data_value(self, value: bytes, attributes: frozenset[str]) -> Any:
        """The event's data as ``DecodedEvent.data_value`` returns it; other attributes than these may be missing."""


class RawRecord(Protocol):
    """The parts of a consumed Kafka message that matching reads."""

    def topic(self) -> str | None:
        """Name of the topic."""

    def value(self) -> bytes | None:
        """Bytes, or None for a tombstone."""

    def headers(self) -> list[tuple[str, bytes]] | None:
        """In the order written."""

    def timestamp(self) -> tuple[int, int]:
        """Kind of time, and milliseconds since the epoch."""


class RecordView:
    """A record as conditions see it: attributes come from the headers, the rest is decoded when it is first needed.

    A record of another producer without CloudEvents headers is always decoded.

    Args:
        message: the record.
        value: its value.
        decoding: reads it.
        attributes: the attributes of ``data`` that conditions read; None if they read other parts of the value.
    """

    __slots__ = (
        "_attributes",
        "_data",
        "_decoding",
        "_event",
        "_extensions",
        "_headers",
        "_identifiers",
        "_message",
        "_value",
    )

    def __init__(
        self, message: RawRecord, value: bytes, decoding: Decoding, attributes: frozenset[str] | None = None
    ) -> None:
        self._message = message
        self._value = value
        self._decoding = decoding
        self._attributes = attributes
        self._data: Any = _UNREAD
        self._event: DecodedEvent | None = None
        self._identifiers: dict[str, list[str]] | None = None
        self._extensions: dict[str, Any] | None = None
        self._headers: dict[str, bytes] | None = None

    @property
    def clientid(self) -> str:
        """The client that published the event; records of earlier releases have it as source."""
        return self._header(CLIENT) or self._header("ce_source") or self._decoded().clientid

    @property
    def code(self) -> str:
        """The event type's code."""
        kind = self._header("ce_type")
        return code_of(self._message.topic() or "", kind) if kind else self._decoded().code

    @property
    def id(self) -> str:
        """The producer's id."""
        return self._header("ce_id") or self._decoded().id

    @property
    def source(self) -> str:
        """CloudEvents source."""
        return self._header("ce_source") or self._decoded().source

    @property
    def namespace(self) -> str | None:
        """The event type's namespace, from the topic."""
        return namespace_of(self._message.topic() or "")

    @property
    def type(self) -> str:
        """CloudEvents type."""
        return self._header("ce_type") or self._decoded().type

    @property
    def subject(self) -> str | None:
        """CloudEvents subject."""
        return self._optional("subject")

    @property
    def dataschema(self) -> str | None:
        """CloudEvents dataschema."""
        return self._optional("dataschema")

    @property
    def datacontenttype(self) -> str | None:
        """CloudEvents datacontenttype."""
        return self._optional("datacontenttype")

    @property
    def time(self) -> int:
        """Time of the event, microseconds since the epoch."""
        text = self._header("ce_time")
        try:
            return timestamps.parse(text) if text else self._decoded().time
        except ValueError:
            return self._decoded().time

    @property
    def channel(self) -> str | None:
        """The device or method of the event."""
        return self._decoded().channel

    def identifier_values(self) -> dict[str, list[str]]:
        """The identifiers of the event's subject, by name. Read once, for all conditions and channel templates."""
        if self._identifiers is None:
            self._identifiers = identifiers_by_name(self._decoded().known_identifiers)
        return self._identifiers

    def extension_values(self) -> dict[str, Any]:
        """CloudEvents extensions by name; read once."""
        if self._extensions is None:
            self._extensions = self._decoded().extension_values()
        return self._extensions

    def data_value(self) -> Any:
        """The data as Python values."""
        if self._data is _UNREAD:
            if self._attributes is None or self._event is not None:
                self._data = self._decoded().data_value()
            else:
                self._data = self._decoding.data_value(self._value, self._attributes)
        return self._data

    def _optional(self, name: str) -> str | None:
        value = self._header(f"ce_{name}")
        if value is not None or self._header("ce_specversion"):
            return value
        found: str | None = getattr(self._decoded(), name)
        return found

    def _header(self, name: str) -> str | None:
        if self._headers is None:
            self._headers = dict(headers_of(self._message))
        value = self._headers.get(name)
        return None if value is None else value.decode(errors="replace")

    def _decoded(self) -> DecodedEvent:
        if self._event is None:
            self._event = self._decoding.decode(self._value)
        return self._event
