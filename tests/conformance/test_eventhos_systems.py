"""eventhos' systems, case by case, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.eventhos_calls import CHANGED, TARGET, Eventhos, content, refused, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


@pytest.mark.parametrize("kind", ["producer", "consumer", "hybrid"])
def test_E_50_a_system_is_created(eventhos: Eventhos, http: httpx.Client, kind: str) -> None:
    client = eventhos.client()
    body = {"identifier": unique(), "name": "S", "type": "erp", "description": "d", "clientId": client.id}
    response = http.post("/system", json=body | {"systemClass": kind})

    assert response.status_code == 201
    number = response.json()["content"]["systemId"]
    row = content(http.get(f"/system/{number}"))
    assert (row["class"], row["type"], row["client_id"]) == (kind, "erp", client.id)
    ids = {
        each["id"] for each in content(http.get("/system", params={"systemClass": kind, "itemsPerPage": 1000}))["items"]
    }
    assert number in ids


def test_E_51_a_systems_class_and_client_must_be_ones(eventhos: Eventhos, http: httpx.Client) -> None:
    body = {"identifier": unique(), "name": "S", "type": "erp"}
    refused(http.post("/system", json=body | {"systemClass": "other"}), 400000)
    refused(http.post("/system", json=body), 400000)
    refused(http.post("/system", json=body | {"systemClass": "hybrid", "clientId": 987_654}), 400301)


def test_E_51_a_systems_identifier_is_its_own(eventhos: Eventhos, http: httpx.Client) -> None:
    body = {"identifier": unique(), "name": "S", "systemClass": "hybrid"}
    assert http.post("/system", json=body).status_code == 201

    refused(http.post("/system", json=body), 400305)
    assert "printable" in refused(http.post("/system", json=body | {"identifier": "a\nb"}), 400000)


def test_E_51_a_client_has_one_system(eventhos: Eventhos, http: httpx.Client) -> None:
    client = eventhos.client()
    system = eventhos.system(client)
    body = {"identifier": unique(), "name": "S", "systemClass": "hybrid", "clientId": client.id}

    refused(http.post("/system", json=body), 400304)
    assert http.put(f"/system/{system}", json={"clientId": client.id, "name": "same"}).status_code == 201
    refused(http.put(f"/system/{eventhos.system()}", json={"clientId": client.id}), 400304)


def test_E_51_a_class_finds_the_hybrid_systems_too(eventhos: Eventhos, http: httpx.Client) -> None:
    made = {kind: eventhos.system(kind=kind) for kind in ("producer", "consumer", "hybrid")}
    rows = content(http.get("/system", params={"systemClass": "producer", "itemsPerPage": 1000}))["items"]

    found = {row["id"] for row in rows} & set(made.values())
    assert found == {made["producer"], made["hybrid"]}
    everything = content(http.get("/system", params={"systemClass": "", "itemsPerPage": 1000}))["items"]
    assert set(made.values()) <= {row["id"] for row in everything}


def test_E_51_a_system_changes_and_is_deleted(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    path = f"/system/{event.system}"
    assert http.put(path, json={"name": "New", "systemClass": "consumer", "description": ""}).json() == CHANGED
    row = content(http.get(path))
    assert (row["name"], row["class"], row["description"], row["client_id"]) == ("New", "consumer", "", event.client.id)

    refused(http.delete(path), 400302)
    http.delete(f"/event/{event.id}").raise_for_status()
    action = eventhos.action(event.system, TARGET)
    refused(http.delete(path), 400303)
    assert [row["id"] for row in content(http.get(f"{path}/actions"))] == [action]
    http.delete(f"/action/{action}").raise_for_status()
    assert http.delete(path).json() == CHANGED
    for response in (http.get(path), http.put(path, json={"name": "x"}), http.delete(path), http.get(f"{path}/events")):
        refused(response, 404301)
