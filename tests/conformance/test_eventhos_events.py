"""eventhos' events, case by case, against a running gateway."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.eventhos_calls import CHANGED, PAGING, Eventhos, EventhosEvent, content, named, refused, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


@pytest.fixture(scope="module")
def event(eventhos: Eventhos) -> EventhosEvent:
    """With an active contract."""
    return eventhos.linked_event()


def test_E_40_a_new_event_gets_a_suffix(eventhos: Eventhos, http: httpx.Client) -> None:
    system = eventhos.system(eventhos.client())
    body = {"system_id": system, "identifier": "new-bomb", "name": "A bomb", "operation": "new", "description": "d"}
    response = http.post("/event", json=body)

    assert response.status_code == 201
    assert response.json() == {
        "code": 200001,
        "message": "success",
        "content": {"eventId": response.json()["content"]["eventId"]},
    }
    row = named(http, "/event", response.json()["content"]["eventId"])
    assert re.fullmatch(r"new-bomb-.{10}", row["identifier"])
    assert {name: row[name] for name in ("system_id", "name", "operation", "description", "deleted")} == {
        "system_id": system,
        "name": "A bomb",
        "operation": "new",
        "description": "d",
        "deleted": False,
    }


@pytest.mark.parametrize("missing", ["system_id", "identifier", "name"])
def test_E_40_an_event_needs_its_members(eventhos: Eventhos, http: httpx.Client, missing: str) -> None:
    body = {"system_id": 1, "identifier": "x", "name": "n", "operation": "new"}

    assert missing in refused(http.post("/event", json={k: v for k, v in body.items() if k != missing}), 400000)


def test_E_40_an_event_needs_its_system(http: httpx.Client) -> None:
    body = {"system_id": 987_654, "identifier": "x", "name": "n", "operation": "new"}

    refused(http.post("/event", json=body), 404301)


def test_E_41_events_are_listed_in_pages(eventhos: Eventhos, http: httpx.Client) -> None:
    client = eventhos.client()
    system = eventhos.system(client)
    ids = [eventhos.event(system, client).id for _ in range(3)]
    first = content(http.get("/event", params={"systemId": system, "itemsPerPage": 2}))

    assert first.keys() == PAGING
    assert [row["id"] for row in first["items"]] == ids[:2]
    assert {name: first[name] for name in PAGING - {"items"}} == {
        "pageIndex": 0,
        "itemsPerPage": 2,
        "totalItems": 3,
        "totalPages": 2,
    }
    query = {"systemId": system, "itemsPerPage": 2, "pageIndex": 1, "order": "desc"}
    assert [row["id"] for row in content(http.get("/event", params=query))["items"]] == ids[:1]
    assert content(http.get("/event"))["itemsPerPage"] == 5


def test_E_42_events_are_found_by_a_part_of_their_name(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    name = named(http, "/event", event.id)["name"]

    found = content(http.get("/event", params={"eventName": name[2:-2], "systemId": ""}))["items"]
    assert [row["id"] for row in found] == [event.id]


@pytest.mark.parametrize(
    "query", [{"itemsPerPage": 0}, {"pageIndex": -1}, {"order": "up"}, {"systemId": "x"}, {"activeSort": "nothing"}]
)
def test_E_42_a_page_that_cannot_be(event: EventhosEvent, http: httpx.Client, query: dict[str, Any]) -> None:
    refused(http.get("/event", params=query), 400000)


@pytest.mark.parametrize(("number", "status"), [("x", 404), ("9" * 30, 400), ("9" * 5_000, 404)])
def test_E_43_an_id_that_cannot_be(http: httpx.Client, number: str, status: int) -> None:
    for answer in (http.put(f"/event/{number}", json={"name": "n"}), http.delete(f"/event/{number}")):
        assert (answer.status_code, answer.json()["code"] // 1000) == (status, status), answer.text


def test_E_42_a_list_can_be_sorted(eventhos: Eventhos, http: httpx.Client) -> None:
    client = eventhos.client()
    system = eventhos.system(client)
    for _ in range(3):
        eventhos.event(system, client)
    names = [
        row["name"] for row in content(http.get("/event", params={"systemId": system, "activeSort": "name"}))["items"]
    ]

    assert names == sorted(names)


@pytest.mark.parametrize("by", ["path", "query", "body"])
def test_E_43_an_event_changes_but_for_its_identifier(eventhos: Eventhos, http: httpx.Client, by: str) -> None:
    event = eventhos.event()
    name = unique()
    path = f"/event/{event.id}" if by == "path" else "/event"
    query = {"id": event.id} if by == "query" else {}
    body = {"id": event.id} if by == "body" else {}
    response = http.put(path, params=query, json={"name": name, **body})

    assert (response.status_code, response.json()) == (201, CHANGED)
    row = named(http, "/event", event.id)
    assert (row["name"], row["identifier"], row["operation"]) == (name, event.identifier, "new")
    created, updated = (datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at"))
    assert updated > created
    assert updated.tzinfo is not None


def test_E_43_which_event_must_be_said(http: httpx.Client) -> None:
    refused(http.put("/event", json={"name": "n"}), 400000)
    refused(http.delete("/event"), 400000)
    refused(http.put("/event/987654", json={"name": "n"}), 400024)
    refused(http.delete("/event/987654"), 400024)


def test_E_44_an_event_with_a_contract_is_not_deleted(http: httpx.Client, event: EventhosEvent) -> None:
    refused(http.delete(f"/event/{event.id}"), 400207)
    refused(http.delete("/event", params={"id": event.id}), 400207)
    assert named(http, "/event", event.id)["identifier"] == event.identifier


@pytest.mark.parametrize("by", ["path", "query", "body"])
def test_E_45_a_deleted_event_is_listed_no_more(eventhos: Eventhos, http: httpx.Client, by: str) -> None:
    event = eventhos.event()
    path = f"/event/{event.id}" if by == "path" else "/event"
    query = {"id": event.id} if by == "query" else {}
    body = {"json": {"id": event.id}} if by == "body" else {}
    response = http.request("DELETE", path, params=query, **body)

    assert (response.status_code, response.json()) == (201, CHANGED)
    assert content(http.get(f"/system/{event.system}/events")) == []
