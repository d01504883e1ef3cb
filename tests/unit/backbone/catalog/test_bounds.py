"""How much one client and one workspace may have, and how large one write may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.bindings import refusing_tokens_of_before
from backbone.catalog.bounds import RECORD_BYTES, CatalogBounds, check_size
from backbone.catalog.type_changes import evolved
from backbone.catalog.view import CatalogView
from backbone.kafka.records import Record
from backbone.operations.growths import check_growth
from schemas.model.access import ApiKey, Client
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.errors import Conflict, PayloadTooLarge, QuotaExceeded
from schemas.model.event_type import Attribute, Compatibility, EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth, GrowthOrder, GrowthState

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.model.resources import Resource

BOUNDS = CatalogBounds(
    endpoints=2,
    filters=2,
    subscriptions=2,
    event_types=2,
    keys=2,
    attributes=3,
    workspace_event_types=2,
    workspace_clients=2,
    workspace_records=2,
)
NOW = {"created_at": 0, "updated_at": 0}


def endpoint(name: str, owner: str | None) -> Endpoint:
    return Endpoint(id=name, workspace="w", name=name, client=owner, type=EndpointType.WEB_HOOK, **NOW)


def event_filter(name: str, owner: str | None) -> EventFilter:
    return EventFilter(
        id=name, workspace="w", name=name, client=owner, types=(TypeSelection(namespace="n", code="c"),), **NOW
    )


def subscription(name: str, owner: str | None) -> Subscription:
    return Subscription(id=name, workspace="w", event_filter=f"filter-{owner}", endpoint=f"endpoint-{owner}", **NOW)


def registration(name: str, owner: str | None) -> Registration:
    return Registration(client=owner or "", workspace="w", namespace="n", code=name, **NOW)


def key(name: str, owner: str | None) -> ApiKey:
    return ApiKey(id=name, client=owner or "", workspace="w", digest=name, hint="", **NOW)


def event_type(name: str, owner: str | None = None, *, attributes: int = 0) -> EventType:
    listed = tuple(Attribute(name=f"a{number}", type="String") for number in range(attributes))
    return EventType(
        workspace=owner or "w", namespace="n", code=name, attributes=listed, effective_partitions=1, schema_id=1, **NOW
    )


def client(name: str, owner: str | None) -> Client:
    return Client(id=name, workspace=owner or "w", name=name, **NOW)


def record(name: str, owner: str | None) -> FamilyRecord:
    return FamilyRecord(family="f", collection="systems", id=name, workspace=owner or "w", content={}, **NOW)


@pytest.mark.parametrize(
    ("made", "setting"),
    [
        (endpoint, "HEADRACE_MAX_ENDPOINTS"),
        (event_filter, "HEADRACE_MAX_FILTERS"),
        (subscription, "HEADRACE_MAX_SUBSCRIPTIONS"),
        (registration, "HEADRACE_MAX_EVENT_TYPES"),
        (key, "HEADRACE_MAX_KEYS"),
        (event_type, "HEADRACE_MAX_WORKSPACE_EVENT_TYPES"),
        (client, "HEADRACE_MAX_WORKSPACE_CLIENTS"),
        (record, "HEADRACE_MAX_WORKSPACE_RECORDS"),
    ],
)
def test_one_owner_may_have_so_many_and_leaves_the_others_theirs(
    made: Callable[[str, str | None], Resource], setting: str
) -> None:
    view = CatalogView()
    for owner in ("a", "b"):
        for end in (endpoint(f"endpoint-{owner}", owner), event_filter(f"filter-{owner}", owner)):
            if not isinstance(made("x", owner), type(end)):
                view.put(end, 0)
    for number in range(2):
        new = made(f"x{number}", "a")
        BOUNDS.check(view, [new])
        view.put(new, 0)
    with pytest.raises(QuotaExceeded, match=rf"at most 2 are allowed \({setting}\)"):
        BOUNDS.check(view, [made("x2", "a")])
    BOUNDS.check(view, [made("x0", "a"), made("y0", "b"), made("y1", "b")])
    with pytest.raises(QuotaExceeded):
        BOUNDS.check(view, [made(f"y{number}", "b") for number in range(3)])


def test_what_belongs_to_no_client_counts_together() -> None:
    view = CatalogView()
    view.put(endpoint("mine", "a"), 0)
    BOUNDS.check(view, [endpoint("x0", None), endpoint("x1", None)])
    with pytest.raises(QuotaExceeded):
        BOUNDS.check(view, [endpoint(f"x{number}", None) for number in range(3)])


def test_a_link_to_an_endpoint_of_the_same_write_counts_for_its_client() -> None:
    view = CatalogView()
    mine = endpoint("endpoint-a", "a")
    with pytest.raises(QuotaExceeded):
        BOUNDS.check(view, [mine, *(subscription(f"s{number}", "a") for number in range(3))])


def test_an_event_type_has_so_many_attributes_or_as_many_as_it_had() -> None:
    view = CatalogView()
    BOUNDS.check(view, [event_type("t", attributes=3)])
    with pytest.raises(PayloadTooLarge, match="HEADRACE_MAX_ATTRIBUTES"):
        BOUNDS.check(view, [event_type("t", attributes=4)])
    view.put(event_type("t", attributes=5), 0)
    BOUNDS.check(view, [event_type("t", attributes=5)])
    with pytest.raises(PayloadTooLarge):
        BOUNDS.check(view, [event_type("t", attributes=6)])


def test_the_size_of_a_write_is_bounded_by_record_and_together() -> None:
    assert check_size([Record("t", b"abc", b"k"), Record("t", None, b"k")]) == 5
    with pytest.raises(PayloadTooLarge, match="too large"):
        check_size([Record("t", b"x" * (RECORD_BYTES + 1))])
    with pytest.raises(PayloadTooLarge, match="One change may write"):
        check_size([Record("t", b"x" * 900_000)] * 5)


def test_a_transitive_level_does_not_compare_with_any_number_of_versions() -> None:
    view = CatalogView()
    found = event_type("t", attributes=200)
    found = EventType(
        **{name: getattr(found, name) for name in found.__struct_fields__}
        | {"declared": found.attributes, "compatibility": Compatibility.BACKWARD_TRANSITIVE}
    )
    for _ in range(101):
        text = f'{{"version": {len(view.subject_versions(found.subject))}}}'
        view.put_schema(view.next_schema(found.subject, text))
    with pytest.raises(Conflict, match="not transitive"):
        evolved(view, found, [])


def test_a_workspace_may_keep_so_many_bytes_whatever_they_are() -> None:
    view, bounds = CatalogView(), CatalogBounds(workspace_bytes=3_000)
    large = msgspec.structs.replace(endpoint("a", "a"), headers={"x": "y" * 2_000})
    bounds.check(view, [large])
    view.put(large, 0)
    for added in (
        msgspec.structs.replace(endpoint("b", "b"), headers={"x": "y" * 1_000}),
        msgspec.structs.replace(client("b", None), scopes=("s" * 1_000,)),
        event_type("t", attributes=40),
        msgspec.structs.replace(large, description="d" * 1_000),
    ):
        with pytest.raises(QuotaExceeded, match="HEADRACE_MAX_WORKSPACE_BYTES"):
            bounds.check(view, [added])
    schema = view.next_schema("events.w.n.t-value", "x" * 1_000)
    with pytest.raises(QuotaExceeded):
        bounds.check(view, [], schemas=[schema])
    bounds.check(view, [endpoint("b", "other")])
    other = msgspec.structs.replace(endpoint("b", "b"), workspace="v", headers={"x": "y" * 1_000})
    bounds.check(view, [other])
    bounds.check(view, [endpoint("b", "b")], delete=[large.key])


def test_a_full_workspace_takes_what_takes_rights_away() -> None:
    view, bounds = CatalogView(), CatalogBounds(workspace_bytes=1)
    member, held = client("c", None), key("k", "c")
    for each in (member, held):
        view.put(each, 0)
    bounds.check(view, [msgspec.structs.replace(member, disabled=True)])
    bounds.check(view, [refusing_tokens_of_before(member)], delete=[held.key])
    bounds.check(view, [], delete=[member.key, held.key])


def test_the_bytes_of_a_workspace_follow_what_it_has() -> None:
    view = CatalogView()
    first, second = endpoint("a", "a"), msgspec.structs.replace(endpoint("a", "a"), description="longer")
    view.put(first, 0)
    before = view.bytes_of("w")
    view.put(second, 0)
    assert view.bytes_of("w") > before > 0
    schema = view.next_schema("events.w.n.t-value", "x" * 100)
    view.put_schema(schema)
    view.put_schema(schema)
    assert view.copy().bytes_of("w") == view.bytes_of("w")
    view.remove_schema(schema.subject, schema.version)
    view.put(first, 0)
    assert view.bytes_of("w") == before
    view.remove(first.key)
    assert view.bytes_of("w") == 0


def test_a_change_of_very_many_records_is_refused_before_they_are_written_out() -> None:
    large = [msgspec.structs.replace(endpoint(f"e{n}", "a"), description="d" * 900_000) for n in range(5)]
    with pytest.raises(PayloadTooLarge, match="One change may write"):
        CatalogBounds().check(CatalogView(), large)


def test_subscriptions_and_the_event_types_that_they_select_do_not_multiply_without_end() -> None:
    view, bounds = CatalogView(), CatalogBounds(workspace_routes=6)
    everything = (TypeSelection(namespace="*", code="*"),)
    for number in range(3):
        view.put(event_type(f"t{number}"), 0)
    for number in range(2):
        view.put(msgspec.structs.replace(event_filter(f"filter-{number}", "a"), types=everything), 0)
        view.put(subscription(f"s{number}", str(number)), 0)
    narrow = msgspec.structs.replace(event_filter("filter-2", "a"), types=())
    view.put(narrow, 0)
    link, wide = subscription("s2", "2"), msgspec.structs.replace(narrow, types=everything)
    bounds.check(view, [link])
    for added in ([event_type("t3")], [wide, link]):
        with pytest.raises(QuotaExceeded, match="HEADRACE_MAX_WORKSPACE_ROUTES"):
            bounds.check(view, added)
    view.put(link, 0)
    with pytest.raises(QuotaExceeded):
        bounds.check(view, [wide])
    bounds.check(view, [msgspec.structs.replace(narrow, name="renamed"), event_type("t0")])
    bounds.check(view, [msgspec.structs.replace(event_type("t3"), workspace="elsewhere")])


def test_partitions_count_together_with_those_of_growths_under_way() -> None:
    view, bounds = CatalogView(), CatalogBounds(workspace_partitions=6)
    first = event_type("t0")
    view.put(first, 0)
    growth = Growth(
        id="g",
        workspace="w",
        topic=first.topic,
        before=1,
        partitions=4,
        order=GrowthOrder.KEEP,
        state=GrowthState.DRAINING,
        requested_by="c",
        **NOW,
    )
    view.put(growth, 0)
    bounds.check(view, [event_type("t1"), event_type("t2")])
    wide = msgspec.structs.replace(event_type("t1"), effective_partitions=3)
    with pytest.raises(QuotaExceeded, match=r"have 4 partitions and cannot have 3 more.*HEADRACE_MAX_WORKSPACE_PARTIT"):
        bounds.check(view, [wide])
    second = event_type("t1")
    view.put(second, 0)
    assert check_growth(view, second, 2, GrowthOrder.AS_IS, bounds) is None
    with pytest.raises(QuotaExceeded):
        check_growth(view, second, 3, GrowthOrder.AS_IS, bounds)
    bounds.check(view, [msgspec.structs.replace(wide, workspace="elsewhere")])
    # What is there already stays, and can be changed in other ways.
    view.put(wide, 0)
    bounds.check(view, [msgspec.structs.replace(wide, description="a")])


@pytest.mark.parametrize("make", [key, registration])
def test_a_namesake_in_another_workspace_has_bounds_of_its_own(make: Callable[..., Any]) -> None:
    view = CatalogView()
    there = [msgspec.structs.replace(make(name, "c"), workspace="elsewhere") for name in "ab"]
    for each in there:
        view.put(each, 0)
    BOUNDS.check(view, [make("a", "c"), make("b", "c")])
    with pytest.raises(QuotaExceeded):
        BOUNDS.check(view, [msgspec.structs.replace(make("c", "c"), workspace="elsewhere")])
