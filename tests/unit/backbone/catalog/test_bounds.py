"""How much one client and one workspace may have, and how large one write may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.catalog.bounds import RECORD_BYTES, CatalogBounds, check_size
from backbone.catalog.evolution import evolved
from backbone.catalog.view import CatalogView
from backbone.kafka.records import Record
from schemas.access import ApiKey, Client
from schemas.errors import Conflict, PayloadTooLarge, QuotaExceeded
from schemas.event_type import Attribute, Compatibility, EventType, Registration
from schemas.family_record import FamilyRecord
from schemas.subscription import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.resources import Resource

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
