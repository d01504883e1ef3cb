from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.view import CatalogView
from schemas.model.access import ApiKey, Client, Workspace, client_key
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.event_type import EventType, Registration, RegistrationKind
from schemas.model.family_record import FamilyRecord

if TYPE_CHECKING:
    from schemas.model.resources import Resource

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
    assert view.workspace("acme") == WORKSPACE
    assert view.workspaces() == (WORKSPACE,)
    assert view.client("acme", "c1") == CLIENT
    assert view.clients("acme") == (CLIENT,)
    assert view.api_key("k1") == view.api_key_by_digest("d1") == KEY
    assert view.api_keys("acme", "c1") == (KEY,)
    assert view.event_type(TYPE.topic) == TYPE
    assert view.event_types("acme") == (TYPE,)
    assert view.registration("c1", TYPE.topic, RegistrationKind.PUBLISH) == REGISTRATION
    assert view.registration("c1", TYPE.topic, RegistrationKind.SUBSCRIBE) is None
    assert view.registrations_of("acme", "c1") == view.registrations_for(TYPE.topic) == (REGISTRATION,)
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
        lambda of: of.workspaces(),
        lambda of: of.clients("acme"),
        lambda of: of.api_key_by_digest("d1"),
        lambda of: of.api_keys("acme", "c1"),
        lambda of: of.event_types("acme"),
        lambda of: of.registrations_of("acme", "c1"),
        lambda of: of.registrations_for(TYPE.topic),
        lambda of: of.endpoints("acme"),
        lambda of: of.event_filters("acme"),
        lambda of: of.subscriptions("acme"),
        lambda of: of.subscriptions_of("e1"),
        lambda of: of.family_records("eventhos", "system", "acme"),
        lambda of: list(of.live_subscriptions("acme")),
    ):
        assert question(view) == question(fresh)


def test_live_needs_both_ends_and_all_enabled(view: CatalogView) -> None:
    assert [(link.id, each.id, endpoint.id) for link, each, endpoint in view.live_subscriptions("acme")] == [
        ("s1", "f1", "e1")
    ]
    view.put(msgspec.structs.replace(ENDPOINT, enabled=False), 0)
    assert list(view.live_subscriptions("acme")) == []
    view.put(ENDPOINT, 0)
    view.put(msgspec.structs.replace(LINK, enabled=False), 0)
    assert list(view.live_subscriptions("acme")) == []
    view.put(LINK, 0)
    view.remove(FILTER.key)
    assert list(view.live_subscriptions("acme")) == []


def test_a_workspace_is_routed_anew_only_when_what_is_routed_by_changes(view: CatalogView) -> None:
    def changes(resource: Resource) -> bool:
        before = view.routing_versions()
        view.put(resource, 0)
        view.remove(resource.key)
        return view.routing_versions() != before

    assert {type(each).__name__: changes(each) for each in ALL} == {
        type(each).__name__: isinstance(each, EventType | EventFilter | Endpoint | Subscription) for each in ALL
    }
    before = view.routing_versions()
    view.put(msgspec.structs.replace(ENDPOINT, id="theirs", workspace="other"), 0)
    assert view.routing_versions() == {**before, "other": view.version}


def test_a_replaced_key_is_found_by_its_new_hash_only(view: CatalogView) -> None:
    view.put(msgspec.structs.replace(KEY, digest="d2"), 0)
    assert view.api_key_by_digest("d1") is None
    assert view.api_key_by_digest("d2") is not None
    assert len(view.api_keys("acme", "c1")) == 1


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
                list(view.live_subscriptions("acme")),
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


def member(workspace: str, identity: str, **properties: Any) -> Client:
    return Client(id="c", workspace=workspace, identity=identity, name="c", created_at=0, updated_at=0, **properties)


def test_clients_of_one_id_are_found_by_their_workspaces() -> None:
    before, here, there = member("a/b", ""), member("a", "i1"), member("b", "i2")
    view = CatalogView()
    for each in (before, here, there):
        view.put(each, 0)
        view.put(msgspec.structs.replace(KEY, id=f"k{each.workspace}", workspace=each.workspace, client="c"), 0)
    assert [view.client(each, "c") for each in ("a/b", "a", "b", "d")] == [before, here, there, None]
    assert [view.unique_client(each) for each in ("c", "i1", "i2")] == [before, here, there]
    assert set(view.clients_called("c")) == {before, here, there}
    assert [len(view.api_keys(each, "c")) for each in ("a/b", "a", "b")] == [1, 1, 1]
    assert (before.key, here.key) == ("client/c", "client/a/c")
    copy = view.copy()
    view.remove(here.key)
    assert [view.client(each, "c") for each in ("a/b", "a", "b")] == [before, None, there]
    assert view.unique_client("i1") is None
    assert copy.client("a", "c") == here


def test_no_two_clients_share_a_record_key() -> None:
    assert client_key("a/b", "c") == "client/a%2Fb/c"
    assert len({client_key("a", "b/c"), client_key("a/b", "c"), client_key("a%2Fb", "c")}) == 3


def test_a_client_that_is_made_again_is_not_found_as_the_former() -> None:
    view = CatalogView()
    view.put(member("a", "i1"), 0)
    view.put(member("a", "i2"), 0)
    assert view.unique_client("i1") is None
    assert view.unique_client("i2") == view.client("a", "c") == member("a", "i2")
    # Compaction may leave only the last record of a key of before, which was that of another workspace's client.
    view.put(member("d", ""), 0)
    view.put(member("e", ""), 0)
    assert view.client("d", "c") is None
    assert view.unique_client("c") == view.client("e", "c") == member("e", "")


def test_the_endpoint_of_an_exchange_client_is_found_by_either_id() -> None:
    view = CatalogView()
    for each in (member("a", "i1"), member("b", "i2")):
        view.put(each, 0)
        view.put(msgspec.structs.replace(ENDPOINT, id=each.endpoint, workspace=each.workspace, client="c"), 0)
    found = [view.endpoint_called("a", each) for each in ("c", "i1", "i2", "x")]
    assert [each and each.id for each in found] == ["i1", "i1", None, None]
