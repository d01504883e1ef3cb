"""Who gets operational events: owners those of their endpoints, readers of the workspace all of them."""

from __future__ import annotations

import msgspec
import pytest

from schemas.model.access import Client, Role
from schemas.model.operational_event import NAMESPACE, OWNER
from stream_processors.routing.endpoint_matching import EndpointMatching
from tests.unit.stream_processors.subscribed_world import (
    LINKED_AT,
    FakeDecoding,
    Message,
    World,
    event,
    world_with_orders,
)


class About(Message):
    """An operational event about an endpoint of ``owner``."""

    def __init__(self, topic: str, owner: str | None) -> None:
        super().__init__(event(), topic=topic)
        written = self.headers() or []
        self._headers = written if owner is None else [*written, (f"ce_{OWNER}", owner.encode())]

    def headers(self) -> list[tuple[str, bytes]]:
        """With the owner."""
        return getattr(self, "_headers", None) or super().headers() or []


@pytest.fixture
def world() -> World:
    return world_with_orders()


def owned(world: World, name: str, *roles: Role) -> None:
    """A client of this name, whose endpoint of this name subscribes to all operational events."""
    world.subscribe(name, (NAMESPACE, "*"), endpoint=name)
    client = Client(id=name, workspace="acme", name=name, roles=roles, created_at=0, updated_at=0)
    world.view.put(client, LINKED_AT)
    found = world.view.endpoint(name)
    assert found is not None
    world.view.put(msgspec.structs.replace(found, client=name), LINKED_AT)


def test_a_client_gets_those_of_its_own_endpoints_and_a_reader_all(world: World) -> None:
    topic = world.event_type("endpoint.failing", NAMESPACE)
    owned(world, "one", Role.SUBSCRIBER)
    owned(world, "two", Role.SUBSCRIBER, Role.PRODUCER)
    owned(world, "viewer", Role.SUBSCRIBER, Role.VIEWER)
    owned(world, "operator", Role.OPERATOR)
    world.subscribe("administrators", (NAMESPACE, "*"), endpoint="administrators")
    readers = {"viewer", "operator", "administrators"}
    assert world.matched(About(topic, "one")).keys() == {"one"} | readers
    assert world.matched(About(topic, "two")).keys() == {"two"} | readers
    assert world.matched(About(topic, None)).keys() == readers


def test_the_roles_of_now_count(world: World) -> None:
    topic = world.event_type("endpoint.failing", NAMESPACE)
    owned(world, "one", Role.VIEWER, Role.SUBSCRIBER)
    assert world.matched(About(topic, "other")).keys() == {"one"}
    found = world.view.client("acme", "one")
    assert found is not None
    world.view.put(msgspec.structs.replace(found, roles=(Role.SUBSCRIBER,)), LINKED_AT)
    assert world.matched(About(topic, "other")) == {}
    world.view.remove(found.key)
    assert world.matched(About(topic, "other")) == {}
    assert world.matched(About(topic, "one")).keys() == {"one"}


def test_who_subscribed_to_everything_did_not_ask_for_them(world: World) -> None:
    topic = world.event_type("endpoint.failing", NAMESPACE)
    world.subscribe("all", ("*", "*"))
    world.subscribe("code", ("*", "endpoint.failing"))
    assert world.matched(About(topic, None)) == {}
    world.subscribe("asked", (NAMESPACE, "endpoint.failing"))
    assert world.matched(About(topic, None)).keys() == {"endpoint-asked"}


def test_a_run_over_the_past_gives_a_client_no_more(world: World) -> None:
    topic = world.event_type("endpoint.failing", NAMESPACE)
    owned(world, "one", Role.SUBSCRIBER)
    owned(world, "viewer", Role.SUBSCRIBER, Role.VIEWER)

    def got(name: str, about: str | None) -> bool:
        endpoint = world.view.endpoint(name)
        assert endpoint is not None
        message = About(topic, about)
        return EndpointMatching(world.view, endpoint).match(message, FakeDecoding(message.event)) is not None

    assert [got("one", about) for about in ("one", "two", None)] == [True, False, False]
    assert [got("viewer", about) for about in ("one", "two", None)] == [True, True, True]
