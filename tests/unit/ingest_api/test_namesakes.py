"""Clients of two workspaces with one id share nothing, and neither does one that is made again with a former's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from backbone.publishing.event_keys import draft_id, event_key
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from backbone.publishing.idempotency import IdempotencyKey
    from schemas.model.event import EventDraft

    Send = Callable[[LocalGateway, str, str, str], Awaitable[int]]
    """Publishes with an idempotency key in one family: the gateway, the workspace, the client, its API key."""

V1 = "/headrace/v1"
KEYED = {"Idempotency-Key": "k"}
ATTRIBUTE = {"name": "a", "value": "1", "type": "String"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        yield local_gateway(tmp_path_factory.mktemp("gateway"), environment)


@pytest.fixture
async def local(opened: LocalGateway) -> LocalGateway:
    opened.published.clear()
    return await opened.begin()


async def delete(local: LocalGateway, workspace: str, client: str) -> None:
    async with local.client(params={"workspace": workspace}) as admin:
        (await admin.delete(f"{V1}/clients/{client}")).raise_for_status()


async def crmls_token(local: LocalGateway, key: str) -> str:
    async with local.client(None) as http:
        token: str = (await http.post("/api/token", params={"apiKey": key})).raise_for_status().json()["token"]
    return token


async def crmls(local: LocalGateway, _workspace: str, _client: str, key: str) -> int:
    body = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}
    async with local.client(await crmls_token(local, key)) as http:
        return (await http.post("/api/app/events", json=body, headers=KEYED)).status_code


async def exchange(local: LocalGateway, _workspace: str, _client: str, key: str) -> int:
    async with local.client(key) as http:
        people = {"name": "p", "identifiers": [{"name": "email", "type": "x"}]}
        source = {
            "name": "e",
            "endpointTypes": {"event": {"source": {"enabled": True}}},
            "marketingDatabasesDefinition": {"marketingDatabases": [people]},
        }
        (await http.put("/v1/endpoint", json=source)).raise_for_status()
        kind = {
            "code": "view",
            "name": "v",
            "registrationType": "PUBLISH",
            "attributes": [{"name": "a", "type": "String"}],
        }
        (await http.post("/v1/eventtype", json=kind)).raise_for_status()
        happened = {"code": "view", "timestamp": "2024-01-01T00:00:00Z", "attributes": [ATTRIBUTE]}
        body = {"identifiers": [{"name": "email", "value": "a@example.org"}], "events": [happened], "channel": "web"}
        answer = await http.post("/v1/event", json=body, headers=KEYED)
        assert answer.status_code == 200, answer.text
        return answer.status_code


async def own(local: LocalGateway, _workspace: str, _client: str, key: str) -> int:
    async with local.client(key) as http:
        (await http.post(f"{V1}/registrations", json={"code": "Order", "open": True})).raise_for_status()
        event = {"specversion": "1.0", "type": "Order", "source": "/s", "data": {}}
        headers = {"Content-Type": "application/cloudevents+json"}
        return (await http.post(f"{V1}/events", json=event, headers=headers | KEYED)).status_code


async def cloudevent(local: LocalGateway, _workspace: str, _client: str, key: str) -> int:
    async with local.client(key) as http:
        (await http.post(f"{V1}/registrations", json={"code": "Order", "open": True})).raise_for_status()
        event = {"specversion": "1.0", "id": "1", "type": "Order", "source": "/s", "data": {}}
        headers = {"Content-Type": "application/cloudevents+json"}
        return (await http.post(f"{V1}/events", json=event, headers=headers)).status_code


FAMILIES: dict[str, tuple[str, Send]] = {
    "crmls": ("crmls", crmls),
    "exchange": ("exchange", exchange),
    "own": ("headrace", own),
    "cloudevent": ("headrace", cloudevent),
}


def identity(key: IdempotencyKey | None, draft: EventDraft) -> tuple[bytes, str, str]:
    """What stands for the publish in the log, whose it is there, and the event's id if it is derived."""
    found = key or event_key(draft)
    assert found is not None
    return found.digest, found.client, "" if draft.producer_id is None else draft_id(draft)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("again", [False, True])
async def test_namesakes_do_not_meet_each_others_keys_and_event_ids(
    local: LocalGateway, family: str, *, again: bool
) -> None:
    realm, send = FAMILIES[family]
    here = await local.workspace()
    there = here if again else await local.workspace()
    client, key = await local.new_client(here, "producer", realm=realm, id=f"app-{uuid4()}")
    assert await send(local, here, client, key) in {200, 201}
    assert await send(local, here, client, key) in {200, 201}
    if again:
        await delete(local, here, client)
    _, others = await local.new_client(there, "producer", realm=realm, id=client)
    assert await send(local, there, client, others) in {200, 201}

    first, repeat, other = [identity(*each) for each in local.published]
    assert first == repeat
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True) if mine)
    assert [draft.client for _, draft in local.published] == [client] * 3
    assert [draft.workspace for _, draft in local.published] == [here, here, there]


