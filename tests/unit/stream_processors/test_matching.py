"""Who gets an event: selection, times, conditions, and the cost of subscriptions that do not match."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from schemas import timestamps
from schemas.errors import CorruptRecord
from schemas.event import Identifier
from schemas.event_type import EventType
from schemas.subscription import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.topics import event_topic
from stream_processors.matching import MatchIndex

if TYPE_CHECKING:
    from collections.abc import Callable

LINKED_AT = 1_700_000_000_000_500
"""Microseconds; in the middle of a millisecond, as Kafka's append time never is."""
LINKED_MS = 1_700_000_000_000
ORDERS = event_topic("acme", "events", "Order")


class Decoded(msgspec.Struct):
    """A decoded event."""

    source: str
    type: str
    subject: str | None
    time: int
    channel: str | None
    identifiers: tuple[Identifier, ...]
    data: Any

    def data_value(self) -> Any:
        return self.data


class Message:
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
        self._topic = topic
        self._at = at
        self._tombstone = tombstone
        self._headers: list[tuple[str, bytes]] | None = None
        if headers:
            self._headers = [
                ("ce_specversion", b"1.0"),
                ("ce_source", event.source.encode()),
                ("ce_type", event.type.encode()),
                ("ce_time", timestamps.to_text(event.time).encode()),
            ]
            if event.subject is not None:
                self._headers.append(("ce_subject", event.subject.encode()))

    def topic(self) -> str:
        return self._topic

    def value(self) -> bytes | None:
        return None if self._tombstone else b"\x00\x00\x00\x00\x01"

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 2, self._at


def event(data: Any = None, **fields: Any) -> Decoded:
    defaults: dict[str, Any] = {
        "source": "shop-1",
        "type": "Order",
        "subject": None,
        "time": LINKED_AT,
        "channel": None,
        "identifiers": (),
    }
    return Decoded(**(defaults | fields), data=data)


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
        def decode(_: bytes) -> Any:
            self.decoded += 1
            return message.event

        index = index or MatchIndex(self.view)
        return {match.endpoint.id: match.subscriptions for match in index.match(message, decode)}


@pytest.fixture
def world() -> World:
    world = World()
    world.event_type("Order")
    return world


def test_only_the_selected_type_matches(world: World) -> None:
    refunds = world.event_type("Refund")
    world.subscribe("s")
    assert world.matched(Message(event())) == {"endpoint-s": ("s",)}
    assert world.matched(Message(event(), topic=refunds)) == {}
    assert MatchIndex(world.view).topics == {ORDERS}


def test_a_type_of_another_workspace_with_the_same_name_does_not_match(world: World) -> None:
    other = world.event_type("Order", workspace="other")
    world.subscribe("s")
    assert world.matched(Message(event(), topic=other)) == {}


def test_wildcards_stand_for_the_event_types_of_the_workspace(world: World) -> None:
    refunds = world.event_type("Refund")
    clicks = world.event_type("Click", namespace="web")
    world.event_type("Order", workspace="other")
    world.subscribe("namespace", ("events", "*"))
    world.subscribe("all", ("*", "*"))
    assert MatchIndex(world.view).topics == {ORDERS, refunds, clicks}
    assert world.matched(Message(event(), topic=refunds)).keys() == {"endpoint-namespace", "endpoint-all"}
    assert world.matched(Message(event(), topic=clicks)).keys() == {"endpoint-all"}


def test_a_type_that_does_not_exist_yet_has_no_topic(world: World) -> None:
    world.subscribe("s", ("events", "Later"))
    assert MatchIndex(world.view).topics == frozenset()
    topic = world.event_type("Later")
    assert MatchIndex(world.view).topics == {topic}


@pytest.mark.parametrize(
    ("linked_at", "added_at", "appended_at", "expected"),
    [
        (LINKED_AT, LINKED_AT, LINKED_MS, True),
        (LINKED_AT, LINKED_AT, LINKED_MS - 1, False),
        (LINKED_AT, LINKED_AT + 5_000, LINKED_MS + 4, False),
        (LINKED_AT, LINKED_AT + 5_000, LINKED_MS + 5, True),
        (LINKED_AT + 5_000, LINKED_AT, LINKED_MS + 4, False),
        (LINKED_AT + 5_000, LINKED_AT, LINKED_MS + 5, True),
    ],
)
@pytest.mark.parametrize("condition", [None, {"data": {"x": [1]}}, {"data": {"x": [{"numeric": [">", 0]}]}}])
def test_a_subscription_matches_from_the_later_of_its_link_and_the_selection(
    world: World,
    *,
    linked_at: int,
    added_at: int,
    appended_at: int,
    expected: bool,
    condition: Any,
) -> None:
    world.subscribe("s", at=linked_at, filter_at=added_at, condition=condition)
    assert expected is bool(world.matched(Message(event({"x": 1}), at=appended_at)))


