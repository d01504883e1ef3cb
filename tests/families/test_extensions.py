"""What each API family adds to the writes of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.extension import Edits, Extensions
from backbone.catalog.view import CatalogView
from families.catalog import EXTENSIONS
from families.eventhos.catalog.records import Account, Action, Contract, Event, System, find, to_record
from families.exchange.catalog.consequences import notified_at
from families.exchange.catalog.records import Definition, changed_details
from schemas.model.access import Client, ClientLevel, Realm, Workspace
from schemas.model.endpoint import BodyFormat, Endpoint, EndpointType, EventFilter, Subscription
from schemas.model.errors import Conflict, PermissionDenied
from schemas.model.event_type import Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.unlinked import UNLINKED

if TYPE_CHECKING:
    from schemas.model.resources import Resource

TIMES: dict[str, Any] = {"created_at": 0, "updated_at": 0}
PLACE: dict[str, Any] = {"workspace": "default", **TIMES}
FAMILIES = Extensions(EXTENSIONS)


def catalog(*resources: Resource) -> CatalogView:
    view = CatalogView()
    filters = (EventFilter(id=name, name=name, types=(), **PLACE) for name in "fg")
    for each in (*filters, *resources):
        view.put(each, 1)
    return view


def link(name: str, endpoint: str, event_filter: str = "f") -> Subscription:
    return Subscription(id=name, event_filter=event_filter, endpoint=endpoint, **PLACE)


SOCKET = Endpoint(id="s", name="s", type=EndpointType.WEB_SOCKET, body=BodyFormat("event_service"), **PLACE)
PLAIN = Endpoint(id="p", name="p", type=EndpointType.WEB_SOCKET, **PLACE)
ONE, TWO, OTHER = link("one", "s"), link("two", "s", "g"), link("other", "p")


def test_a_socket_of_the_event_service_that_loses_its_last_filter_notes_when() -> None:
    view = catalog(SOCKET, PLAIN, ONE, TWO, OTHER)
    assert FAMILIES.additions(view, Edits(delete=[ONE.key, OTHER.key])) == Edits([], [])
    (alone,) = FAMILIES.additions(view, Edits(delete=[ONE.key, TWO.key, OTHER.key])).put
    assert isinstance(alone, Endpoint)
    assert (alone.id, alone.options) == ("s", {UNLINKED: ""})


def test_a_socket_that_is_deleted_with_its_filters_stays_deleted() -> None:
    view = catalog(SOCKET, ONE)
    assert FAMILIES.additions(view, Edits(delete=[SOCKET.key, ONE.key])) == Edits([], [])


def test_exchange_keeps_nothing_of_a_deleted_client() -> None:
    client = Client(id="c", name="c", realm=Realm("exchange"), level=ClientLevel.ENDPOINT, **PLACE)
    (details,) = changed_details(CatalogView(), client, Definition(hash_algorithm="MD5"))
    told = Endpoint(id=notified_at(client.unique_id), name="t", type=EndpointType.WEB_HOOK, **PLACE)
    links = link("told", told.id)
    view = catalog(client, details, told, links)
    assert set(FAMILIES.additions(view, Edits(delete=[client.key])).delete) == {details.key, told.key, links.key}
    assert FAMILIES.additions(view, Edits(put=[client])) == Edits([], [])


def test_a_deleted_workspace_is_no_longer_provisioned() -> None:
    workspace = Workspace(id="w", name="default", **TIMES)
    provision = FamilyRecord(family="envoy", collection="organisation", id="default", content={}, **PLACE)
    view = catalog(workspace, provision)
    assert FAMILIES.additions(view, Edits(delete=[workspace.key])) == Edits([], [provision.key])


SYSTEM = System(id=1, identifier="shop", name="Shop", system_class="producer", client="sender", **TIMES)
EVENT = Event(id=1, system_id=1, identifier="paid", name="Paid", **TIMES)
ACTION = Action(id=1, system_id=1, identifier="a", name="A", **TIMES)
CONTRACT = Contract(id=1, event_id=1, event="paid", action_id=1, identifier="c", name="C", order=1, **TIMES)


@pytest.fixture
def eventhos() -> CatalogView:
    return catalog(*(to_record(each) for each in (SYSTEM, EVENT, ACTION, CONTRACT)))


def registration(client: str) -> Registration:
    return Registration(client=client, namespace="eventhos", code="paid", **PLACE)


def test_eventhos_follows_a_deleted_client(eventhos: CatalogView) -> None:
    client = Client(id="c", name="c", realm=Realm("eventhos"), **PLACE)
    account = Account(id=1, client="c", identifier="c", name="c", **TIMES)
    for each in (client, to_record(account)):
        eventhos.put(each, 1)
    for each in FAMILIES.additions(eventhos, Edits(delete=[client.key])).put:
        eventhos.put(each, 2)
    found = find(eventhos, Account, "c")
    assert found is not None
    assert found.deleted


@pytest.mark.parametrize(
    ("resource", "owner"),
    [
        (Endpoint(id=ACTION.record_id, name="a", type=EndpointType.WEB_HOOK, **PLACE), "action 1"),
        (EventFilter(id=EVENT.filter_id, name="f", types=(), **PLACE), "event 1"),
        (link(CONTRACT.record_id, ACTION.record_id, EVENT.filter_id), "contract 1"),
        (registration("sender"), "event 1"),
    ],
    ids=["endpoint", "filter", "subscription", "registration"],
)
def test_eventhos_guards_what_its_records_stand_for(eventhos: CatalogView, resource: Resource, owner: str) -> None:
    with pytest.raises(Conflict, match=f"It belongs to eventhos' {owner}"):
        FAMILIES.guard(eventhos, resource)


def test_others_resources_are_not_guarded(eventhos: CatalogView) -> None:
    for each in (PLAIN, ONE, registration("somebody")):
        FAMILIES.guard(eventhos, each)


def test_an_event_of_eventhos_is_published_by_its_systems_client_only(eventhos: CatalogView) -> None:
    FAMILIES.guard_registration(eventhos, registration("sender"))
    with pytest.raises(PermissionDenied):
        FAMILIES.guard_registration(eventhos, registration("somebody"))