async def test_a_client_and_its_keys_and_registrations_are_those_of_the_workspace(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client = f"app-{uuid4()}"
    kind = {"code": "Order", "open": True, "kind": "PUBLISH"}
    keys = [(await local.new_client(each, "admin", id=client))[1] for each in (here, there)]
    for key, mine, other in ((keys[0], here, there), (keys[1], there, here)):
        async with local.client(key) as http:
            for workspace, named in ((mine, {}), (other, {"workspace": other})):
                found = (await http.get(f"{V1}/clients/{client}", params=named)).raise_for_status().json()
                assert found["workspace"] == workspace
                listed = (await http.get(f"{V1}/clients/{client}/keys", params=named)).raise_for_status().json()
                assert len(listed["items"]) == 1
                made = await http.post(f"{V1}/registrations", json=kind | {"client": client}, params=named)
                assert made.raise_for_status().json()["topic"].startswith(f"events.{workspace}.")
    assert [len(local.gateway.catalog.view.registrations_of(each, client)) for each in (here, there)] == [1, 1]
    only, key = await local.new_client(here, "admin")
    async with local.client(key, params={"workspace": there}) as http:
        answer = await http.post(f"{V1}/registrations", json=kind)
        assert (answer.status_code, only in answer.text) == (404, True)


async def test_a_generated_id_is_the_clients_unique_id(local: LocalGateway) -> None:
    workspace = await local.workspace()
    client, _ = await local.new_client(workspace, "producer")
    found = local.gateway.catalog.view.client(workspace, client)
    assert found is not None
    assert found.unique_id == client
    await delete(local, workspace, client)
    await local.new_client(workspace, "producer", id=client)
    again = local.gateway.catalog.view.client(workspace, client)
    assert again is not None
    assert again.unique_id != client


@pytest.mark.parametrize("again", [False, True])
async def test_namesakes_do_not_meet_each_others_resources(local: LocalGateway, *, again: bool) -> None:
    here = await local.workspace()
    there = here if again else await local.workspace()
    made = []
    client = f"app-{uuid4()}"
    for workspace in (here, there):
        _, key = await local.new_client(workspace, "subscriber", id=client)
        async with local.client(key) as http:
            for path, body in (
                ("endpoints", {"name": "e", "type": "FILE"}),
                ("filters", {"name": "f", "types": [{"code": "c"}]}),
            ):
                for _ in range(2):
                    answer = await http.post(f"{V1}/{path}", json=body, headers=KEYED)
                    made.append(answer.raise_for_status().json()["id"])
        if again and len(made) == 4:
            await delete(local, here, client)
    assert made[0:8:2] == made[1:8:2]
    assert len(set(made)) == 4


@pytest.mark.parametrize("again", [False, True])
async def test_namesakes_do_not_meet_each_others_resources_over_graphql(local: LocalGateway, *, again: bool) -> None:
    here = await local.workspace()
    there = here if again else await local.workspace()
    made, client = [], f"app-{uuid4()}"
    for workspace in (here, there):
        _, key = await local.new_client(workspace, "subscriber", realm="graphql", id=client)
        async with local.client(key) as http:
            for mutation in (
                'createWebSocketEndpoint(name: "e") { id }',
                "createEventFilters(eventFiltersInput: {in: {}}) { id }",
            ):
                body = {"query": f"mutation {{ made: {mutation} }}"}
                for _ in range(2):
                    answer = await http.post("/event-service/graphql", json=body, headers=KEYED)
                    made.append(answer.raise_for_status().json()["data"]["made"]["id"])
        if again and len(made) == 4:
            await delete(local, here, client)
    assert made[0:8:2] == made[1:8:2]
    assert len(set(made)) == 4


async def test_a_credential_is_of_the_client_of_its_workspace(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client = f"app-{uuid4()}"
    _, key = await local.new_client(here, "producer", realm="crmls", id=client)
    _, others = await local.new_client(there, "producer", realm="crmls", id=client)
    token, theirs = await crmls_token(local, key), await crmls_token(local, others)
    body = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}

    async def posted(credential: str) -> int:
        async with local.client(credential) as http:
            return (await http.post("/api/app/events", json=body)).status_code

    assert [await posted(each) for each in (token, theirs)] == [200, 200]
    assert [draft.workspace for _, draft in local.published] == [here, there]
    async with local.client(params={"workspace": there}) as admin:
        (await admin.patch(f"{V1}/clients/{client}", json={"disabled": True})).raise_for_status()
        assert [await posted(each) for each in (token, theirs)] == [200, 401]
    await delete(local, there, client)
    assert [await posted(each) for each in (token, theirs)] == [200, 401]
    assert len(local.gateway.catalog.view.api_keys(here, client)) == 1
    assert len(local.gateway.catalog.view.registrations_of(here, client)) == 1


async def test_eventhos_knows_the_clients_of_its_own_workspace(local: LocalGateway) -> None:
    client = f"app-{uuid4()}"
    everything = {"realm": "eventhos", "scopes": ["OAUTH2_global:*"], "id": client}
    _, secret = await local.new_client("default", **everything)
    there = await local.workspace()
    _, others = await local.new_client(there, **everything)

    async def token(held: str) -> Any:
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": held}
        async with local.client(None) as http:
            return (await http.post("/auth/token", data=fields)).json()

    assert (await token(others))["code"] == 401100
    access = (await token(secret))["content"]["jwt_token"]
    await delete(local, there, client)
    async with local.client(access) as http:
        answer = (await http.get("/auth/client", params={"itemsPerPage": 1000})).raise_for_status().json()
    assert client in [each["client_id"] for each in answer["content"]["items"]]


async def test_exchange_endpoints_of_one_id_are_two(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client = f"app-{uuid4()}"
    keys = {each: (await local.new_client(each, realm="exchange", id=client))[1] for each in (here, there)}
    for workspace, key in keys.items():
        async with local.client(key) as http:
            definition = {
                "name": f"of {workspace}",
                "hashAlgorithm": "SHA256",
                "endpointTypes": {
                    "event": {"destination": {"enabled": True, "destinationType": "push", "url": "https://x.example"}}
                },
            }
            (await http.put("/v1/endpoint", json=definition)).raise_for_status()
            told = {"notificationURL": "https://x.example/told"}
            (await http.put("/v1/subscription/notification", json=told)).raise_for_status()
    view = local.gateway.catalog.view
    assert [len(view.endpoints(each)) for each in keys] == [2, 2]
    assert [len(view.event_filters(each)) for each in keys] == [1, 1]
    shown = []
    for workspace, key in keys.items():
        async with local.client(key) as http:
            shown.append((await http.get(f"/v1/endpoint/{client}")).raise_for_status().json())
        async with local.client(params={"workspace": workspace}) as admin:
            found = (await admin.patch(f"{V1}/endpoints/{client}", json={})).raise_for_status().json()
            assert found["name"] == f"of {workspace}"
            chosen = (await admin.post(f"{V1}/filters", json={"name": "f", "types": [{"code": "*"}]})).json()["id"]
            link = (await admin.post(f"{V1}/subscriptions", json={"filter": chosen, "endpoint": client})).json()
            assert link["endpoint"] == found["id"]
            listed = await admin.get(f"{V1}/subscriptions", params={"endpoint": client})
            assert [each["id"] for each in listed.json()["items"]] == [link["id"]]
    assert [each["name"] for each in shown] == [f"of {each}" for each in keys]
    assert [each["hashAlgorithm"] for each in shown] == ["SHA256"] * 2

    await delete(local, there, client)

    assert [len(view.endpoints(each)) for each in keys] == [2, 0]
    assert len(view.subscriptions(here)) == 2
    async with local.client(keys[here]) as http:
        assert (await http.get(f"/v1/endpoint/{client}")).json() == shown[0]


async def test_deployments_of_applications_of_one_id_are_two(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client = f"app-{uuid4()}"
    made = []
    for workspace in (here, there):
        _, key = await local.new_client(workspace, realm="exchange", level="application", id=client)
        async with local.client(key) as http:
            for _ in range(2):
                pull = {"event": {"destination": {"enabled": True, "destinationType": "pull"}}}
                body = {"description": workspace, "endpointTypes": pull}
                answer = await http.put(f"/v1/endpoint/{client}/d", json=body)
                made.append(answer.raise_for_status().json())
    view = local.gateway.catalog.view
    assert [each["description"] for each in made] == [here, here, there, there]
    assert ["authenticationKey" in each for each in made] == [True, False, True, False]
    assert [len(view.endpoints(each)) for each in (here, there)] == [1, 1]


async def test_an_administrator_elsewhere_is_not_the_client_of_its_id_there(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client, key = await local.new_client(here, "admin")
    _, theirs = await local.new_client(there, "producer", "subscriber", id=client)
    event = {"specversion": "1.0", "id": "1", "type": "Order", "source": "/s", "data": {}}
    headers = {"Content-Type": "application/cloudevents+json"}
    async with local.client(key, params={"workspace": there}) as admin:
        (await admin.post(f"{V1}/event-types", json={"code": "Order", "open": True})).raise_for_status()
        made = await admin.post(f"{V1}/endpoints", json={"name": "e", "type": "FILE"})
        endpoint = made.raise_for_status().json()["id"]
        made = await admin.post(f"{V1}/filters", json={"name": "f", "types": [{"code": "Order"}]})
        chosen = made.raise_for_status().json()["id"]
        (await admin.post(f"{V1}/events", json=event, headers=headers)).raise_for_status()
    async with local.client(theirs) as http:
        assert (await http.get(f"{V1}/endpoints/{endpoint}")).status_code == 404
        assert (await http.get(f"{V1}/filters/{chosen}")).status_code == 404
        # What the administrator may publish says nothing of what this one may.
        assert (await http.post(f"{V1}/events", json=event, headers=headers)).status_code == 403
        (await http.post(f"{V1}/registrations", json={"code": "Order", "open": True})).raise_for_status()
        assert (await http.post(f"{V1}/events", json=event, headers=headers)).status_code == 201
    administrators, its = [identity(*each) for each in local.published]
    assert set(administrators).isdisjoint(its)


async def test_an_administrator_elsewhere_is_not_bound_to_what_a_client_of_its_id_registered(
    local: LocalGateway,
) -> None:
    here, there = await local.workspace(), await local.workspace()
    client, key = await local.new_client(here, "admin")
    _, theirs = await local.new_client(there, "producer", id=client)
    one, other = {"name": "a", "type": "String"}, {"name": "b", "type": "String"}
    event = {"specversion": "1.0", "type": "Order", "source": "/s", "data": {"b": "x"}}
    headers = {"Content-Type": "application/cloudevents+json"}
    async with local.client(key, params={"workspace": there}) as admin, local.client(theirs) as http:
        (await admin.post(f"{V1}/event-types", json={"code": "Order", "attributes": [one, other]})).raise_for_status()
        (await http.post(f"{V1}/registrations", json={"code": "Order", "attributes": [one]})).raise_for_status()
        assert (await http.post(f"{V1}/events", json=event, headers=headers)).status_code == 400
        assert (await admin.post(f"{V1}/events", json=event, headers=headers)).status_code == 201


async def test_the_last_administrator_is_not_taken_for_its_namesake(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client, _ = await local.new_client(here, "admin")
    await local.new_client(there, "admin", id=client)
    others = [
        each
        for workspace in local.gateway.catalog.view.workspaces()
        for each in local.gateway.catalog.view.clients(workspace.name)
        if each.id != client and not each.disabled and "admin" in each.roles
    ]
    for each in others:
        await local.gateway.accounts.update_client(each.workspace, each.id, disabled=True)
    try:
        await local.gateway.accounts.delete_client(here, client)
        assert local.gateway.catalog.view.client(there, client) is not None
    finally:
        for each in others:
            await local.gateway.accounts.update_client(each.workspace, each.id, disabled=False)


async def test_the_keys_of_eventhos_are_of_one_client_too(local: LocalGateway) -> None:
    client = f"app-{uuid4()}"
    _, secret = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"], id=client)
    async with local.client(None) as http:
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        content = (await http.post("/auth/token", data=fields)).json()["content"]
    async with local.client(content["jwt_token"]) as http:
        body = {"identifier": f"s-{uuid4()}", "name": "s", "type": "t", "systemClass": "hybrid"}
        system = await http.post("/system", json=body | {"clientId": content["client_id"]})
        number = system.raise_for_status().json()["content"]["systemId"]
        body = {"system_id": number, "identifier": "e", "name": f"e-{uuid4()}"}
        (await http.post("/event", json=body)).raise_for_status()
        rows = (await http.get("/event", params={"eventName": body["name"]})).json()["content"]["items"]
        headers = {"access-key": content["jwt_token"], **KEYED}
        query = {"event-identifier": rows[0]["identifier"]}
        (await http.post("/event/send", params=query, json={}, headers=headers)).raise_for_status()

    ((key, draft),) = local.published
    found = local.gateway.catalog.view.client("default", client)
    assert found is not None
    assert key is not None
    assert found.unique_id == key.client == draft.publisher != client
