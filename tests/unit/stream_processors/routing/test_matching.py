"""Who gets an event: selection, times and conditions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from schemas.model.errors import CorruptRecord
from schemas.model.event import Identifier
from stream_processors.routing.matching import MatchIndex
from tests.unit.stream_processors.subscribed_world import (
    LINKED_AT,
    LINKED_MS,
    ORDERS,
    FakeDecoding,
    Message,
    World,
    event,
    world_with_orders,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class CountedReads(tuple[Identifier, ...]):  # noqa: SLOT001  # it counts
    """Counts how often it is gone through."""

    reads = 0

    def __iter__(self) -> Iterator[Identifier]:
        self.reads += 1
        return super().__iter__()


@pytest.fixture
def world() -> World:
    return world_with_orders()


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
    fitting = event({"total": 101}, channel="till", known_identifiers=(Identifier("customer", "c1"),))
    assert world.matched(Message(fitting))
    for change in ({"source": "shop-3"}, {"channel": "web"}, {"known_identifiers": ()}, {"data": {"total": 100}}):
        assert not world.matched(Message(msgspec.structs.replace(fitting, **change)))


def test_a_record_without_cloudevents_headers_is_decoded_for_them(world: World) -> None:
    world.subscribe("s", condition={"source": ["shop-1"], "subject": ["x"], "time": [{"prefix": "2023-"}]})
    assert world.matched(Message(event(subject="x"), headers=False))


def test_a_tombstone_matches_nothing(world: World) -> None:
    world.subscribe("s")
    assert world.matched(Message(event(), tombstone=True)) == {}


def test_a_record_that_was_decoded_for_its_source_is_not_decoded_again_for_its_data(world: World) -> None:
    world.subscribe("s", condition={"source": ["shop-1"], "data": {"total": [7]}})
    assert world.matched(Message(event({"total": 7}), headers=False))
    assert world.decoded == 1


def test_a_value_that_cannot_be_decoded_is_the_routers_to_set_aside(world: World) -> None:
    world.subscribe("s", condition={"data": {"x": [1]}})
    with pytest.raises(CorruptRecord):
        MatchIndex(world.view).match(Message(event()), FakeDecoding(None))


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


def test_the_index_looks_into_arrays_however_deep_they_are(world: World) -> None:
    world.subscribe("s", condition={"data": {"tags": ["b"]}})
    tags: Any = "b"
    for _ in range(5_000):
        tags = [tags]
    assert world.matched(Message(event({"tags": tags}))) == {"endpoint-s": ("s",)}


def test_ordered_subscriptions_of_one_endpoint_stay_apart(world: World) -> None:
    for name, order in (("a", None), ("b", None), ("c", 2), ("d", 1)):
        world.subscribe(name, endpoint="hook", condition=None if order == 1 else {"data": {"total": [1]}})
        link = world.view.subscription(name)
        assert link is not None
        world.view.put(msgspec.structs.replace(link, order=order), LINKED_AT)
    message = Message(event({"total": 1}))

    found = MatchIndex(world.view).match(message, FakeDecoding(message.event))

    assert {(match.subscriptions, match.order) for match in found} == {(("a", "b"), None), (("c",), 2), (("d",), 1)}


def test_a_stored_filter_means_the_client_and_a_new_one_the_cloudevents_source(world: World) -> None:
    """Of records of this release as of earlier ones, which had the client as their source."""
    world.subscribe("stored", sources=("client-1",), condition={"type": ["Order"]})
    world.subscribe("new", sources=("/o",), condition={"type": ["events/Order"]}, version=2)
    world.subscribe("by client", condition={"clientid": ["client-1"]}, version=2)
    own = event(source="/o", type="events/Order", client="client-1", of="Order")
    for headers in (True, False):
        found = world.matched(Message(own, headers=headers))
        assert found.keys() == {"endpoint-stored", "endpoint-new", "endpoint-by client"}
    older = event(source="client-1")
    assert world.matched(Message(older)).keys() == {"endpoint-stored", "endpoint-by client"}


def test_a_stored_filter_finds_extensions_among_the_identifiers(world: World) -> None:
    world.subscribe("stored", identifiers={"region": ("eu",)})
    assert world.matched(Message(event(known_identifiers=(Identifier("region", "eu"),))))


LARGE = {"a": [""] * 2_000}
EXPENSIVE = {"data": {"a": [{"suffix": f"x{number}"} for number in range(100)]}}


def failures(world: World, message: Message) -> dict[str, bool]:
    """The endpoints of all matches, and whether each is a failure."""
    matches = MatchIndex(world.view).match(message, FakeDecoding(message.event))
    return {match.endpoint.id: match.failure is not None for match in matches}


def test_a_condition_over_its_budget_fails_for_its_subscription_alone(world: World) -> None:
    world.subscribe("expensive", condition=EXPENSIVE, client="attacker")
    world.subscribe("other", condition={"data": {"a": [""]}}, client="victim")
    world.subscribe("all", client="victim")
    world.subscribe("elsewhere", condition={"data": {"b": ["x"]}}, client="victim")
    assert failures(world, Message(event(LARGE))) == {
        "endpoint-expensive": True,
        "endpoint-other": False,
        "endpoint-all": False,
    }
    assert failures(world, Message(event({"a": ["x7"]})))["endpoint-expensive"] is False


def test_an_endpoint_that_gets_the_event_anyway_has_no_failure(world: World) -> None:
    world.subscribe("a", endpoint="e", condition=EXPENSIVE)
    world.subscribe("b", endpoint="e")
    assert failures(world, Message(event(LARGE))) == {"e": False}


def test_many_conditions_of_one_client_share_a_budget_and_leave_the_others_theirs(world: World) -> None:
    just_within = {"data": {"a": [{"suffix": f"x{number}"} for number in range(45)]}}
    for number in range(20):
        world.subscribe(f"a{number:02}", condition=just_within, client="attacker")
    world.subscribe("v", condition={"data": {"a": [""], "b": [1]}}, client="victim")
    found = failures(world, Message(event(LARGE | {"b": 1})))
    assert found.pop("endpoint-v") is False
    assert 15 <= len(found) < 20
    assert all(found.values())


def test_a_value_that_an_array_holds_very_often_finds_its_subscriptions_once(world: World) -> None:
    for number in range(300):
        world.subscribe(f"s{number}", condition={"data": {"a": ["x"]}})
    began = time.process_time()
    assert len(failures(world, Message(event({"a": ["x"] * 100_000})))) == 300
    assert time.process_time() - began < 10


def test_identifiers_are_read_once_for_all_conditions(world: World) -> None:
    for number in range(300):
        world.subscribe(f"s{number}", condition={"identifiers": {"who": [{"suffix": f"-{number}"}]}})
    identifiers = CountedReads(Identifier(f"n{number}", "x") for number in range(100_000))
    assert failures(world, Message(event(known_identifiers=identifiers))) == {}
    assert identifiers.reads == 1


def test_what_takes_long_is_matched_in_steps(world: World) -> None:
    for number in range(600):
        world.subscribe(f"s{number}", condition={"data": {"x": [{"prefix": str(number)}]}})
    index = MatchIndex(world.view)
    message = Message(event({"x": "12"}))
    assert index.takes_long(message)
    *steps, found = index.steps(message, FakeDecoding(message.event))
    assert {match.endpoint.id for match in found or ()} == {"endpoint-s1", "endpoint-s12"}
    assert steps == [None] * len(steps)
    # Each filter is compiled in a step of its own, once; then some conditions are compared in each.
    again = list(index.steps(message, FakeDecoding(message.event)))
    assert len(steps) > 600 > len(again) > 10


def test_a_small_event_for_few_is_matched_at_once(world: World) -> None:
    world.subscribe("s")
    index = MatchIndex(world.view)
    assert not index.takes_long(Message(event()))
    assert not index.takes_long(Message(event(), topic="events.acme.events.Nobody"))
