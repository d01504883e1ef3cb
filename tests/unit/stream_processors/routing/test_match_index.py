"""What a match costs: decoding, rebuilding the index, and subscriptions that do not match."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from stream_processors.routing.matching import MatchIndex
from tests.unit.stream_processors.subscribed_world import (
    LINKED_AT,
    ORDERS,
    FakeDecoding,
    Message,
    World,
    event,
    world_with_orders,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def world() -> World:
    return world_with_orders()


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


def test_what_one_workspace_changes_leaves_the_index_of_others_as_it_is(world: World) -> None:
    orders = world.event_type("Order", workspace="other")
    for workspace in ("acme", "other"):
        world.subscribe(f"in-{workspace}", workspace=workspace)
    first = MatchIndex(world.view)
    world.subscribe("more", workspace="other")
    world.event_type("Refund", workspace="other")
    second = MatchIndex(world.view, first)
    assert second._routes["acme"] is first._routes["acme"]
    assert second._routes["other"] is not first._routes["other"]
    assert world.matched(Message(event()), second) == {"endpoint-in-acme": ("in-acme",)}
    assert world.matched(Message(event(), topic=orders), second).keys() == {"endpoint-in-other", "endpoint-more"}


def test_of_a_workspace_that_changes_only_what_changed_is_made_again(world: World) -> None:
    for name in ("a", "b"):
        world.subscribe(name)
    first = MatchIndex(world.view)
    world.subscribe("b", condition={"data": {"x": [1]}})
    second = MatchIndex(world.view, first)
    entries = {entry.subscription.id: entry for entry in first._live[ORDERS]}
    again = {entry.subscription.id: entry for entry in second._live[ORDERS]}
    assert (again["a"] is entries["a"], again["b"] is entries["b"]) == (True, False)


def test_an_index_that_took_over_is_the_same_as_a_new_one(world: World) -> None:
    """Types that come later, wildcards, and ends that go: nothing of it is missed, nothing stays."""
    index = MatchIndex(world.view)
    steps: list[Callable[[], object]] = [
        lambda: world.subscribe("named", ("events", "Refund")),
        lambda: world.subscribe("all", ("*", "*")),
        lambda: world.event_type("Refund"),
        lambda: world.subscribe("namespace", ("events", "*"), at=LINKED_AT + 5_000),
        lambda: world.event_type("Click", "web"),
        lambda: world.view.remove("event_filter/filter-all"),
        lambda: world.subscribe("all", ("web", "*"), condition={"source": ["s"]}),
        lambda: world.view.remove("endpoint/endpoint-named"),
        lambda: world.subscribe("named", ("events", "Refund"), at=LINKED_AT + 9_000),
        lambda: world.view.remove(next(kind.key for kind in world.view.event_types("acme") if kind.code == "Refund")),
        lambda: world.view.remove("subscription/namespace"),
    ]
    for number, step in enumerate(steps):
        step()
        index, fresh = MatchIndex(world.view, index), MatchIndex(world.view)
        assert index._live == fresh._live, number
        assert (index.topics, index.since, index.workspaces) == (fresh.topics, fresh.since, fresh.workspaces)


def test_an_edited_filter_is_compiled_anew(world: World) -> None:
    world.subscribe("s", condition={"data": {"x": [1]}})
    first = MatchIndex(world.view)
    assert world.matched(Message(event({"x": 1})), first)
    world.subscribe("s", condition={"data": {"x": [2]}})
    second = MatchIndex(world.view, first)
    assert not world.matched(Message(event({"x": 1})), second)
    assert world.matched(Message(event({"x": 2})), second)


def seconds_per_match(world: World, message: Message, rounds: int = 2_000) -> float:
    decoding = FakeDecoding(message.event)
    index = MatchIndex(world.view)
    index.match(message, decoding)

    def timed(run: Callable[[], object]) -> float:
        started = time.process_time()
        for _ in range(rounds):
            run()
        return (time.process_time() - started) / rounds

    return min(timed(lambda: index.match(message, decoding)) for _ in range(3))


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
