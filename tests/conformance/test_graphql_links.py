"""The event-service document: event filters and their links to endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from tests.support.event_service_client import EventService, event_service

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

DATES = "query ($id: ID!) { endpoints(filters: {id: {exact: $id}}) { collectionItems { creationDate lastModified } } }"


@pytest.fixture(scope="module")
def service(gateway: RunningGateway) -> EventService:
    return event_service(gateway)


def test_G_40_endpoints_are_linked_to_an_event_filter(service: EventService) -> None:
    first, second, event_filter = service.websocket(), service.webhook(), service.filter()
    assert service.link(event_filter, first, second) is True
    assert service.linked(event_filter) == [first, second]


def test_G_41_an_unknown_endpoint_links_nothing(service: EventService) -> None:
    endpoint, event_filter = service.websocket(), service.filter()
    assert service.link(event_filter, endpoint, str(uuid4())) is False
    assert service.linked(event_filter) == []


def test_G_42_an_unknown_event_filter(service: EventService) -> None:
    assert service.link(str(uuid4()), service.websocket()) is False


def test_G_43_no_endpoints_are_no_work(service: EventService) -> None:
    event_filter = service.filter()
    assert service.link(event_filter) is True
    assert service.linked(event_filter) == []


def test_G_44_linking_again_changes_nothing(service: EventService) -> None:
    endpoint, event_filter = service.websocket(), service.filter()
    assert service.link(event_filter, endpoint, endpoint) is True
    assert service.link(event_filter, endpoint) is True
    assert service.linked(event_filter) == [endpoint]


def test_G_45_unlinking(service: EventService) -> None:
    first, second = service.websocket(), service.webhook()
    event_filter = service.filter(endpoints=(first, second))
    assert service.unlink(event_filter, first) is True
    assert service.linked(event_filter) == [second]


def test_G_46_unlinking_what_is_not_linked(service: EventService) -> None:
    endpoint, event_filter = service.websocket(), service.filter()
    assert service.unlink(event_filter, endpoint) is True
    assert service.unlink(event_filter) is True


def test_G_47_unlinking_unknown_ids(service: EventService) -> None:
    endpoint = service.websocket()
    event_filter = service.filter(endpoints=(endpoint,))
    assert service.unlink(event_filter, endpoint, str(uuid4())) is False
    assert service.unlink(str(uuid4()), endpoint) is False
    assert service.linked(event_filter) == [endpoint]


def test_G_48_a_deleted_endpoint_is_not_listed_any_more(service: EventService) -> None:
    first, second = service.websocket(), service.websocket()
    event_filter = service.filter(endpoints=(first, second))
    assert service.delete(first) is True
    assert service.linked(event_filter) == [second]


def test_G_15_linking_is_no_modification(service: EventService) -> None:
    endpoint = service.websocket()
    event_filter = service.filter(endpoints=(endpoint,))
    service.unlink(event_filter, endpoint)
    (item,) = service.data(DATES, {"id": endpoint})["endpoints"]["collectionItems"]
    assert item["lastModified"] == item["creationDate"]


def test_G_63_an_event_filter_is_created_with_its_links(service: EventService) -> None:
    endpoint = service.websocket()
    query = """
    mutation ($ids: [ID!]) {
      createEventFilters(
        eventFiltersInput: {in: {eventTypes: ["IDENTIFICATION", "HAR"], cameraIds: ["c1"], profileGroupIds: ["g"]}}
        name: "Entrance"
        endpointIds: $ids
      ) { id creationDate lastModified meta name workspaceId endpoints { id name type } }
    }
    """
    made = service.data(query, {"ids": [endpoint]})["createEventFilters"]
    assert UUID(made["id"])
    assert UUID(made["workspaceId"])
    assert made["creationDate"] == made["lastModified"]
    assert made["meta"] == {
        "in": {"cameraIds": ["c1"], "profileGroupIds": ["g"], "eventTypes": ["IDENTIFICATION", "HAR"]}
    }
    assert made["name"] == "Entrance"
    assert made["endpoints"] == [{"id": endpoint, "name": "socket", "type": "WEB_SOCKET"}]


def test_G_63_a_filter_needs_neither_name_nor_endpoints(service: EventService) -> None:
    query = "mutation { createEventFilters(eventFiltersInput: {in: {}}) { name meta endpoints { id } } }"
    assert service.data(query)["createEventFilters"] == {"name": None, "meta": {"in": {}}, "endpoints": []}


def test_G_63_a_filter_with_an_unknown_endpoint_is_not_made(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    query = "mutation ($ids: [ID!]) { createEventFilters(eventFiltersInput: {in: {}}, endpointIds: $ids) { id } }"
    found = service.result(query, {"ids": [service.websocket(), str(uuid4())]})
    assert found["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert service.data("{ eventsFilters { totalCount } }")["eventsFilters"]["totalCount"] == 0


@pytest.mark.parametrize(
    "arguments",
    ["", "(eventFiltersInput: {})", "(eventFiltersInput: {in: null})", '(eventFiltersInput: {in: {}}, name: " ")'],
)
def test_G_63_what_a_filter_needs(service: EventService, arguments: str) -> None:
    service.errors(f"mutation {{ createEventFilters{arguments} {{ id }} }}")


def test_G_63_a_filter_with_more_conditions_than_can_be_matched_is_refused(service: EventService) -> None:
    query = "mutation ($in: ConditionFields!) { createEventFilters(eventFiltersInput: {in: $in}) { id } }"
    found = service.result(query, {"in": {"cameraIds": ["x" * 1_000 for _ in range(1_000)]}})
    assert found["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_event_filters_are_listed_in_order(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    ids = [service.filter() for _ in range(3)]

    def listed(arguments: str) -> list[str]:
        found = service.data(f"{{ eventsFilters{arguments} {{ collectionItems {{ id }} }} }}")["eventsFilters"]
        return [each["id"] for each in found["collectionItems"]]

    assert listed("") == ids[::-1]
    assert listed("(order: {creation_date: ASC}, pagination: {offset: 1, limit: 1})") == [ids[1]]
    service.data(
        'mutation ($id: ID!) { updateEventFilters(eventFiltersId: $id, name: "later") { id } }', {"id": ids[0]}
    )
    assert listed("(order: {lastModified: DESC})") == [ids[0], ids[2], ids[1]]
    assert listed(f'(filters: {{id: {{exact: "{ids[1]}"}}}})') == [ids[1]]
    service.errors("{ eventsFilters(order: {creationDate: ASC, lastModified: ASC}) { totalCount } }")


def test_a_filter_is_changed_and_keeps_what_is_not_given(service: EventService) -> None:
    event_filter = service.filter(eventTypes=["A"])
    query = (
        "mutation ($id: ID!, $input: EventFiltersInput, $name: String) { updateEventFilters(eventFiltersId: $id, "
        "eventFiltersInput: $input, name: $name) { id name meta creationDate lastModified } }"
    )
    named = service.data(query, {"id": event_filter, "name": "B"})["updateEventFilters"]
    assert (named["id"], named["name"], named["meta"]) == (event_filter, "B", {"in": {"eventTypes": ["A"]}})
    assert datetime.fromisoformat(named["lastModified"]) > datetime.fromisoformat(named["creationDate"])
    changed = service.data(query, {"id": event_filter, "input": {"in": {"agentIds": ["x"]}}})["updateEventFilters"]
    assert (changed["name"], changed["meta"]) == ("B", {"in": {"agentIds": ["x"]}})
    assert service.data(query, {"id": event_filter})["updateEventFilters"] == changed
    assert service.result(query, {"id": str(uuid4()), "name": "C"})["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_filters_are_deleted_all_or_none(service: EventService) -> None:
    endpoint = service.websocket()
    first, second = service.filter(endpoints=(endpoint,)), service.filter()
    delete = "deleteEventFilters(eventFiltersIds: $ids)"
    assert service.ok(delete, ids=[first, str(uuid4())]) is False
    assert service.linked(first) == [endpoint]
    assert service.ok(delete, ids=[first, second, first]) is True
    assert service.link(first, endpoint) is False


def test_a_filter_of_our_own_api_can_be_linked_but_not_changed(service: EventService) -> None:
    endpoint = service.websocket()
    condition = {"data": {"score": [{"numeric": [">", 0.9]}]}}
    body = {"name": "own", "types": [{"namespace": "events", "code": "A"}], "condition": condition}
    with service.gateway.client(params={"workspace": service.workspace}) as admin:
        own = admin.post("/headrace/v1/filters", json=body).raise_for_status().json()["id"]
    assert service.link(own, endpoint) is True
    assert service.linked(own) == [endpoint]
    query = "query ($id: ID!) { eventsFilters(filters: {id: {exact: $id}}) { collectionItems { name meta } } }"
    (shown,) = service.data(query, {"id": own})["eventsFilters"]["collectionItems"]
    assert shown == {"name": "own", "meta": {"in": {"eventTypes": ["A"], "condition": condition}}}
    assert service.ok("deleteEventFilters(eventFiltersIds: $ids)", ids=[own]) is False


def test_G_57_another_workspace_does_not_see_them(service: EventService, gateway: RunningGateway) -> None:
    other = event_service(gateway)
    theirs, their_filter = other.websocket(), other.filter()
    mine, my_filter = service.websocket(), service.filter()
    assert service.listed(f'(filters: {{id: {{exact: "{theirs}"}}}})') == []
    assert theirs not in service.listed()
    assert service.delete(theirs) is False
    assert service.link(my_filter, theirs) is False
    assert service.link(their_filter, mine) is False
    assert service.unlink(their_filter, mine) is False
    assert service.ok("deleteEventFilters(eventFiltersIds: $ids)", ids=[their_filter]) is False
    assert other.listed() == [theirs]


def test_a_filter_that_our_own_api_changed_is_shown_as_it_is_and_can_be_changed_back(service: EventService) -> None:
    given = {"in": {"eventTypes": ["A"]}}
    event_filter = service.filter(eventTypes=["A"])
    shown = "query ($id: ID!) { eventsFilters(filters: {id: {exact: $id}}) { collectionItems { meta } } }"
    address = f"/headrace/v1/filters/{event_filter}"
    with service.gateway.client(params={"workspace": service.workspace}) as admin:
        admin.patch(address, json={"types": [{"namespace": "*", "code": "B"}]}).raise_for_status()
        (found,) = service.data(shown, {"id": event_filter})["eventsFilters"]["collectionItems"]
        assert found["meta"] == {"in": {"eventTypes": ["B"]}}

        query = (
            "mutation ($id: ID!, $input: EventFiltersInput) "
            "{ updateEventFilters(eventFiltersId: $id, eventFiltersInput: $input) { meta } }"
        )
        changed = service.data(query, {"id": event_filter, "input": given})["updateEventFilters"]
        assert changed["meta"] == given
        assert [each["code"] for each in admin.get(address).json()["types"]] == ["A"]
    assert service.ok("deleteEventFilters(eventFiltersIds: $ids)", ids=[event_filter])
