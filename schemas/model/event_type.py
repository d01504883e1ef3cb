"""Event types and the registrations their attributes come from."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.model import topics


class LedgerPolicy(StrEnum):
    """What of an event type the ledger keeps: a very fast type need not pay for it."""

    ALL = "all"
    DELIVERED = "delivered"
    NONE = "none"


class Compatibility(StrEnum):
    """How a subject's schema may evolve, in the Schema Registry's words."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class RegistrationKind(StrEnum):
    """Whether the client publishes the type or receives it (Exchange ``registrationType``)."""

    PUBLISH = "PUBLISH"
    SUBSCRIBE = "SUBSCRIBE"


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One registered attribute; ``type`` is String, Number, Boolean, Time, integer, json or decimal(p,s)."""

    name: str
    type: str
    required: bool = False


class EventType(msgspec.Struct, frozen=True, kw_only=True, tag="event_type", tag_field="kind"):
    """Workspace + namespace + code: the topic, the Avro subject, the partition key.

    Attributes:
        attributes: the union of its registrations' attributes and of ``declared``; empty for an open type.
        declared: attributes that the type was given itself, whoever registers for it.
        open: ``data`` is then any JSON text as received.
        partition_key: ``source``, ``data.<attribute>``, ``identifier.<name>``, or None for no key.
        effective_partitions: events go to partition murmur2(key) % this; at most the topic's partition count.
        schema_id: of the latest schema of subject ``<topic>-value``.
        created_at, updated_at: microseconds since the epoch.
    """

    workspace: str
    namespace: str
    code: str
    name: str = ""
    description: str = ""
    attributes: tuple[Attribute, ...] = ()
    declared: tuple[Attribute, ...] = ()
    open: bool = False
    partition_key: str | None = None
    effective_partitions: int
    compatibility: Compatibility = Compatibility.BACKWARD
    ledger: LedgerPolicy = LedgerPolicy.ALL
    compacted: bool = False
    schema_id: int
    created_at: int
    updated_at: int

    @property
    def topic(self) -> str:
        """The topic, which is also the type's identity in the catalog."""
        return topics.event_topic(self.workspace, self.namespace, self.code)

    @property
    def subject(self) -> str:
        """The Schema Registry subject (TopicNameStrategy)."""
        return f"{self.topic}-value"

    @property
    def key(self) -> str:
        """Catalog record key."""
        return event_type_key(self.topic)


class Registration(msgspec.Struct, frozen=True, kw_only=True, tag="registration", tag_field="kind"):
    """(client, event type, PUBLISH or SUBSCRIBE, that client's own attributes): publishing validates against it."""

    client: str
    workspace: str
    namespace: str
    code: str
    registration: RegistrationKind = RegistrationKind.PUBLISH
    name: str = ""
    description: str = ""
    version: int = 1
    attributes: tuple[Attribute, ...] = ()
    created_at: int
    updated_at: int

    @property
    def topic(self) -> str:
        """The topic of the event type that it registers for."""
        return topics.event_topic(self.workspace, self.namespace, self.code)

    @property
    def key(self) -> str:
        """Catalog record key."""
        return registration_key(self.client, self.topic, self.registration)


def event_type_key(topic: str) -> str:
    """Catalog record key of an event type."""
    return f"event_type/{topic}"


def registration_key(client: str, topic: str, registration: RegistrationKind) -> str:
    """Catalog record key of a registration."""
    return f"registration/{client}/{topic}/{registration.value}"
