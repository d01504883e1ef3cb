"""A catalog of subscriptions, and consumed records to match with them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from backbone.catalog.view import CatalogView
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.errors import CorruptRecord
from schemas.model.event import Identifier
from schemas.model.event_type import EventType
from schemas.model.topics import event_topic
from stream_processors.routing.matching import MatchIndex
from tests.support.consumed_messages import ConsumedMessage

LINKED_AT = 1_700_000_000_000_500
"""Microseconds; in the middle of a millisecond, as Kafka's append time never is."""
LINKED_MS = 1_700_000_000_000
ORDERS = event_topic("acme", "events", "Order")


class Decoded(msgspec.Struct):
    """A decoded event. Without ``client`` and ``of``, its source is the client and its type the code."""

    source: str
    type: str
    known_identifiers: tuple[Identifier, ...]
    subject: str | None
    time: int
    channel: str | None
    data: Any
    client: str | None = None
    of: str | None = None

    @property
    def clientid(self) -> str:
        return self.client or self.source

    @property
    def code(self) -> str:
        return self.of or self.type

    def data_value(self) -> Any:
        return self.data


class Message(ConsumedMessage):
    """A consumed record whose value stands for ``event``."""

    def __init__(
        self,
        event: Decoded,
        *,
        topic: str = ORDERS,
        at: int = LINKED_MS,
        headers: bool = True,
        tombstone: bool = False,
    ) -> None:
        self.event = event
        written = _attributes(event) if headers else None
        super().__init__(topic, None if tombstone else b"\x00\x00\x00\x00\x01", written, timestamp=at)


def _attributes(event: Decoded) -> list[tuple[str, bytes]]:
    optional = (("ce_clientid", event.client), ("ce_subject", event.subject))
    return [
        ("ce_specversion", b"1.0"),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
        ("ce_time", timestamps.to_text(event.time).encode()),
        *((name, value.encode()) for name, value in optional if value is not None),
    ]


def event(data: Any = None, **fields: Any) -> Decoded:
    defaults: dict[str, Any] = {
        "source": "shop-1",
        "type": "Order",
        "subject": None,
        "time": LINKED_AT,
        "channel": None,
        "known_identifiers": (),
    }
    return Decoded(**(defaults | fields), data=data)


class FakeDecoding:
    """Reads one event, whatever the value is; counts how often it is asked to."""

    def __init__(self, event: Decoded | None) -> None:
        self.event = event
        self.decoded = 0

    def decode(self, value: bytes) -> Any:  # noqa: ARG002 -- the protocol's
        self.decoded += 1
        if self.event is None:
            raise CorruptRecord("bad")
        return self.event

    def data_value(self, value: bytes, attributes: frozenset[str]) -> Any:
        """Nothing else than was asked for."""
        data = self.decode(value).data
        return {name: data[name] for name in data if name in attributes} if isinstance(data, dict) else data


class World:
    """A catalog and what it takes to ask who gets an event."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.decoded = 0
        self.index: MatchIndex | None = None

    def event_type(self, code: str, namespace: str = "events", workspace: str = "acme") -> str:
        kind = EventType(
            workspace=workspace,
            namespace=namespace,
            code=code,
            effective_partitions=1,
            schema_id=1,
            created_at=0,
            updated_at=0,
        )
        self.view.put(kind, LINKED_AT)
        return kind.topic

    def subscribe(
        self,
        name: str,
        *types: tuple[str, str],
        endpoint: str | None = None,
        at: int = LINKED_AT,
        filter_at: int = LINKED_AT,
        condition: Any = None,
        workspace: str = "acme",
        **lists: Any,
    ) -> None:
        types = types or (("events", "Order"),)
        self.view.put(
            EventFilter(
                id=f"filter-{name}",
                workspace=workspace,
                name=name,
                types=tuple(TypeSelection(namespace=namespace, code=code) for namespace, code in types),
                condition=None if condition is None else json.dumps(condition),
                created_at=0,
                updated_at=0,
                **lists,
            ),
            filter_at,
        )
        endpoint = endpoint or f"endpoint-{name}"
        if self.view.endpoint(endpoint) is None:
            self.view.put(
                Endpoint(
                    id=endpoint,
                    workspace=workspace,
                    name=endpoint,
                    type=EndpointType.WEB_HOOK,
                    created_at=0,
                    updated_at=0,
                ),
                filter_at,
            )
        self.view.put(
            Subscription(
                id=name,
                workspace=workspace,
                event_filter=f"filter-{name}",
                endpoint=endpoint,
                created_at=0,
                updated_at=0,
            ),
            at,
        )

    def matched(self, message: Message, index: MatchIndex | None = None) -> dict[str, tuple[str, ...]]:
        """Who gets it, found at once; in steps it is the same."""
        decoding = FakeDecoding(message.event)
        index = index or MatchIndex(self.view)
        matches = index.match(message, decoding)
        self.decoded += decoding.decoded
        *_, in_steps = index.steps(message, FakeDecoding(message.event))
        assert list(in_steps or ()) == list(matches)
        return {match.endpoint.id: match.subscriptions for match in matches}


def world_with_orders() -> World:
    """One with the event type ``Order``."""
    world = World()
    world.event_type("Order")
    return world
