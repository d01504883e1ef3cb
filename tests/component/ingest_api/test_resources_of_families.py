"""What one family has put into the catalog is shown by our own API, whatever the limits of that one's bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.event_service_client import event_service
from tests.support.eventhos_calls import eventhos_on, unique
from tests.support.exchange_account import exchange_account

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"


@pytest.mark.parametrize("code", ["", "x" * 300, "\x00"])
def test_filters_of_the_event_service_are_listed(gateway: RunningGateway, code: str) -> None:
    service = event_service(gateway)
    query = "mutation ($codes: [String!]) { createEventFilters(eventFiltersInput: {in: {eventTypes: $codes}}) { id } }"
    made = service.data(query, {"codes": [code]})["createEventFilters"]["id"]
    with gateway.client(params={"workspace": service.workspace}) as admin:
        listed = admin.get(f"{V1}/filters")
        assert [each["id"] for each in listed.raise_for_status().json()["items"]] == [made]
        assert admin.get(f"{V1}/filters/{made}").raise_for_status().json()["types"][0]["code"] == code


def test_an_eventhos_event_with_the_longest_identifier_is_listed(gateway: RunningGateway) -> None:
    eventhos = eventhos_on(gateway)
    identifier = unique().ljust(200, "i")
    body = {"identifier": identifier, "name": "An event", "operation": "new", "description": ""}
    eventhos.make("/event", "eventId", system_id=eventhos.system(eventhos.client()), **body)
    with gateway.client() as admin:
        page = admin.get(f"{V1}/filters", params={"limit": 1000}).raise_for_status().json()
    codes = [type_["code"] for each in page["items"] for type_ in each["types"]]
    assert [code for code in codes if code.startswith(identifier)]


def test_an_exchange_code_and_attribute_of_the_longest_name_are_listed_and_can_be_selected(
    gateway: RunningGateway,
) -> None:
    account = exchange_account(gateway)
    publisher = account.endpoint(source=True, identifiers=("email",))
    code, attribute = "c" * 255, "a" * 255
    registered = publisher.register(code, name="A code", attributes=[{"name": attribute, "type": "String"}])
    assert registered.status_code == 200, registered.text
    with gateway.client(params={"workspace": account.workspace}) as admin:
        for resource in ("event-types", "registrations"):
            (item,) = admin.get(f"{V1}/{resource}").raise_for_status().json()["items"]
            assert (item["code"], item["attributes"][0]["name"]) == (code, attribute)
        wanted = {"name": "All", "types": [{"namespace": "exchange", "code": code}]}
        assert admin.post(f"{V1}/filters", json=wanted).status_code == 201


def test_an_option_that_our_own_api_took_keeps_no_exchange_endpoint_from_being_listed(gateway: RunningGateway) -> None:
    account = exchange_account(gateway)
    consumer = account.endpoint(destination={"enabled": True, "url": "https://example.com"})
    with gateway.client(params={"workspace": account.workspace}) as admin:
        changed = admin.patch(f"{V1}/endpoints/{consumer.id}", json={"options": {"url": "nonsense"}})
        assert changed.status_code == 200, changed.text
    with gateway.client(account.account_key) as http:
        (listed,) = http.get("/v1/endpoint").raise_for_status().json()
    assert listed["endpointTypes"]["event"]["destination"]["url"] is None


def test_credentials_in_the_url_of_an_exchange_endpoint_are_shown_to_itself_alone(gateway: RunningGateway) -> None:
    account = exchange_account(gateway)
    url = "https://me:s3cret@example.com/hook"
    consumer = account.endpoint(destination={"enabled": True, "url": url})
    with gateway.client(params={"workspace": account.workspace}) as admin:
        listed = admin.get(f"{V1}/endpoints").raise_for_status()
        without = {"name": "e", "url": "https://example.com/@me?to=https://a@b"}
        assert admin.post(f"{V1}/endpoints", json=without).raise_for_status().json()["url"] == without["url"]
    assert "s3cret" not in listed.text
    assert listed.json()["items"][0]["url"].startswith("https://[hidden]@example.com/hook")
    with consumer.client() as http:
        (shown,) = http.get("/v1/endpoint").raise_for_status().json()
    assert shown["endpointTypes"]["event"]["destination"]["url"] == url


def test_an_event_file_of_the_event_service_keeps_none_of_its_endpoints_from_being_listed(
    gateway: RunningGateway,
) -> None:
    service = event_service(gateway)
    socket = service.websocket()
    body = {"name": "file", "type": "FILE", "body": "event_service"}
    with gateway.client(params={"workspace": service.workspace}) as admin:
        made = admin.post(f"{V1}/endpoints", json=body).raise_for_status().json()["id"]
    found = service.data("{ endpoints { totalCount collectionItems { id } } }")["endpoints"]
    assert found == {"totalCount": 1, "collectionItems": [{"id": socket}]}
    delete = "mutation ($ids: [ID!]!) { deleteEndpoints(endpointIds: $ids) { ok } }"
    assert service.data(delete, {"ids": [made]}) == {"deleteEndpoints": {"ok": False}}
