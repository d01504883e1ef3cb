"""Which changes of the catalog are told to which Exchange endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.extension import Edits
from backbone.catalog.type_changes import evolved
from backbone.catalog.view import CatalogView
from backbone.catalog.writer import Changes
from families.exchange.catalog.consequences import (
    ATTRIBUTES,
    CODE,
    NAMESPACE,
    NOTIFICATION_KEY,
    notified_at,
    subscription_notices,
)
from schemas.avro.codec import EventDecoder
from schemas.model.access import Client, Realm
from schemas.model.endpoint import BodyFormat, Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.event_type import EventType, Registration, RegistrationKind

if TYPE_CHECKING:
    from backbone.kafka.records import Record
    from schemas.model.resources import Resource

TIMES: dict[str, Any] = {"workspace": "acme", "created_at": 0, "updated_at": 0}


def event_type(code: str, namespace: str = "exchange") -> EventType:
    return EventType(namespace=namespace, code=code, effective_partitions=1, schema_id=1, **TIMES)


def publication(client: str, code: str, kind: RegistrationKind = RegistrationKind.PUBLISH) -> Registration:
    return Registration(
        client=client, namespace="exchange", code=code, name=f"{code} of {client}", registration=kind, **TIMES
    )


def event_filter(*codes: str, sources: tuple[str, ...] = (), name: str = "f") -> EventFilter:
    types = tuple(TypeSelection(namespace="exchange", code=code) for code in codes)
    return EventFilter(id=name, name=name, types=types, sources=sources, **TIMES)


def endpoint(name: str, *, enabled: bool = True) -> Endpoint:
    return Endpoint(id=name, name=name, type=EndpointType.FILE, client=name, enabled=enabled, **TIMES)


def link(filter_id: str = "f", endpoint_id: str = "sub", *, enabled: bool = True) -> Subscription:
    return Subscription(
        id=f"{filter_id}-{endpoint_id}", event_filter=filter_id, endpoint=endpoint_id, enabled=enabled, **TIMES
    )


class World:
    """Publishers ``pub`` (a, b) and ``other`` (a), a consumer ``sub``; everyone is told."""

    def __init__(self) -> None:
        self.view = CatalogView()
        declared = EventType(
            namespace=NAMESPACE,
            code=CODE,
            declared=ATTRIBUTES,
            partition_key="source",
            effective_partitions=1,
            schema_id=0,
            **TIMES,
        )
        notice, schemas = evolved(self.view, declared, [])
        self.decoder = EventDecoder(schemas[0].text)
        for each in (
            *(Client(id=each, name=each, realm=Realm("exchange"), **TIMES) for each in ("pub", "other", "sub")),
            *(event_type(code) for code in "ab"),
            notice,
            publication("pub", "a"),
            publication("pub", "b"),
            publication("other", "a"),
            publication("sub", "a", RegistrationKind.SUBSCRIBE),
            endpoint("sub"),
        ):
            self.view.put(each, 1)
        for told in ("pub", "other", "sub"):
            self.tell(told)

    def tell(self, client: str, **options: str) -> None:
        self.view.put(
            Endpoint(
                id=notified_at(client),
                client=client,
                name="notifications",
                type=EndpointType.WEB_HOOK,
                body=BodyFormat("exchange_notification"),
                options=options,
                **TIMES,
            ),
            1,
        )

    def records(self, *put: Resource, delete: tuple[str, ...] = ()) -> list[Record]:
        changes: Changes[None] = Changes(put=put, delete=delete, result=None)
        following = subscription_notices(self.view, Edits(put, delete))
        changes.apply_to(self.view)
        return list(following(self.view))

    def told(self, *put: Resource, delete: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
        """Who is told which change of which code."""
        events = [self.decoder.decode(record.value or b"") for record in self.records(*put, delete=delete)]
        data = [(event.source, msgspec.json.decode(event.data_json())) for event in events]
        return sorted((source, each["changeType"], each["eventTypeCode"]) for source, each in data)


@pytest.fixture
def world() -> World:
    return World()


def test_both_ends_of_a_new_subscription_are_told(world: World) -> None:
    assert world.told(event_filter("a", sources=("pub",))) == []
    assert world.told(link()) == [("pub", "Add", "a"), ("sub", "Add", "a")]


def test_a_client_is_told_at_the_endpoint_that_is_its_alone(world: World) -> None:
    world.view.put(Client(id="new", identity="unique", name="new", realm=Realm("exchange"), **TIMES), 1)
    world.view.put(publication("new", "b"), 1)
    world.view.put(event_filter("b", sources=("new",)), 1)
    world.tell("unique")
    told = world.view.endpoint(notified_at("unique"))
    assert told is not None
    world.view.put(msgspec.structs.replace(told, client="new"), 1)
    assert world.told(link()) == [("new", "Add", "b"), ("sub", "Add", "b")]


def test_the_record_is_an_event_of_who_is_told(world: World) -> None:
    world.tell("pub", **{NOTIFICATION_KEY: "account 7"})
    world.view.put(event_filter("a", sources=("pub",)), 1)
    (record, _) = world.records(link())
    assert (record.topic, record.key) == (f"events.acme.{NAMESPACE}.{CODE}", b"pub")
    headers = dict(record.headers or [])
    assert (headers["ce_source"], headers["ce_type"], headers["ce_subject"]) == (b"pub", CODE.encode(), b"f-sub")
    event = world.decoder.decode(record.value or b"")
    assert event.id == headers["ce_id"].decode()
    data = msgspec.json.decode(event.data_json())
    assert data.pop("changeTime") == headers["ce_time"].decode()
    assert data == {
        "notificationKey": "account 7",
        "changeType": "Add",
        "eventTypeCode": "a",
        "eventName": "a of pub",
    }


def test_without_sources_every_publisher_of_the_type_is_told(world: World) -> None:
    world.view.put(event_filter("a"), 1)
    assert world.told(link()) == [("other", "Add", "a"), ("pub", "Add", "a"), ("sub", "Add", "a")]


def test_a_wildcard_stands_for_what_is_published(world: World) -> None:
    world.view.put(event_filter("*", sources=("pub",)), 1)
    added = [("pub", "Add", "a"), ("pub", "Add", "b"), ("sub", "Add", "a"), ("sub", "Add", "b")]
    assert world.told(link()) == added


@pytest.mark.parametrize("registered", ["pub", "sub"])
def test_who_has_not_asked_is_not_told(world: World, registered: str) -> None:
    for each in {"pub", "sub"} - {registered}:
        world.view.remove(f"endpoint/{notified_at(each)}")
    world.view.put(event_filter("a", sources=("pub",)), 1)
    assert world.told(link()) == [(registered, "Add", "a")]


def test_a_disabled_subscription_is_enabled_and_disabled(world: World) -> None:
    world.view.remove(f"endpoint/{notified_at('sub')}")
    world.view.put(event_filter("a", sources=("pub",)), 1)
    assert world.told(link(enabled=False)) == [("pub", "Add", "a")]
    assert world.told(link()) == [("pub", "Enable", "a")]
    assert world.told(link()) == []
    assert world.told(endpoint("sub", enabled=False)) == [("pub", "Disable", "a")]
    # It is not live either way.
    assert world.told(link(enabled=False)) == []
    assert world.told(endpoint("sub")) == []


def test_a_filter_that_selects_something_else(world: World) -> None:
    world.view.put(event_filter("a", sources=("pub",)), 1)
    world.view.put(link(), 1)
    assert world.told(event_filter("b", sources=("pub",))) == [
        ("pub", "Add", "b"),
        ("pub", "Delete", "a"),
        ("sub", "Add", "b"),
        ("sub", "Delete", "a"),
    ]
    # The consumer still receives the code, from somebody else.
    world.view.put(event_filter("a", sources=("pub",)), 1)
    assert world.told(event_filter("a", sources=("other",))) == [("other", "Add", "a"), ("pub", "Delete", "a")]


@pytest.mark.parametrize("gone", ["subscription/f-sub", "event_filter/f", "endpoint/sub"])
def test_a_subscription_is_gone_with_either_end(world: World, gone: str) -> None:
    world.view.put(event_filter("a", sources=("pub",)), 1)
    world.view.put(link(), 1)
    assert world.told(delete=(gone,)) == [("pub", "Delete", "a"), ("sub", "Delete", "a")]


def test_several_changes_of_one_write(world: World) -> None:
    world.view.put(event_filter("a", sources=("pub",)), 1)
    world.view.put(link(), 1)
    world.view.remove(f"endpoint/{notified_at('sub')}")
    told = world.told(
        event_filter("b", sources=("pub",), name="g"), link("g"), delete=("subscription/f-sub", "event_filter/f")
    )
    assert told == [("pub", "Add", "b"), ("pub", "Delete", "a")]


def test_without_the_event_type_nobody_is_told(world: World) -> None:
    world.view.put(event_filter("a", sources=("pub",)), 1)
    world.view.remove(f"event_type/events.acme.{NAMESPACE}.{CODE}")
    assert world.told(link()) == []


def test_another_workspace_is_not_looked_at(world: World) -> None:
    elsewhere = {"workspace": "elsewhere", "created_at": 0, "updated_at": 0}
    world.view.put(msgspec.structs.replace(event_filter("a", name="g"), **elsewhere), 1)
    world.view.put(msgspec.structs.replace(endpoint("theirs"), **elsewhere), 1)
    assert world.told(msgspec.structs.replace(link("g", "theirs"), **elsewhere)) == []
