"""From a draft to a record: validated against the registration, encoded in Avro, with its partition key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from schemas.avro import original_text
from schemas.avro.attributes import member, parse_type
from schemas.avro.encoding import EventEncoder, text_bytes
from schemas.avro.payload import PayloadReader, check_json
from schemas.model import numbers, timestamps
from schemas.model.errors import InvalidEvent, Problem
from schemas.model.event import extension_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.model.event import EventDraft
    from schemas.model.event_type import EventType, Registration

    KeyOf = Callable[[EventDraft, Sequence[Any]], str | None]

_NO_VALUES: tuple[Any, ...] = ()


class EventWriter:
    """Validates and encodes the events of one client for one event type; prepared once, used for every event.

    ``event_type.attributes`` must be those of schema ``event_type.schema_id``, in its order. With a registration its
    attributes are the ones that may be sent; without one the event type's are. Without ``identity`` that schema is one
    of earlier releases (``schemas.avro.schema.has_identity``): it has no place for what a producer says of a
    CloudEvent.

    Attributes:
        partition_key: of the event type.
    """

    def __init__(self, event_type: EventType, registration: Registration | None, *, identity: bool = True) -> None:
        known = {attribute.name: attribute for attribute in event_type.attributes}
        allowed = event_type.attributes if registration is None else registration.attributes
        # The event type's attribute types are the ones in the schema; a registration chooses among them.
        attributes = () if event_type.open else tuple(each for each in allowed if each.name in known)
        self._open = event_type.open
        self._reader = PayloadReader(attributes)
        self._encoder = EventEncoder(
            schema_id=event_type.schema_id,
            code=event_type.code,
            attributes=event_type.attributes,
            sent=self._reader.names,
            identity=identity,
        )
        self.partition_key = event_type.partition_key
        self._key_of = self._key_reader(event_type)
        self._key_required = event_type.compacted

    def write(
        self, draft: EventDraft, *, event_id: str, received_at: int, path: str = "$.data"
    ) -> tuple[bytes, bytes | None]:
        """The record of one event: its framed Avro value, and its partition key if the type has one.

        A draft without payload counts as ``{}``, for an open type as ``null``. ``received_at`` is in microseconds;
        ``path`` is where the payload stands in the request, for the problems.

        Raises:
            InvalidEvent: the payload breaks the registration; every problem names its JSON path.
        """
        values: Sequence[Any] = _NO_VALUES
        texts: dict[str, str] | None = None
        if self._open:
            data = self._open_data(draft, path)
        else:
            if draft.text_values is None:
                values, texts = self._reader.from_json(b"{}" if draft.data is None else draft.data, path)
            else:
                values, texts = self._reader.from_texts(draft.text_values, path)
            data = self._encoder.data(values)
        time = received_at if draft.time is None else draft.time
        if draft.time_text is not None and draft.time_text != timestamps.to_text(time):
            texts = {**(texts or {}), original_text.TIME: draft.time_text}
        if draft.extensions:
            for name, extension in draft.extensions.items():
                if extension.__class__ is not str:
                    texts = {**(texts or {}), original_text.extension_key(name): extension_text(extension)}
        value = self._encoder.encode(
            draft, event_id=event_id, time=time, received_at=received_at, data=data, lexical=texts
        )
        if self._key_of is None:
            return value, None
        key = self._key_of(draft, values)
        if key is None:
            if self._key_required:
                raise self._no_key(path)
            return value, None
        return value, key.encode()

    def _open_data(self, draft: EventDraft, path: str) -> bytes:
        """The Avro string of an open type's payload: the JSON text as received."""
        if draft.text_values is not None:
            return text_bytes(msgspec.json.encode(draft.text_values).decode())
        if draft.data is None:
            return text_bytes(original_text.NULL)
        return text_bytes(check_json(draft.data, path))

    def _key_reader(self, event_type: EventType) -> KeyOf | None:
        if event_type.partition_key is None:
            return None
        place, _, name = event_type.partition_key.partition(".")
        if place == "source":
            return _source
        if place == "identifier":
            return lambda draft, _: next((each.value for each in draft.known_identifiers if each.name == name), None)
        if self._open:
            return lambda draft, _: _open_member(draft, name)
        if name not in self._reader.names:
            return _absent
        index = self._reader.names.index(name)
        attribute = next(each for each in event_type.attributes if each.name == name)
        print_ = original_text.PRINTERS[parse_type(attribute.type).kind]
        return lambda _, values: None if values[index] is None else print_(values[index])

    def _no_key(self, path: str) -> InvalidEvent:
        place, _, name = str(self.partition_key).partition(".")
        where = member(path, name) if place == "data" else f"{path.removesuffix('.data')}.identifiers"
        message = f"{self.partition_key} is the partition key of a compacted event type, so an event must have it"
        return InvalidEvent(message, [Problem(path=where, message=message)])


def _source(draft: EventDraft, _: Sequence[Any]) -> str:
    return draft.client


def _absent(_: EventDraft, __: Sequence[Any]) -> None:
    return None


def _open_member(draft: EventDraft, name: str) -> str | None:
    """Member ``name`` of an open type's data as text: equal values give equal keys, however they were spelled."""
    if draft.text_values is not None:
        return draft.text_values.get(name)
    try:
        found = msgspec.json.decode(draft.data or b"null", type=dict[str, msgspec.Raw]).get(name)
    except msgspec.ValidationError:
        return None
    return None if found is None else _scalar_text(bytes(found).decode())


def _scalar_text(text: str) -> str | None:
    if text == original_text.NULL:
        return None
    if text[0] == '"':
        return msgspec.json.decode(text, type=str)
    return numbers.text_of(numbers.read(text)) if original_text.JSON_NUMBER.fullmatch(text) else text
