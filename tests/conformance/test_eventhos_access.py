"""eventhos' clients, roles and permissions, and that no secret is shown again, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.eventhos_calls import PAGING, TARGET, Eventhos, content, named, refused, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


@pytest.mark.parametrize("path", ["/event", "/system", "/action", "/contract", "/auth/client", "/auth/role"])
def test_E_52_managing_needs_a_bearer(eventhos: Eventhos, path: str) -> None:
    for method in ("GET", "POST"):
        response = eventhos.ask(method, path, json={} if method == "POST" else None)
        refused(response, 403002)
    refused(eventhos.ask("GET", path, headers={"Authorization": "Bearer x"}), 401202)
    refused(eventhos.ask("GET", path, headers={"Authorization": "Basic x"}), 401202)


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
    assert content(eventhos.ask("GET", "/event", params={"access_token": eventhos.token}))
    for scheme in ("BEARER", "bearer"):
        assert content(eventhos.ask("GET", "/event", headers={"Authorization": f"{scheme} {eventhos.token}"}))


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

    with gateway.client(None) as http:
        refused(http.post("/auth/token", data=fields), 400004)


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


def test_no_two_clients_have_one_identifier(eventhos: Eventhos, http: httpx.Client) -> None:
    name = unique()
    numbers = []
    with eventhos.gateway.client() as admin:
        for spelled in (name, name.upper()):
            body = {"name": spelled, "realm": "eventhos", "roles": []}
            made = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()["id"]
            # eventhos has not seen it yet.
            refused(http.post("/auth/client", json={"identifier": name, "name": "n"}), 409102)
            key = admin.post(f"/headrace/v1/clients/{made}/keys").raise_for_status().json()["key"]
            fields = {"grant_type": "client_credentials", "client_id": made, "client_secret": key}
            numbers.append(http.post("/auth/token", data=fields).json()["content"]["client_id"])

    identifiers = [named(http, "/auth/client", number)["identifier"] for number in numbers]
    assert identifiers == [name, made]


def test_a_client_that_our_own_api_deleted_is_listed_no_more(eventhos: Eventhos, http: httpx.Client) -> None:
    body = {"identifier": unique(), "name": "n", "roles": [], "description": "d"}
    made = http.post("/auth/client", json=body).json()["content"]
    with eventhos.gateway.client() as admin:
        assert admin.delete(f"/headrace/v1/clients/{made['clientId']}").status_code == 204

    rows = content(http.get("/auth/client", params={"itemsPerPage": 1000}))["items"]
    assert made["id"] not in [row["id"] for row in rows]
    system = {"identifier": unique(), "name": "s", "systemClass": "producer", "clientId": made["id"]}
    refused(http.post("/system", json=system), 400301)
    assert http.post("/auth/client", json=body).status_code == 201


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
    response = eventhos.ask("GET", "/")

    assert (response.status_code, response.text) == (200, "Ok")
