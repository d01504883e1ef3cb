"""The body that Exchange pushes to a subscriber: one event, its attribute values as the text that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.avro import original_text
from schemas.avro.attributes import BASIC_KINDS
from schemas.model.event import Identifier
from schemas.model.ids import derived

if TYPE_CHECKING:
    from connectors.shared.body import OutgoingEvent
    from schemas.avro.codec import DecodedEvent
    from schemas.model.access import Client

CONTENT_TYPE = "application/json"

_ENCODER = msgspec.json.Encoder()


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of an event; the subscriber converts the value itself."""

    name: str
    value: str
    type: str


class Event(msgspec.Struct, frozen=True):
    """An event inside a push; the timestamp is as sent."""

    code: str
    timestamp: str
    attributes: tuple[Attribute, ...]


class Push(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is posted.

    Attributes:
        provider: of the publisher; its own name where it has none.
        source: name of the publishing endpoint.
        x1_id: the same for whoever the first identifier stands for, anywhere in the account.
    """

    provider: str
    source: str
    channel: str | None = None
    x1_id: str | None = None
    identifiers: tuple[Identifier, ...]
    events: tuple[Event, ...]


def render(outgoing: OutgoingEvent) -> bytes:
    """Return the JSON of one event, equal on every try. The event's source is the client that published it."""
    return _ENCODER.encode(push(outgoing.event, outgoing.publisher))


def push(event: DecodedEvent, publisher: Client | None) -> Push:
    """One event with who published it."""
    source = publisher.name if publisher else event.clientid
    return Push(
        provider=(publisher.provider if publisher else None) or source,
        source=source,
        channel=event.channel,
        x1_id=_x1_id(event, publisher),
        identifiers=event.known_identifiers,
        events=(Event(event.code, event.time_text, attributes(event)),),
    )


def attributes(event: DecodedEvent) -> tuple[Attribute, ...]:
    """The attributes that were sent, in the schema's order; of an open type the members of its JSON object."""
    if event.layout is None or isinstance(event.data, str):
        return _members(str(event.data))
    sent = event.lexical or {}
    return tuple(
        Attribute(
            member.name,
            sent.get(member.key) or original_text.PRINTERS[member.kind](event.data[member.name]),
            BASIC_KINDS[member.kind],
        )
        for member in event.layout.members
        if event.data[member.name] is not None
    )


def _members(text: str) -> tuple[Attribute, ...]:
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        members = {"data": msgspec.Raw(text.encode())}
    return tuple(_member(name, bytes(raw).decode()) for name, raw in members.items())


def _member(name: str, text: str) -> Attribute:
    if text.startswith('"'):
        return Attribute(name, msgspec.json.decode(text, type=str), "String")
    if text in {"true", "false"}:
        return Attribute(name, text, "Boolean")
    return Attribute(name, text, "Number" if original_text.JSON_NUMBER.fullmatch(text) else "String")


def _x1_id(event: DecodedEvent, publisher: Client | None) -> str | None:
    identifiers = event.known_identifiers
    if not identifiers:
        return None
    first = identifiers[0]
    return derived("x1Id", publisher.workspace if publisher else "", first.name, first.value)
