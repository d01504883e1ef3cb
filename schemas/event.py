"""Events on their way in: what a family hands to the publisher, and what the publisher answers."""

from __future__ import annotations

import msgspec


class Identifier(msgspec.Struct, frozen=True):
    """One name and value that say whom or what an event is about; several with one name stay separate."""

    name: str
    value: str


class EventDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a family translated it, before validation against the client's registration.

    Exactly one of ``data`` and ``text_values`` carries the payload.

    Attributes:
        workspace: the tenant's name.
        namespace: ``crmls``, ``eventhos``, an Exchange or Envoy namespace, or ``events``.
        code: the event type's code inside its namespace.
        client: id of the client that publishes; becomes the event's source.
        data: JSON text as received (for an open type any JSON, for a typed one an object).
        text_values: attribute name to text, for families that send every value as a string (Exchange).
        subject: CloudEvents ``subject``; for CRMLS the ``eventName``.
        time: when it happened, microseconds since the epoch; None means the time of receipt.
        time_text: the time as sent, kept in ``lexical`` when ``time`` does not print back to it; may be left out when
            it does.
        channel: the device or method it happened on.
        identifiers: in the order sent.
        source: the CloudEvents ``source``; None for families that have none, whose events come from the client.
        producer_id: the producer's own event id: kept as ``ce_id``, and with the source an idempotency key.
        request: ``hr_request`` JSON (method, URL, headers, query; credentials removed) for families that need it.
        traceparent: W3C trace context as sent.
    """

    workspace: str
    namespace: str
    code: str
    client: str
    data: bytes | None = None
    text_values: dict[str, str] | None = None
    subject: str | None = None
    time: int | None = None
    time_text: str | None = None
    channel: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    source: str | None = None
    producer_id: str | None = None
    request: bytes | None = None
    traceparent: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
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
