from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.view import CatalogView
from schemas.access import ApiKey, Client, Workspace
from schemas.event_type import EventType, Registration, RegistrationKind
from schemas.family_record import FamilyRecord
from schemas.subscription import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection

if TYPE_CHECKING:
    from schemas.resources import Resource

WORKSPACE = Workspace(id="w1", name="acme", created_at=0, updated_at=0)
CLIENT = Client(id="c1", workspace="acme", name="shop", created_at=0, updated_at=0)
KEY = ApiKey(id="k1", client="c1", workspace="acme", digest="d1", hint="abcd", created_at=0, updated_at=0)
TYPE = EventType(
    workspace="acme", namespace="events", code="Offer", effective_partitions=1, schema_id=1, created_at=0, updated_at=0
)
REGISTRATION = Registration(client="c1", workspace="acme", namespace="events", code="Offer", created_at=0, updated_at=0)
ENDPOINT = Endpoint(id="e1", workspace="acme", name="hook", type=EndpointType.FILE, created_at=0, updated_at=0)
FILTER = EventFilter(
    id="f1",
    workspace="acme",
    name="offers",
    types=(TypeSelection(namespace="events", code="Offer"), TypeSelection(namespace="events", code="*", added_at=3)),
    created_at=0,
    updated_at=0,
)
LINK = Subscription(id="s1", workspace="acme", event_filter="f1", endpoint="e1", created_at=0, updated_at=0)
RECORD = FamilyRecord(
    family="eventhos",
    collection="system",
    id="1",
    workspace="acme",
    content={"name": "ERP"},
    created_at=0,
    updated_at=0,
)
ALL: list[Resource] = [WORKSPACE, CLIENT, KEY, TYPE, REGISTRATION, ENDPOINT, FILTER, LINK, RECORD]


@pytest.fixture
def view() -> CatalogView:
    view = CatalogView()
    for number, resource in enumerate(ALL):
        view.put(resource, 1_000 + number)
    return view


def test_everything_is_found_by_what_it_is_looked_up_by(view: CatalogView) -> None:
    assert view.workspace("acme") == view.workspace_by_id("w1") == WORKSPACE
    assert view.workspaces() == (WORKSPACE,)
    assert view.client("c1") == CLIENT
    assert view.clients("acme") == (CLIENT,)
    assert view.api_key("k1") == view.api_key_by_digest("d1") == KEY
    assert view.api_keys("c1") == (KEY,)
    assert view.event_type(TYPE.topic) == TYPE
    assert view.event_types("acme") == (TYPE,)
    assert view.registration("c1", TYPE.topic, RegistrationKind.PUBLISH) == REGISTRATION
    assert view.registration("c1", TYPE.topic, RegistrationKind.SUBSCRIBE) is None
    assert view.registrations_of("c1") == view.registrations_for(TYPE.topic) == (REGISTRATION,)
    assert view.endpoint("e1") == ENDPOINT
    assert view.endpoints("acme") == (ENDPOINT,)
    assert view.event_filters("acme") == (view.event_filter("f1"),)
    assert view.subscriptions_of("e1") == view.subscriptions_of("f1") == view.subscriptions("acme")
    assert view.family_record("eventhos", "system", "1") == RECORD
    assert view.family_records("eventhos", "system", "acme") == (RECORD,)
    assert view.family_records("eventhos", "action", "acme") == ()
    assert view.endpoints("other") == ()
    assert view.version == len(view) == len(ALL)


def test_a_link_and_a_type_count_from_their_records_append_time(view: CatalogView) -> None:
    linked, event_filter = view.subscription("s1"), view.event_filter("f1")
    assert linked is not None
    assert event_filter is not None
    assert linked.linked_at == 1_007
    assert [each.added_at for each in event_filter.types] == [1_006, 3]
    view.put(msgspec.structs.replace(linked, enabled=False), 5_000)
    rewritten = view.subscription("s1")
    assert rewritten is not None
    assert rewritten.linked_at == 1_007


