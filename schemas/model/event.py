"""Events on their way in: what a family hands to the publisher, and what the publisher answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """One name and value that say whom or what an event is about; several with one name stay separate."""

    name: str
    value: str


ExtensionValue = str | bool | int
"""A CloudEvents attribute as JSON writes it."""


PLACED = ("channel", "traceparent")
"""CloudEvents extensions that an event has another place for besides."""


def extension_text(value: ExtensionValue) -> str:
    """The canonical string of an attribute's value (CloudEvents 1.0.2, "Type System")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def identifiers_by_name(identifiers: Iterable[Identifier]) -> dict[str, list[str]]:
    """Each name with all of its values, in the order sent."""
    values: dict[str, list[str]] = {}
    for identifier in identifiers:
        values.setdefault(identifier.name, []).append(identifier.value)
    return values


def known_identifiers(
    identifiers: tuple[Identifier, ...],
    *,
    client: str,
    source: str | None,
    dataschema: str | None,
    extensions: Mapping[str, str],
) -> tuple[Identifier, ...]:
    """The identifiers of an event, and its CloudEvents source, dataschema and extensions as identifiers.

    Stored filters, partition keys and channel templates, and the families whose subscribers are shown identifiers,
    find these attributes by name here.
    """
    found = identifiers
    if source is not None and source != client:
        found = (*found, Identifier("source", source))
    if dataschema is not None:
        found = (*found, Identifier("dataschema", dataschema))
    if not extensions:
        return found
    return found + tuple([Identifier(name, text) for name, text in extensions.items() if name not in PLACED])


class EventDraft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as a family translated it, before validation against the client's registration.

    Exactly one of ``data`` and ``text_values`` carries the payload.

    Attributes:
        workspace: the tenant's name.
        namespace: ``crmls``, ``eventhos``, an Exchange or Envoy namespace, or ``events``.
        code: the event type's code inside its namespace.
        client: id of the client that publishes.
        publisher: its ``Client.unique_id``, from which keys and event ids are derived.
        data: JSON text as received (for an open type any JSON, for a typed one an object).
        text_values: attribute name to text, for families that send every value as a string (Exchange).
        subject: CloudEvents ``subject``; for CRMLS the ``eventName``.
        time: when it happened, microseconds since the epoch; None means the time of receipt.
        time_text: the time as sent, kept in ``lexical`` when ``time`` does not print back to it; may be left out when
            it does.
        channel: the device or method it happened on.
        identifiers: in the order sent.
        type: the CloudEvents ``type`` as sent; None means the code.
        source: the CloudEvents ``source``; None for families that have none, whose events come from the client.
        dataschema, datacontenttype: of a CloudEvent, as sent.
        extensions: the extension attributes of a CloudEvent, as sent.
        producer_id: the producer's own event id: kept as ``ce_id``, and with the source an idempotency key.
        request: ``hr_request`` JSON (method, URL, headers, query; credentials removed) for families that need it.
        traceparent: W3C trace context as sent.
    """

    workspace: str
    namespace: str
    code: str
    client: str
    publisher: str
    data: bytes | None = None
    text_values: dict[str, str] | None = None
    subject: str | None = None
    time: int | None = None
    time_text: str | None = None
    channel: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    type: str | None = None
    source: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    extensions: dict[str, ExtensionValue] = {}
    producer_id: str | None = None
    request: bytes | None = None
    traceparent: str | None = None

    @property
    def known_identifiers(self) -> tuple[Identifier, ...]:
        """See the function ``known_identifiers``."""
        if self.source is None:
            return self.identifiers
        return known_identifiers(
            self.identifiers,
            client=self.client,
            source=self.source,
            dataschema=self.dataschema,
            extensions={name: extension_text(value) for name, value in self.extensions.items()},
        )


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where an acknowledged event is: the publisher's answer, and what a repeat with the same key is answered.

    ``received_at`` is in microseconds since the epoch. ``repeated`` is true when nothing was written because an
    idempotency key had been used before.
    """

    id: str
    topic: str
    partition: int
    offset: int
    received_at: int
    repeated: bool = False
