"""The event-service document: creating, listing and deleting endpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.support.event_service_client import EventService, event_service

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

WEBSOCKET = """
mutation {
createWebSocketEndpoint(name: "MyEndpoint") {
creationDate
id
lastModified
meta
name
type
workspaceId
}
}
"""
WEBHOOK = """
mutation {
createWebhookEndpoint(
name: "My Endpoint"
url: "https://web-hook.server.com"
method: "POST"
) {
creationDate
id
lastModified
meta
name
type
workspaceId
}
}
"""
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


@pytest.fixture(scope="module")
def service(gateway: RunningGateway) -> EventService:
    return event_service(gateway)


@pytest.fixture(scope="module")
def five(gateway: RunningGateway) -> tuple[EventService, list[str]]:
    """A workspace with five endpoints, in the order in which they were created; the second and fourth are webhooks."""
    service = event_service(gateway)
    return service, [service.webhook() if number in (1, 3) else service.websocket() for number in range(5)]


def test_G_01_a_websocket_endpoint_is_created_as_the_document_prints_it(service: EventService) -> None:
    made = service.data(WEBSOCKET)["createWebSocketEndpoint"]
    assert list(made) == ["creationDate", "id", "lastModified", "meta", "name", "type", "workspaceId"]
    assert UUID(made["id"])
    assert UUID(made["workspaceId"])
    assert (made["type"], made["meta"], made["name"]) == ("WEB_SOCKET", {}, "MyEndpoint")


def test_G_02_both_dates_are_equal_at_creation_with_microseconds_and_offset(service: EventService) -> None:
    made = service.data(WEBSOCKET)["createWebSocketEndpoint"]
    assert DATE.fullmatch(made["creationDate"])
    assert made["lastModified"] == made["creationDate"]


def test_G_03_a_webhook_endpoint_is_created_as_the_document_prints_it(service: EventService) -> None:
    made = service.data(WEBHOOK)["createWebhookEndpoint"]
    assert list(made["meta"].items()) == [("url", "https://web-hook.server.com"), ("method", "POST")]
    assert (made["type"], made["name"]) == ("WEB_HOOK", "My Endpoint")
    assert made["lastModified"] == made["creationDate"]


def test_G_04_the_method_is_POST_unless_another_is_given(service: EventService) -> None:
    query = 'mutation { createWebhookEndpoint(name: "n", url: "https://a.example") { meta } }'
    assert service.data(query)["createWebhookEndpoint"]["meta"]["method"] == "POST"


@pytest.mark.parametrize("name", ["", "(name: null)", "(name: 3)"])
def test_G_05_a_websocket_endpoint_needs_a_name(gateway: RunningGateway, name: str) -> None:
    service = event_service(gateway)
    service.errors(f"mutation {{ createWebSocketEndpoint{name} {{ id }} }}")
    assert service.listed() == []


def test_G_06_a_webhook_endpoint_needs_a_name(service: EventService) -> None:
    service.errors('mutation { createWebhookEndpoint(url: "https://a.example") { id } }')


def test_G_07_a_webhook_endpoint_needs_a_url(service: EventService) -> None:
    service.errors('mutation { createWebhookEndpoint(name: "n") { id } }')


@pytest.mark.parametrize("url", ["not a url", "", "/relative", "ftp://a.example/x", "https://"])
def test_G_08_a_url_must_be_absolute(service: EventService, url: str) -> None:
    query = 'mutation ($url: String!) { createWebhookEndpoint(name: "n", url: $url) { id } }'
    assert service.result(query, {"url": url})["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("method", ["FETCH", "", "POST "])
def test_G_09_an_unknown_method_is_refused(service: EventService, method: str) -> None:
    query = 'mutation ($m: String) { createWebhookEndpoint(name: "n", url: "https://a.example", method: $m) { id } }'
    service.errors(query, {"m": method})


@pytest.mark.parametrize("method", ["get", "Put", "PATCH", "DELETE"])
def test_G_09_a_method_may_be_in_any_case(service: EventService, method: str) -> None:
    query = 'mutation ($m: String) { createWebhookEndpoint(name: "n", url: "https://a.example", method: $m) { meta } }'
    assert service.data(query, {"m": method})["createWebhookEndpoint"]["meta"]["method"] == method.upper()


@pytest.mark.parametrize("name", ["", "  "])
def test_G_10_a_name_must_not_be_empty(service: EventService, name: str) -> None:
    service.errors("mutation ($name: String!) { createWebSocketEndpoint(name: $name) { id } }", {"name": name})


def test_G_11_a_name_may_be_used_twice(service: EventService) -> None:
    assert service.websocket("twice") != service.websocket("twice")


def test_G_12_an_endpoint_is_found_by_its_id(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    query = (
        "query ($id: ID!) { endpoints(filters: {id: {exact: $id}}) "
        "{ collectionItems { id creationDate lastModified name type workspaceId } totalCount } }"
    )
    found = service.data(query, {"id": ids[2]})["endpoints"]
    assert found["totalCount"] == 1
    (item,) = found["collectionItems"]
    assert list(item) == ["id", "creationDate", "lastModified", "name", "type", "workspaceId"]
    assert item["id"] == ids[2]


def test_G_13_an_unknown_id_finds_nothing(service: EventService) -> None:
    query = "query ($id: ID!) { endpoints(filters: {id: {exact: $id}}) { totalCount collectionItems { id } } }"
    assert service.data(query, {"id": "8374c43d-7561-4a08-b3b7-afce7799e2a8"}) == {
        "endpoints": {"totalCount": 0, "collectionItems": []}
    }


def test_G_14_only_webhooks(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert sorted(service.listed("(filters: {type: {exact: WEB_HOOK}})")) == sorted([ids[1], ids[3]])


def test_G_15_only_websockets(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert sorted(service.listed("(filters: {type: {exact: WEB_SOCKET}})")) == sorted([ids[0], ids[2], ids[4]])


def test_G_16_both_filters_must_hold(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed(f'(filters: {{id: {{exact: "{ids[1]}"}}, type: {{exact: WEB_HOOK}}}})') == [ids[1]]
    assert service.listed(f'(filters: {{id: {{exact: "{ids[1]}"}}, type: {{exact: WEB_SOCKET}}}})') == []


def test_G_17_without_arguments_all_of_the_workspace_are_listed(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert sorted(service.listed()) == sorted(ids)
    assert sorted(
        service.listed("(filters: {id: null, type: {exact: null}}, order: null, pagination: null)")
    ) == sorted(ids)


def test_G_18_earliest_to_latest(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(order: {creation_date: ASC})") == ids


def test_G_19_latest_to_earliest(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(order: {creation_date: DESC})") == ids[::-1]


def test_G_20_both_spellings_of_the_order_mean_the_same(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(order: {creationDate: ASC})") == ids
    service.errors("{ endpoints(order: {creationDate: ASC, creation_date: ASC}) { totalCount } }")


def test_G_21_without_an_order_the_last_are_taken_and_left_out(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(pagination: {limit: 2})") == [ids[4], ids[3]]
    assert service.listed("(pagination: {offset: 2})") == [ids[2], ids[1], ids[0]]


def test_G_22_offset_and_limit_of_an_ordered_list(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    query = (
        "{ endpoints(order: {creation_date: ASC}, pagination: {offset: 1, limit: 2}) "
        "{ totalCount collectionItems { id } } }"
    )
    found = service.data(query)["endpoints"]
    assert [each["id"] for each in found["collectionItems"]] == ids[1:3]
    assert found["totalCount"] == 5


def test_G_23_the_last_two_created(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(order: {creation_date: DESC}, pagination: {limit: 2})") == [ids[4], ids[3]]


def test_G_24_the_total_counts_what_the_filters_let_through(five: tuple[EventService, list[str]]) -> None:
    service, _ = five
    query = "{ endpoints(filters: {type: {exact: WEB_HOOK}}, pagination: {limit: 1}) { totalCount } }"
    assert service.data(query)["endpoints"]["totalCount"] == 2


def test_G_25_an_offset_past_the_end(five: tuple[EventService, list[str]]) -> None:
    service, _ = five
    query = "{ endpoints(pagination: {offset: 10}) { totalCount collectionItems { id } } }"
    assert service.data(query)["endpoints"] == {"totalCount": 5, "collectionItems": []}


def test_G_26_a_limit_of_zero_and_below(five: tuple[EventService, list[str]]) -> None:
    service, _ = five
    assert service.listed("(pagination: {limit: 0})") == []
    for pagination in ("{limit: -1}", "{offset: -1}", "{limit: 3000000000}"):
        service.errors(f"{{ endpoints(pagination: {pagination}) {{ totalCount }} }}")


def test_G_27_without_a_limit_all_that_is_left_is_listed(five: tuple[EventService, list[str]]) -> None:
    service, ids = five
    assert service.listed("(order: {creation_date: ASC}, pagination: {offset: 3})") == ids[3:]
    assert service.listed("(order: {creation_date: ASC}, pagination: {})") == ids


def test_G_28_pages_of_one_show_each_of_many_created_at_once_exactly_once(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    many = " ".join(f'e{number}: createWebSocketEndpoint(name: "n") {{ id }}' for number in range(6))
    made = sorted(each["id"] for each in service.data(f"mutation {{ {many} }}").values())
    for order in ("", "order: {creation_date: ASC}, "):
        pages = [service.listed(f"({order}pagination: {{offset: {offset}, limit: 1}})") for offset in range(6)]
        assert sorted(each for page in pages for each in page) == made


def test_G_29_only_what_is_selected_is_answered(five: tuple[EventService, list[str]]) -> None:
    service, _ = five
    assert service.data("{ endpoints { totalCount } }") == {"endpoints": {"totalCount": 5}}


def test_G_32_endpoints_are_deleted(service: EventService) -> None:
    first, second = service.websocket(), service.webhook()
    assert service.delete(first, second) is True
    assert not {first, second} & set(service.listed())


def test_G_33_an_unknown_id_deletes_nothing(service: EventService) -> None:
    endpoint = service.websocket()
    assert service.delete(endpoint, "8374c43d-7561-4a08-b3b7-afce7799e2a8") is False
    assert endpoint in service.listed()
    assert service.delete(endpoint) is True


def test_G_34_the_name_that_the_prose_has(service: EventService) -> None:
    endpoint = service.websocket()
    assert service.ok("deleteEndpoint(ids: $ids)", ids=[endpoint]) is True
    assert endpoint not in service.listed()


def test_G_35_the_ids_are_required(service: EventService) -> None:
    service.errors("mutation { deleteEndpoints { ok } }")
    service.errors("mutation { deleteEndpoints(endpointIds: null) { ok } }")
    service.errors("mutation { deleteEndpoints(endpointIds: [null]) { ok } }")


def test_G_36_no_ids_are_no_work(service: EventService) -> None:
    assert service.delete() is True


def test_G_37_a_single_id_is_a_list_of_one(service: EventService) -> None:
    endpoint = service.websocket()
    assert service.data(f'mutation {{ deleteEndpoints(endpointIds: "{endpoint}") {{ ok }} }}') == {
        "deleteEndpoints": {"ok": True}
    }


def test_G_38_deleting_again_finds_nothing(service: EventService) -> None:
    endpoint = service.websocket()
    assert (service.delete(endpoint), service.delete(endpoint)) == (True, False)


def test_endpoints_of_other_apis_are_not_the_familys(service: EventService) -> None:
    with service.gateway.client(params={"workspace": service.workspace}) as admin:
        body = {"name": "own", "type": "WEB_SOCKET"}
        other = admin.post("/headrace/v1/endpoints", json=body).raise_for_status().json()["id"]
    assert other not in service.listed()
    assert service.delete(other) is False
    assert service.link(service.filter(), other) is False


def test_a_repeated_mutation_with_an_idempotency_key_creates_nothing_more(service: EventService) -> None:
    query = (
        'mutation { a: createWebSocketEndpoint(name: "n") { id } b: createWebSocketEndpoint(name: "n") { id } '
        'f: createEventFilters(eventFiltersInput: {in: {eventTypes: ["T"]}}) { id } }'
    )
    key = {"Idempotency-Key": "the same key"}
    first = service.data(query, None, **key)
    assert service.data(query, None, **key) == first
    assert first["a"] != first["b"]
    other = service.result(query.replace('"T"', '"U"'), None, **key)
    assert other["errors"][0]["extensions"]["code"] == "UNPROCESSABLE_ENTITY"
