"""Endpoints of the event service without a filter: all events of the workspace, while a socket is open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from backbone.kafka.settings import KafkaSettings
from schemas.model import topics
from schemas.model.access import Workspace
from schemas.model.delivery import LEASE, SOCKET, EndpointState, SocketKey
from schemas.model.endpoint import CLOUDEVENTS, BodyFormat, Endpoint, EndpointType
from schemas.model.errors import CorruptRecord
from schemas.model.unlinked import UNLINKED
from stream_processors.routing import socket_presence
from stream_processors.routing.matching import MatchIndex
from stream_processors.routing.routes import ALL_EVENTS
from stream_processors.routing.socket_presence import OpenSocket, OpenSockets
from tests.support.consumed_messages import ConsumedMessage
from tests.unit.stream_processors.subscribed_world import LINKED_MS, ORDERS, Message, World, event, world_with_orders

NOW = 1_700_000_000_000
UNFILTERED = BodyFormat("event_service")
WINDOW = 60_000


def record(key: str, value: bytes | None, at: int) -> Any:
    return ConsumedMessage(topics.ENDPOINT_STATE, value, key=key.encode(), timestamp=at)


def told(sockets: OpenSockets, kind: str, at: int, *, node: str = "n1", endpoint: str = "ws") -> None:
    window = WINDOW if kind == LEASE else None
    value = msgspec.json.encode(EndpointState(endpoint=endpoint, socket_window=window, changed_at=at * 1_000))
    sockets.apply(record(str(SocketKey(endpoint, kind, node)), value, at))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ``NOW``, however long the tests before took."""
    monkeypatch.setattr(socket_presence, "time", SimpleNamespace(time=lambda: NOW / 1_000))


@pytest.fixture
def sockets() -> OpenSockets:
    return OpenSockets(KafkaSettings())


def test_a_socket_counts_from_its_opening_until_the_window_after_its_last_sign(sockets: OpenSockets) -> None:
    told(sockets, SOCKET, NOW - 200_000)
    assert sockets.current() == {}
    told(sockets, LEASE, NOW - 200_000)
    assert sockets.current() == {}
    told(sockets, LEASE, NOW)
    since, socket = sockets.current()["ws"]
    assert since == NOW - 200_000
    assert (socket.covers(NOW + WINDOW), socket.covers(NOW + WINDOW + 1)) == (True, False)


def test_sockets_on_several_nodes_count_from_the_first_of_those_that_are_open(sockets: OpenSockets) -> None:
    for node, opened, seen in (("n1", 300_000, 200_000), ("n2", 30_000, 0), ("n3", 20_000, 0)):
        told(sockets, SOCKET, NOW - opened, node=node)
        told(sockets, LEASE, NOW - seen, node=node)
    assert sockets.current()["ws"][0] == NOW - 30_000


def test_a_deleted_record_ends_it(sockets: OpenSockets) -> None:
    told(sockets, SOCKET, NOW)
    told(sockets, LEASE, NOW)
    sockets.apply(record("ws/socket/n1", None, NOW))
    assert sockets.current() == {}


def test_other_records_of_the_topic_are_passed_over(sockets: OpenSockets) -> None:
    for key in ("ws", "ws/pause", "ws/refresh", "ws/other/n1"):
        sockets.apply(record(key, b"{", NOW))
    assert sockets.current() == {}
    with pytest.raises(CorruptRecord):
        sockets.apply(record("ws/socket/n1", b"{", NOW))


@pytest.fixture
def world() -> World:
    world = world_with_orders()
    world.view.put(Workspace(id="acme", name="acme", created_at=0, updated_at=0), 0)
    return world


def endpoint(world: World, *, body: BodyFormat = UNFILTERED, unlinked_at: str | None = None) -> None:
    options = {} if unlinked_at is None else {UNLINKED: unlinked_at}
    world.view.put(
        Endpoint(
            id="ws",
            workspace="acme",
            name="ws",
            type=EndpointType.WEB_SOCKET,
            body=body,
            options=options,
            created_at=0,
            updated_at=0,
        ),
        LINKED_MS * 1_000,
    )


def matched(world: World, at: int = LINKED_MS, *, until: int = LINKED_MS + 10) -> dict[str, tuple[str, ...]]:
    socket = OpenSocket()
    socket.opened("n1", LINKED_MS)
    socket.extend("n1", until)
    index = MatchIndex(world.view, sockets={"ws": (LINKED_MS, socket)}, unfiltered={UNFILTERED})
    return world.matched(Message(event(), at=at), index)


def test_without_a_filter_it_gets_everything_while_a_socket_is_open(world: World) -> None:
    endpoint(world)
    assert matched(world) == {"ws": (ALL_EVENTS,)}
    assert world.decoded == 0
    assert matched(world, LINKED_MS - 1) == {}
    assert matched(world, LINKED_MS + 10) == {"ws": (ALL_EVENTS,)}
    assert matched(world, LINKED_MS + 11) == {}
    assert MatchIndex(world.view).topics == frozenset()


def test_it_goes_with_other_subscriptions_of_the_topic(world: World) -> None:
    endpoint(world)
    world.subscribe("s")
    world.subscribe("t", condition={"source": ["shop-1"]})
    assert matched(world) == {"ws": (ALL_EVENTS,), "endpoint-s": ("s",), "endpoint-t": ("t",)}
    assert matched(world, LINKED_MS + 11) == {"endpoint-s": ("s",), "endpoint-t": ("t",)}


def test_with_a_filter_it_gets_what_the_filter_lets_through(world: World) -> None:
    endpoint(world)
    world.subscribe("s", endpoint="ws", condition={"source": ["elsewhere"]})
    assert matched(world) == {}


def test_after_its_last_filter_was_unlinked_it_gets_what_comes_from_then_on(world: World) -> None:
    endpoint(world, unlinked_at=str((LINKED_MS + 5) * 1_000))
    assert matched(world, LINKED_MS + 4) == {}
    assert matched(world, LINKED_MS + 5) == {"ws": (ALL_EVENTS,)}


@pytest.mark.parametrize("nonsense", ["soon", "-1", "1.5", "\u00b2", "9" * 5_000])
def test_an_option_of_that_name_which_is_no_time_stops_nothing(world: World, nonsense: str) -> None:
    endpoint(world, unlinked_at=nonsense)
    assert matched(world) == {"ws": (ALL_EVENTS,)}


def test_the_time_of_unlinking_is_the_append_time_of_its_record(world: World) -> None:
    endpoint(world, unlinked_at="")
    found = world.view.endpoint("ws")
    assert found is not None
    assert found.options == {UNLINKED: str(LINKED_MS * 1_000)}


def test_other_websocket_endpoints_get_nothing_without_a_subscription(world: World) -> None:
    endpoint(world, body=CLOUDEVENTS)
    assert matched(world) == {}


def test_an_index_is_kept_while_a_socket_stays_open(world: World) -> None:
    endpoint(world)
    socket = OpenSocket()
    socket.opened("n1", LINKED_MS)
    first = MatchIndex(world.view, sockets={"ws": (LINKED_MS, socket)}, unfiltered={UNFILTERED})
    socket.extend("n1", LINKED_MS + 5)
    assert world.matched(Message(event(), at=LINKED_MS + 5), first) == {"ws": (ALL_EVENTS,)}
    assert first.topics == {ORDERS}
    second = MatchIndex(world.view, first, sockets={"ws": (LINKED_MS, socket)}, unfiltered={UNFILTERED})
    assert second._matchers == first._matchers