def test_an_older_subscription_of_the_same_topic_keeps_its_own_time(world: World) -> None:
    world.subscribe("old")
    world.subscribe("new", at=LINKED_AT + 10_000)
    assert world.matched(Message(event())) == {"endpoint-old": ("old",)}
    assert world.matched(Message(event(), at=LINKED_MS + 10)).keys() == {"endpoint-old", "endpoint-new"}
    assert MatchIndex(world.view).since == {ORDERS: LINKED_MS}


def test_the_skew_allowance_lets_a_subscription_match_earlier(world: World) -> None:
    world.subscribe("s")
    index = MatchIndex(world.view, skew=500)
    assert world.matched(Message(event(), at=LINKED_MS - 500), index)
    assert not world.matched(Message(event(), at=LINKED_MS - 501), index)


def test_an_endpoint_gets_an_event_once_however_many_subscriptions_match(world: World) -> None:
    world.subscribe("b", endpoint="e", condition={"data": {"x": [1]}})
    world.subscribe("a", endpoint="e")
    world.subscribe("c", endpoint="e", condition={"data": {"x": [2]}})
    assert world.matched(Message(event({"x": 1}))) == {"e": ("a", "b")}


def test_disabled_and_unlinked_ends_do_not_match(world: World) -> None:
    for name in ("off", "dark", "filterless", "endpointless"):
        world.subscribe(name)
    off, dark = world.view.subscription("off"), world.view.endpoint("endpoint-dark")
    assert off is not None
    assert dark is not None
    world.view.put(msgspec.structs.replace(off, enabled=False), LINKED_AT)
    world.view.put(msgspec.structs.replace(dark, enabled=False), LINKED_AT)
    world.view.remove("event_filter/filter-filterless")
    world.view.remove("endpoint/endpoint-endpointless")
    assert world.matched(Message(event())) == {}


def test_lists_and_condition_of_a_filter_hold_together(world: World) -> None:
    world.subscribe(
        "s",
        sources=("shop-1", "shop-2"),
        channels=("till",),
        identifiers={"customer": ("c1",)},
        condition={"data": {"total": [{"numeric": [">", 100]}]}},
    )
    fitting = event({"total": 101}, channel="till", identifiers=(Identifier("customer", "c1"),))
    assert world.matched(Message(fitting))
    for change in ({"source": "shop-3"}, {"channel": "web"}, {"identifiers": ()}, {"data": {"total": 100}}):
        assert not world.matched(Message(msgspec.structs.replace(fitting, **change)))


def test_nothing_is_decoded_when_no_candidate_looks_at_the_data(world: World) -> None:
    world.subscribe("plain")
    world.subscribe("envelope", condition={"source": ["shop-1"], "type": ["Order"], "time": [{"prefix": "2023-"}]})
    world.subscribe("subject", condition={"subject": [{"exists": False}]})
    world.subscribe("late", condition={"data": {"x": [{"prefix": "a"}]}}, at=LINKED_AT + 10_000)
    assert world.matched(Message(event())).keys() == {"endpoint-plain", "endpoint-envelope", "endpoint-subject"}
    assert world.decoded == 0


def test_an_event_is_decoded_once_for_all_conditions(world: World) -> None:
    for number in range(5):
        world.subscribe(f"p{number}", condition={"data": {"x": [{"prefix": "a"}]}})
        world.subscribe(f"e{number}", condition={"data": {"x": ["ab"]}})
    assert len(world.matched(Message(event({"x": "ab"})))) == 10
    assert world.decoded == 1


def test_a_record_without_cloudevents_headers_is_decoded_for_them(world: World) -> None:
    world.subscribe("s", condition={"source": ["shop-1"], "subject": ["x"], "time": [{"prefix": "2023-"}]})
    assert world.matched(Message(event(subject="x"), headers=False))


