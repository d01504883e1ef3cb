"""eventhos' systems, events, actions, contracts, clients and roles, case by case, against a running gateway."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.eventhos_calls import Eventhos, EventhosEvent, eventhos_on, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running_gateway import RunningGateway

PAGING = {"items", "pageIndex", "itemsPerPage", "totalItems", "totalPages"}
CHANGED = {"code": 200001, "message": "success"}
TARGET = "http://127.0.0.1:9/target"


@pytest.fixture(scope="module")
def eventhos(gateway: RunningGateway) -> Eventhos:
    return eventhos_on(gateway)


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


@pytest.fixture(scope="module")
def event(eventhos: Eventhos) -> EventhosEvent:
    """With an active contract."""
    event = eventhos.event()
    eventhos.contract(event, eventhos.action(event.system, TARGET))
    return event


def refused(response: httpx.Response, code: int) -> str:
    """The message of a refusal; its status is the first three digits of the code."""
    assert (response.status_code, response.json()["code"]) == (code // 1000, code), response.text
    message: str = response.json()["message"]
    return message


def content(response: httpx.Response) -> Any:
    """What a query was answered."""
    assert (response.status_code, response.json()["code"]) == (200, 200000), response.text
    return response.json()["content"]


def named(http: httpx.Client, path: str, number: int) -> dict[str, Any]:
    """The row with an id in a list."""
    items = content(http.get(path, params={"itemsPerPage": 1000}))["items"]
    row: dict[str, Any]
    (row,) = (each for each in items if each["id"] == number)
    return row


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

    found = content(http.get("/event", params={"eventName": name[2:-2]}))["items"]
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
    assert row["updated_at"] > row["created_at"]
    assert datetime.fromisoformat(row["updated_at"]).tzinfo is not None


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


@pytest.mark.parametrize("path", ["/event", "/system", "/action", "/contract", "/auth/client", "/auth/role"])
def test_E_52_managing_needs_a_bearer(eventhos: Eventhos, path: str) -> None:
    for method in ("GET", "POST"):
        response = httpx.request(method, f"{eventhos.gateway.url}{path}", json={} if method == "POST" else None)
        refused(response, 403002)
    refused(httpx.get(f"{eventhos.gateway.url}{path}", headers={"Authorization": "Bearer x"}), 401202)
    refused(httpx.get(f"{eventhos.gateway.url}{path}", headers={"Authorization": "Basic x"}), 401202)


@pytest.mark.parametrize("path", ["/event", "/system", "/action", "/contract"])
def test_E_53_managing_needs_the_permission(eventhos: Eventhos, path: str) -> None:
    resource = path.removeprefix("/")
    token = eventhos.token_of(eventhos.client(f"{resource}:select"))
    with eventhos.gateway.client(token) as http:
        assert content(http.get(path)).keys() == PAGING
        refused(http.post(path, json={}), 401002)
        refused(http.put(f"{path}/1", json={}), 401002)
        refused(http.delete(f"{path}/1"), 401002)


def test_E_53_all_terms_of_a_resource_can_be_permitted(eventhos: Eventhos) -> None:
    with eventhos.gateway.client(eventhos.token_of(eventhos.client("system:*"))) as http:
        body = {"identifier": unique(), "name": "S", "systemClass": "hybrid"}
        assert http.post("/system", json=body).status_code == 201
        refused(http.get("/event"), 401002)


def test_E_54_the_bearer_may_be_in_the_query_and_its_case_does_not_matter(eventhos: Eventhos) -> None:
    url = f"{eventhos.gateway.url}/event"

    assert content(httpx.get(url, params={"access_token": eventhos.token}))
    for scheme in ("BEARER", "bearer"):
        assert content(httpx.get(url, headers={"Authorization": f"{scheme} {eventhos.token}"}))


def test_E_55_an_action_is_created_and_shown_without_its_secrets(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    number = eventhos.action(
        event.system,
        "https://example.com/${.body.id}",
        method="put",
        headers=[{"key": "x-name", "value": "${.body.name}"}, {"key": "Authorization", "value": "Bearer shh-header"}],
        queryUrlParams=[{"key": "q", "value": "${.query.q}"}],
        body=[{"key": "name", "value": "${.body.name}"}],
        securityType=1,
        securityUrl="https://example.com/token",
        clientId="me",
        clientSecret="shh-secret",
        reply_to=event.identifier,
    )
    answer = http.get(f"/action/{number}")
    found = content(answer)

    assert "shh" not in answer.text
    assert found["reply_to"] == event.identifier
    assert found["httpConfiguration"] == {
        "url": "https://example.com/${.body.id}",
        "method": "put",
        "headers": {"x-name": "${.body.name}", "Authorization": "***"},
        "params": {"q": "${.query.q}"},
        "data": {"name": "${.body.name}"},
    }
    assert found["security"] == {
        "type": "oauth2_client",
        "httpConfiguration": {
            "url": "https://example.com/token",
            "method": "post",
            "data": {"client_id": "me", "grant_type": "client_credentials"},
        },
    }
    row = named(http, "/action", number)
    assert (row["system_id"], row["system_name"]) == (event.system, "A system")
    assert "shh" not in http.get("/action", params={"itemsPerPage": 1000}).text


def test_E_55_an_actions_secrets_stay_when_it_is_changed_as_shown(eventhos: Eventhos, http: httpx.Client) -> None:
    oauth = {"securityType": 1, "securityUrl": "https://example.com/token", "clientId": "me"}
    headers = [{"key": "Authorization", "value": "Bearer shh"}]
    number = eventhos.action(eventhos.system(), TARGET, **oauth, clientSecret="shh", headers=headers)
    shown = [{"key": "Authorization", "value": "***"}]
    body = {"url": f"{TARGET}/2", "method": "POST", "headers": shown, "rawBody": {"a": ["${.body.a}"]}, "name": "New"}

    assert http.put(f"/action/{number}", json=body | oauth).json() == CHANGED
    found = content(http.get(f"/action/{number}"))
    assert (found["name"], found["httpConfiguration"]["data"]) == ("New", {"a": ["${.body.a}"]})
    assert found["httpConfiguration"]["headers"] == {"Authorization": "***"}
    assert found["security"]["type"] == "oauth2_client"

    event = eventhos.event()
    replying = {"headers": [], "rawBody": "${.body.name} was here", "reply_to": event.identifier}
    assert http.put(f"/action/{number}", json=body | replying).json() == CHANGED
    found = content(http.get(f"/action/{number}"))
    assert (found["httpConfiguration"]["headers"], found["reply_to"]) == ({}, event.identifier)
    assert found["httpConfiguration"]["data"] == "${.body.name} was here"
    assert found["security"] == {"type": "custom", "httpConfiguration": {}}
    assert "clientSecret" in refused(http.put(f"/action/{number}", json=body | oauth), 400000)


def test_E_55_numbers_in_a_body_stay_numbers(eventhos: Eventhos, http: httpx.Client) -> None:
    members = [{"key": "count", "value": 3}, {"key": "name", "value": "${.body.name}"}]
    number = eventhos.action(eventhos.system(), TARGET, body=members)

    assert content(http.get(f"/action/{number}"))["httpConfiguration"]["data"] == {"count": 3, "name": "${.body.name}"}


@pytest.mark.parametrize(
    ("members", "code", "named_member"),
    [
        ({"url": "nowhere"}, 400000, "url"),
        ({"url": "http://there/\r\nX-B: c"}, 400000, "url"),
        ({"headers": [{"key": "X-A\r\nX-B", "value": "x"}]}, 400000, "headers"),
        ({"headers": [{"key": "X A:", "value": "x"}]}, 400000, "headers"),
        ({"headers": [{"key": "X-A", "value": "x\r\nX-B: c"}]}, 400000, "headers"),
        ({"method": "FETCH"}, 400000, "method"),
        ({"headers": [{"value": "x"}]}, 400000, "key"),
        ({"securityType": 1}, 400000, "securityUrl"),
        ({"securityType": 1, "securityUrl": "https://example.com", "clientId": "x"}, 400000, "clientSecret"),
        ({"securityType": 2}, 400000, "securityType"),
        ({"rawFunctionBody": "return event"}, 400005, "rawFunctionBody"),
        ({"reply_to": "nope"}, 400006, "nope"),
        ({"system_id": 987_654}, 404301, "987654"),
    ],
)
def test_E_56_an_action_that_cannot_be(
    event: EventhosEvent, http: httpx.Client, members: dict[str, Any], code: int, named_member: str
) -> None:
    body = {"system_id": event.system, "identifier": unique(), "name": "n", "url": TARGET, "method": "post"}

    assert named_member in refused(http.post("/action", json=body | members), code)


def test_E_55_a_raw_body_is_shown_as_it_was_given(eventhos: Eventhos, http: httpx.Client) -> None:
    raw = '{"price":12.50,"deep":' + "[" * 300 + "]" * 300 + "}"
    made = eventhos.action(eventhos.system(), TARGET, rawBody=raw)

    assert f'"data":{raw}' in http.get(f"/action/{made}").raise_for_status().text


def test_E_56_an_actions_identifier_is_its_own(eventhos: Eventhos, http: httpx.Client) -> None:
    identifier, system = unique(), eventhos.system()
    number = eventhos.action(system, TARGET, identifier=identifier)
    body = {"system_id": system, "identifier": identifier, "name": "n", "url": TARGET, "method": "post"}

    refused(http.post("/action", json=body), 400001)
    assert http.delete(f"/action/{number}").json() == CHANGED
    for response in (
        http.get(f"/action/{number}"),
        http.put(f"/action/{number}", json=body),
        http.delete(f"/action/{number}"),
    ):
        refused(response, 400002)
    assert http.post("/action", json=body).status_code == 201


def test_E_56_an_action_with_a_contract_is_not_deleted(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    contract = eventhos.contract(event, action)

    refused(http.delete(f"/action/{action}"), 400003)
    assert http.delete(f"/contract/{contract}").json() == CHANGED
    assert http.delete(f"/action/{action}").json() == CHANGED


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


def test_clients_are_managed_without_showing_what_they_hold(eventhos: Eventhos, http: httpx.Client) -> None:
    client = eventhos.client("event:select")
    token = eventhos.token_of(client)
    row = named(http, "/auth/client", client.id)
    assert (row["client_id"], row["permissions"], row["revoked"]) == (client.client_id, ["event:select"], False)
    shown = content(http.get(f"/auth/client/{client.id}/secret"))
    assert shown == {"clientSecretEndsWith": [client.secret[-4:]]}
    assert client.secret not in http.get("/auth/client", params={"itemsPerPage": 1000}).text

    assert http.put(f"/auth/client/{client.id}", json={"name": "New"}).status_code == 201
    assert named(http, "/auth/client", client.id)["name"] == "New"
    fresh = http.put(f"/auth/client/{client.id}/secret").json()["content"]["clientSecret"]
    refused(http.post("/auth/token", data=client.credentials()), 401100)
    assert http.post("/auth/token", data=client.credentials(client_secret=fresh)).status_code == 201

    assert http.delete(f"/auth/client/{client.id}").status_code == 201
    with eventhos.gateway.client(token) as gone:
        refused(gone.get("/event"), 401202)
    for response in (
        http.delete(f"/auth/client/{client.id}"),
        http.get(f"/auth/client/{client.id}/secret"),
        http.put(f"/auth/client/{client.id}/revoke", json={"revoke": True}),
        http.put(f"/auth/client/{client.id}/long-live"),
    ):
        refused(response, 404005)


def test_a_clients_identifier_is_its_own(http: httpx.Client) -> None:
    body = {"identifier": unique(), "name": "n", "roles": [], "description": "d"}

    assert http.post("/auth/client", json=body).status_code == 201
    refused(http.post("/auth/client", json=body), 409102)
    refused(http.post("/auth/client", json=body | {"identifier": unique(), "roles": [987_654]}), 404004)


def test_a_role_is_given_permissions_that_are_none(http: httpx.Client) -> None:
    for allowed in ({"a b": ["select"]}, {"event": ["se lect"]}, {"event": [{"allowed": "a:b"}]}):
        refused(http.post("/auth/role", json={"identifier": unique(), "allowedObject": allowed}), 400000)


def test_roles_give_and_take_permissions(eventhos: Eventhos, http: httpx.Client) -> None:
    body = {"identifier": unique(), "allowedObject": {"event": [{"id": 1, "allowed": "select"}], "system": ["*"]}}
    role = http.post("/auth/role", json=body).json()["content"]["roleId"]
    refused(http.post("/auth/role", json=body), 409103)
    assert named(http, "/auth/role", role)["permissions"] == ["event:select", "system:*"]
    assert {"id": role, "identifier": body["identifier"]} in content(http.get("/auth/role", params={"basic": True}))

    client = eventhos.client("contract:select")
    assert http.put(f"/auth/client/{client.id}/role", json={"roles": [{"id": role}]}).status_code == 201
    with eventhos.gateway.client(eventhos.token_of(client)) as caller:
        assert content(caller.get("/system")).keys() == PAGING
        refused(caller.get("/contract"), 401002)

        changed = {"newAllowedObject": {"contract": ["select"]}}
        assert http.put(f"/auth/role/{role}/permission", json=changed).status_code == 201
        refused(caller.get("/system"), 401002)
        assert content(caller.get("/contract")).keys() == PAGING

        assert http.delete(f"/auth/role/{role}").status_code == 201
        refused(caller.get("/contract"), 401002)
    assert named(http, "/auth/client", client.id)["roles"] == []
    refused(http.delete(f"/auth/role/{role}"), 404004)
    refused(http.post("/auth/role", json={"identifier": unique()}), 400000)


def test_a_client_of_another_workspace_is_unknown(gateway: RunningGateway) -> None:
    client_id, key = gateway.create_client(gateway.create_workspace(), realm="eventhos")
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": key}

    refused(httpx.post(f"{gateway.url}/auth/token", data=fields), 400004)


def test_a_client_that_was_deleted_can_be_made_again_through_our_own_api(
    eventhos: Eventhos, http: httpx.Client
) -> None:
    numbers = []
    body = {"id": unique(), "name": unique(), "realm": "eventhos", "roles": [], "scopes": ["event:select"]}
    for _ in range(2):
        with eventhos.gateway.client() as admin:
            assert admin.post("/headrace/v1/clients", json=body).status_code == 201
            key = admin.post(f"/headrace/v1/clients/{body['id']}/keys").json()["key"]
        fields = {"grant_type": "client_credentials", "client_id": body["id"], "client_secret": key}
        answer = http.post("/auth/token", data=fields)
        assert answer.status_code == 201
        number = answer.json()["content"]["client_id"]
        fresh = http.put(f"/auth/client/{number}/secret").json()["content"]["clientSecret"]
        refused(http.post("/auth/token", data=fields), 401100)
        assert http.post("/auth/token", data=fields | {"client_secret": fresh}).status_code == 201
        numbers.append(answer.json()["content"]["client_id"])
        assert named(http, "/auth/client", numbers[0])["permissions"] == ["event:select"]
        http.delete(f"/auth/client/{numbers[0]}").raise_for_status()
    assert numbers[0] == numbers[1]


def test_Z_05_eventhos_shows_no_secret_again_and_logs_none(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    oauth = {"securityType": 1, "securityUrl": "https://example.com/token", "clientId": "me"}
    stored = unique()
    eventhos.action(event.system, TARGET, **oauth, clientSecret=stored)
    long_lived = http.put(f"/auth/client/{event.client.id}/long-live").json()["content"]["access_token"]
    secrets = [stored, event.client.secret, event.token, long_lived]

    answers = [
        eventhos.send(event, "", params={"access-key": long_lived}),
        eventhos.send(event, "", params={"access-key": event.client.secret}),
        http.post("/auth/token", data=event.client.credentials()),
        http.post("/auth/token", json=event.client.credentials(client_id="nobody")),
        http.get("/event", params={"access_token": long_lived}),
        *(http.get(path, params={"itemsPerPage": 1000}) for path in ("/action", "/auth/client", "/system", "/event")),
        http.get(f"/auth/client/{event.client.id}/secret"),
    ]
    logs = [path.read_text() for path in eventhos.gateway.directory.glob("*.log")]
    assert logs
    for text in [*(answer.text for answer in answers), *logs]:
        assert not [secret for secret in secrets if secret in text]


def test_the_api_says_that_it_is_up(eventhos: Eventhos) -> None:
    response = httpx.get(f"{eventhos.gateway.url}/")

    assert (response.status_code, response.text) == (200, "Ok")
