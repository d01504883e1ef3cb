"""eventhos' contracts, case by case, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from families.eventhos.catalog.records import action_endpoint, contract_subscription
from schemas.model.ids import derived
from tests.support.eventhos_calls import CHANGED, PAGING, TARGET, Eventhos, content, refused, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


def test_E_57_contracts_are_listed_with_what_they_link(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    second, first = eventhos.contract(event, action, 2), eventhos.contract(event, action, 1)

    rows = content(http.get(f"/contract/event/{event.id}"))
    assert [row["id"] for row in rows] == [first, second]
    assert content(http.get(f"/contract/event/{event.id}/action/{action}")) == rows
    assert content(http.get(f"/contract/event/{event.id}/action/987654")) == []
    found = content(http.get("/contract", params={"wordSearch": event.identifier}))
    assert found.keys() == PAGING
    assert [row["id"] for row in found["items"]] == [second, first]
    row = found["items"][0]
    assert row["eventIdentifier"] == event.identifier
    assert (row["eventId"], row["actionId"], row["order"], row["active"]) == (event.id, action, 2, True)
    assert (row["producerName"], row["consumerName"]) == ("A system", "A system")


def test_E_58_contracts_are_ordered_all_or_none(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    one, two = eventhos.contract(event, action, 1), eventhos.contract(event, action, 2)
    path = f"/contract/event/{event.id}"

    swapped = [{"contractId": one, "order": 5}, {"contractId": two, "order": 4}]
    assert http.put("/contract/order", json={"orders": swapped}).json() == CHANGED
    assert [(row["id"], row["order"]) for row in content(http.get(path))] == [(two, 4), (one, 5)]
    wrong = [{"contractId": one, "order": 0}, {"contractId": 987_654, "order": 0}]
    refused(http.put("/contract/order", json={"orders": wrong}), 404101)
    assert [(row["id"], row["order"]) for row in content(http.get(path))] == [(two, 4), (one, 5)]


def test_E_58_a_contract_changes(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    contract = eventhos.contract(event, eventhos.action(event.system, TARGET))
    body = {"name": "New", "active": False, "order": 7, "mailRecipientsOnError": "ops@example.com"}

    assert http.put(f"/contract/{contract}", json=body).json() == CHANGED
    (row,) = content(http.get(f"/contract/event/{event.id}"))
    assert (row["name"], row["active"], row["order"]) == ("New", False, 7)
    assert row["mail_recipients_on_error"] == "ops@example.com"
    refused(http.put("/contract/987654", json=body), 404101)
    refused(http.delete("/contract/987654"), 404101)


def test_E_59_a_contract_that_cannot_be(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    body = {"eventId": event.id, "actionId": action, "name": "n", "identifier": unique(), "order": 1}
    assert http.post("/contract", json=body).status_code == 201

    refused(http.post("/contract", json=body), 400101)
    other = body | {"identifier": unique()}
    refused(http.post("/contract", json=other | {"eventId": 987_654}), 400024)
    refused(http.post("/contract", json=other | {"actionId": 987_654}), 400002)
    assert "order" in refused(http.post("/contract", json=other | {"order": "first"}), 400000)
    assert len(content(http.get(f"/contract/event/{event.id}"))) == 1


def test_what_a_contract_needs_is_not_taken_from_it_by_our_own_api(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    contract = eventhos.contract(event, action)
    event_filter = f"/filters/{derived('eventhos', 'event', event.identifier)}"
    endpoint, link = f"/endpoints/{action_endpoint(action)}", f"/subscriptions/{contract_subscription(contract)}"
    event_type = f"/event-types/eventhos/{event.identifier}"
    registration = f"/registrations/{event.client.client_id}/PUBLISH/eventhos/{event.identifier}"
    with eventhos.gateway.client() as admin:
        refusals = [
            admin.delete(f"/headrace/v1{path}") for path in (event_filter, endpoint, link, event_type, registration)
        ]
        refusals += [
            admin.patch(f"/headrace/v1{link}", json={"enabled": False}),
            admin.patch(f"/headrace/v1{event_filter}", json={"types": [{"code": "Other"}]}),
            admin.patch(f"/headrace/v1{endpoint}", json={"url": "https://evil.example/"}),
            admin.post(f"/headrace/v1{endpoint}/rotate-secret"),
        ]
    assert [answer.status_code for answer in refusals] == [409] * 9
    assert f"/contract/{contract}" in refusals[2].json()["detail"]
    assert eventhos.send(event).json()["code"] == 200000

    assert http.delete(f"/contract/{contract}").json() == CHANGED
    assert http.delete(f"/action/{action}").json() == CHANGED
    assert http.delete(f"/event/{event.id}").json() == CHANGED
    with eventhos.gateway.client() as admin:
        assert admin.delete(f"/headrace/v1{event_type}").status_code == 204