@pytest.mark.parametrize("resource", ALL, ids=lambda each: each.key)
def test_a_removed_resource_is_found_nowhere(view: CatalogView, resource: Resource) -> None:
    view.remove(resource.key)
    view.remove(resource.key)
    assert view.get(resource.key) is None
    assert len(view) == len(ALL) - 1
    assert view.version == len(ALL) + 2
    fresh = CatalogView()
    for number, each in enumerate(ALL):
        if each is not resource:
            fresh.put(each, 1_000 + number)
    for question in (
        lambda of: of.workspace_by_id("w1"),
        lambda of: of.workspaces(),
        lambda of: of.clients("acme"),
        lambda of: of.api_key_by_digest("d1"),
        lambda of: of.api_keys("c1"),
        lambda of: of.event_types("acme"),
        lambda of: of.registrations_of("c1"),
        lambda of: of.registrations_for(TYPE.topic),
        lambda of: of.endpoints("acme"),
        lambda of: of.event_filters("acme"),
        lambda of: of.subscriptions("acme"),
        lambda of: of.subscriptions_of("e1"),
        lambda of: of.family_records("eventhos", "system", "acme"),
        lambda of: list(of.live_subscriptions()),
    ):
        assert question(view) == question(fresh)


def test_live_needs_both_ends_and_all_enabled(view: CatalogView) -> None:
    assert [(link.id, each.id, endpoint.id) for link, each, endpoint in view.live_subscriptions()] == [
        ("s1", "f1", "e1")
    ]
    view.put(msgspec.structs.replace(ENDPOINT, enabled=False), 0)
    assert list(view.live_subscriptions()) == []
    view.put(ENDPOINT, 0)
    view.put(msgspec.structs.replace(LINK, enabled=False), 0)
    assert list(view.live_subscriptions()) == []
    view.put(LINK, 0)
    view.remove(FILTER.key)
    assert list(view.live_subscriptions()) == []


def test_a_replaced_key_is_found_by_its_new_hash_only(view: CatalogView) -> None:
    view.put(msgspec.structs.replace(KEY, digest="d2"), 0)
    assert view.api_key_by_digest("d1") is None
    assert view.api_key_by_digest("d2") is not None
    assert len(view.api_keys("c1")) == 1


def test_a_copy_goes_its_own_way(view: CatalogView) -> None:
    copy = view.copy()
    copy.remove(CLIENT.key)
    copy.put(msgspec.structs.replace(ENDPOINT, id="e2"), 0)
    view.put_schema(RegisteredSchema(1, "a", 1, "text"))
    assert view.clients("acme") == (CLIENT,)
    assert view.endpoints("acme") == (ENDPOINT,)
    assert copy.subjects() == ()
    assert copy.clients("acme") == ()


def test_a_text_has_one_id_and_a_subject_counts_its_versions() -> None:
    view = CatalogView()
    first = view.next_schema("a", "one")
    assert first == RegisteredSchema(1, "a", 1, "one")
    view.put_schema(first)
    assert view.next_schema("a", "one") == first
    assert view.next_schema("b", "one") == RegisteredSchema(1, "b", 1, "one")
    second = view.next_schema("a", "two")
    assert second == RegisteredSchema(2, "a", 2, "two")
    view.put_schema(second)
    view.put_schema(view.next_schema("b", "one"))
    assert view.subject_versions("a") == (first, second)
    assert [each.subject for each in view.schema_versions(1)] == ["a", "b"]
    assert view.subjects() == ("a", "b")


def test_an_id_is_never_given_to_another_text() -> None:
    view = CatalogView()
    schema = view.next_schema("a", "one")
    view.put_schema(schema)
    view.remove_schema("a", 1, keep_id=True)
    assert view.subject_versions("a") == ()
    assert view.schema(1) == schema
    view.put_schema(schema)
    view.remove_schema("a", 1)
    assert view.schema(1) is None
    assert view.next_schema("a", "two").id == 2


def test_write_ids_are_counted_and_the_oldest_forgotten() -> None:
    view = CatalogView()
    for number in range(5_000):
        view.note_write(str(number))
    view.note_write("4999")
    assert view.records_of_write("4999") == 2
    assert view.records_of_write("0") == 0


def test_a_reader_on_another_thread_never_sees_half_an_update(view: CatalogView) -> None:
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not done.is_set():
            seen = (
                view.endpoint("e1"),
                view.endpoints("acme"),
                view.subscriptions_of("e1"),
                list(view.live_subscriptions()),
            )
            if not all(seen):
                wrong.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(3_000):
        view.put(msgspec.structs.replace(ENDPOINT, updated_at=number), number)
        view.put(msgspec.structs.replace(LINK, updated_at=number), number)
        view.put(msgspec.structs.replace(CLIENT, id=f"c{number}"), number)
        view.remove(f"client/c{number}")
    done.set()
    reader.join()
    assert not wrong