def test_a_tombstone_matches_nothing(world: World) -> None:
    world.subscribe("s")
    assert world.matched(Message(event(), tombstone=True)) == {}


def test_a_value_that_cannot_be_decoded_is_the_routers_to_set_aside(world: World) -> None:
    world.subscribe("s", condition={"data": {"x": [1]}})

    def decode(_: bytes) -> Any:
        raise CorruptRecord("bad")

    with pytest.raises(CorruptRecord):
        MatchIndex(world.view).match(Message(event()), decode)


def test_a_filter_that_cannot_be_compiled_does_not_stop_the_others(world: World) -> None:
    world.subscribe("bad", condition={"nonsense": 1})
    world.subscribe("good")
    assert world.matched(Message(event())) == {"endpoint-good": ("good",)}


@pytest.mark.parametrize(
    ("condition", "data"),
    [
        ({"data": {"tags": ["a", "b"]}}, {"tags": ["b", "a", "b"]}),
        ({"data": {"items": {"sku": ["s1"]}}}, {"items": [{"sku": "s0"}, {"sku": "s1"}]}),
        ({"data": {"a": {"b": {"c": [1]}}}}, {"a": {"b": {"c": 1.0, "d": 2}}}),
        ({"data": ["go"]}, "go"),
        ({"data": {"x": [True]}}, {"x": True}),
        ({"data": {"x": [None]}}, {"x": None}),
    ],
)
def test_the_index_finds_what_the_condition_matches(world: World, condition: Any, data: Any) -> None:
    world.subscribe("s", condition=condition)
    assert world.matched(Message(event(data))) == {"endpoint-s": ("s",)}


def test_a_new_index_takes_over_what_did_not_change(world: World) -> None:
    refunds = world.event_type("Refund")
    world.subscribe("a", condition={"data": {"x": [1]}})
    world.subscribe("b", ("events", "Refund"), condition={"data": {"x": [1]}})
    first = MatchIndex(world.view)
    for topic in (ORDERS, refunds):
        world.matched(Message(event({"x": 1}), topic=topic), first)
    world.subscribe("c", ("events", "Refund"), condition={"data": {"x": [1]}})
    second = MatchIndex(world.view, first)
    assert second._matchers.keys() == {ORDERS}
    assert second._matchers[ORDERS] is first._matchers[ORDERS]
    assert world.matched(Message(event({"x": 1}), topic=refunds), second) == {
        "endpoint-b": ("b",),
        "endpoint-c": ("c",),
    }
    assert world.matched(Message(event({"x": 1}), topic=refunds), first) == {"endpoint-b": ("b",)}


def test_an_edited_filter_is_compiled_anew(world: World) -> None:
    world.subscribe("s", condition={"data": {"x": [1]}})
    first = MatchIndex(world.view)
    assert world.matched(Message(event({"x": 1})), first)
    world.subscribe("s", condition={"data": {"x": [2]}})
    second = MatchIndex(world.view, first)
    assert not world.matched(Message(event({"x": 1})), second)
    assert world.matched(Message(event({"x": 2})), second)


def seconds_per_match(world: World, message: Message, rounds: int = 2_000) -> float:
    def decode(_: bytes) -> Any:
        return message.event

    index = MatchIndex(world.view)
    index.match(message, decode)

    def timed(run: Callable[[], object]) -> float:
        started = time.process_time()
        for _ in range(rounds):
            run()
        return (time.process_time() - started) / rounds

    return min(timed(lambda: index.match(message, decode)) for _ in range(3))


def test_the_cost_does_not_grow_with_subscriptions_that_do_not_match() -> None:
    """Each of the many asks for a store of its own, and all share a source: only the store tells them apart."""
    costs = []
    for subscriptions in (10, 5_000):
        world = World()
        world.event_type("Order")
        for number in range(subscriptions):
            world.subscribe(f"s{number}", sources=("shop-1",), condition={"data": {"store": [f"store-{number}"]}})
        message = Message(event({"store": "store-3", "total": 5}))
        assert world.matched(message) == {"endpoint-s3": ("s3",)}
        costs.append(seconds_per_match(world, message))
    assert costs[1] < 3 * costs[0] + 5e-6
