"""Who may change what: every route that changes something, by every role, of one's own, another's, another workspace's.

The routes are those of the OpenAPI document and the mutations of the GraphQL schema. One that is not in a table here
fails, so that nobody adds a change without saying who may make it. ``docs/security.md`` has the tables for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from backbone.event_files import Chain, event_files
from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.writer import LedgerWriter
from families.event_service.http.routes import schema
from families.http import families
from ingest_api.management import docs
from ingest_api.management.app import create_control_app
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.ids import delivery_id
from schemas.model.topics import event_topic
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

V1 = "/headrace/v1"
OPERATORS = frozenset({"operator", "admin"})
ADMINISTRATORS = frozenset({"admin"})
PRODUCERS = OPERATORS | {"producer", "producer key_issuer"}
SUBSCRIBERS = OPERATORS | {"subscriber"}
EITHER = PRODUCERS | SUBSCRIBERS
ROLES = ("none", "key_issuer", "producer", "producer key_issuer", "subscriber", "viewer", "operator", "admin")
ALL = frozenset(ROLES) - {"none", "key_issuer"}
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A route that changes something.

    Attributes:
        own: the roles that may use it for what is their own.
        others: the roles that may use it for what is another client's of the workspace.
        body: of the request; texts in braces are filled in with the owner's ids.
        also: statuses that say that it was allowed, though nothing was changed.
    """

    own: frozenset[str]
    others: frozenset[str] = OPERATORS
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    also: tuple[int, ...] = ()


def event(**members: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "n/{code}", "source": "test", "data": {}, **members}


CHANGES = {
    f"POST {V1}/events": Change(own=PRODUCERS, others=frozenset(), body=event(), headers=CLOUDEVENT),
    f"POST {V1}/events/batch": Change(
        own=PRODUCERS,
        others=frozenset(),
        body=[event()],
        headers={"Content-Type": "application/cloudevents-batch+json"},
    ),
    f"POST {V1}/events/{{event_id}}/redact": Change(own=OPERATORS),
    f"POST {V1}/event-types": Change(own=PRODUCERS, others=frozenset(), body={"namespace": "n", "code": "new {code}"}),
    f"PATCH {V1}/event-types/{{namespace}}/{{code}}": Change(own=OPERATORS, body={"description": "d"}),
    f"POST {V1}/operations/topics/{{topic}}/partitions": Change(
        own=OPERATORS, body={"partitions": 8, "order": "as_is"}, also=(202, 409)
    ),
    # It grew at once: who may cancel it is told so.
    f"POST {V1}/operations/topics/{{topic}}/growth/cancel": Change(own=OPERATORS, also=(409,)),
    # There is no Kafka to ask: who may do it is told so.
    f"PATCH {V1}/operations/topics/{{topic}}": Change(
        own=OPERATORS, body={"retention_seconds": 3_600, "compacted": True}, also=(409,)
    ),
    f"POST {V1}/registrations": Change(
        own=PRODUCERS, body={"kind": "PUBLISH", "namespace": "n", "code": "{code}", "client": "{client}", "open": True}
    ),
    f"PATCH {V1}/registrations/{{client}}/{{kind}}/{{namespace}}/{{code}}": Change(
        own=EITHER, body={"description": "d"}
    ),
    f"POST {V1}/endpoints": Change(own=SUBSCRIBERS, others=frozenset(), body={"name": "e", "type": "FILE"}),
    f"PATCH {V1}/endpoints/{{endpoint_id}}": Change(own=SUBSCRIBERS, body={"description": "d"}),
    f"POST {V1}/endpoints/{{endpoint_id}}/rotate-secret": Change(own=SUBSCRIBERS),
    f"PUT {V1}/endpoints/{{hook}}/projections/{{namespace}}/{{code}}": Change(
        own=SUBSCRIBERS, body={"expression": "data"}
    ),
    f"DELETE {V1}/endpoints/{{hook}}/projections/{{namespace}}/{{code}}": Change(own=SUBSCRIBERS),
    f"POST {V1}/endpoints/{{hook}}/replay": Change(
        own=SUBSCRIBERS, body={"from": "earliest", "matched": "then"}, also=(202,)
    ),
    f"POST {V1}/deliveries/{{delivery_id}}/resend": Change(own=SUBSCRIBERS, also=(202,)),
    # It is a file, which nothing is sent to: who may try it is told so.
    f"POST {V1}/endpoints/{{endpoint_id}}/test": Change(
        own=SUBSCRIBERS, body={"namespace": "n", "code": "{code}"}, also=(409,)
    ),
    f"POST {V1}/endpoints/{{hook}}/pause": Change(own=SUBSCRIBERS),
    f"POST {V1}/endpoints/{{hook}}/resume": Change(own=SUBSCRIBERS, also=(409,)),
    f"POST {V1}/dead-letters/redrive": Change(
        own=SUBSCRIBERS, others=frozenset(), body={"endpoint": "{hook}"}, also=(202,)
    ),
    f"POST {V1}/dead-letters/discard": Change(own=SUBSCRIBERS, others=frozenset(), body={"reason": "any"}, also=(202,)),
    f"POST {V1}/runs/{{run_id}}/pause": Change(own=SUBSCRIBERS),
    f"POST {V1}/runs/{{run_id}}/resume": Change(own=SUBSCRIBERS),
    f"POST {V1}/runs/{{run_id}}/cancel": Change(own=SUBSCRIBERS),
    f"POST {V1}/runs/{{run_id}}/retry": Change(own=SUBSCRIBERS, also=(409,)),
    f"POST {V1}/filters": Change(
        own=SUBSCRIBERS, others=frozenset(), body={"name": "f", "types": [{"namespace": "n", "code": "{code}"}]}
    ),
    f"PATCH {V1}/filters/{{filter_id}}": Change(own=SUBSCRIBERS, body={"name": "g"}),
    f"POST {V1}/subscriptions": Change(own=SUBSCRIBERS, body={"filter": "{filter_id}", "endpoint": "{socket}"}),
    f"PATCH {V1}/subscriptions/{{subscription_id}}": Change(own=SUBSCRIBERS, body={"enabled": False}),
    f"POST {V1}/realtime/connection-token": Change(own=SUBSCRIBERS, body={"channels": ["endpoint:{socket}"]}),
    f"POST {V1}/realtime/subscription-token": Change(own=SUBSCRIBERS, body={"channel": "endpoint:{socket}"}),
    f"POST {V1}/clients/{{client_id}}/keys": Change(own=OPERATORS | {"producer key_issuer"}),
    f"POST {V1}/clients": Change(own=OPERATORS, others=frozenset(), body={"name": "new {client}"}),
    f"PATCH {V1}/clients/{{client_id}}": Change(own=OPERATORS, body={"scopes": ["x:read"]}),
    f"PUT {V1}/quotas/clients/{{client_id}}": Change(own=OPERATORS, body={"events": "unlimited"}),
    f"PUT {V1}/quotas/workspaces/{{name}}": Change(own=ADMINISTRATORS, others=ADMINISTRATORS, body={}),
    f"POST {V1}/quickstart": Change(own=OPERATORS, others=frozenset()),
    f"POST {V1}/workspaces": Change(own=ADMINISTRATORS, others=frozenset(), body={"name": "{workspace}"}),
    f"DELETE {V1}/workspaces/{{name}}": Change(own=ADMINISTRATORS, others=ADMINISTRATORS, also=(409,)),
    f"POST {V1}/import": Change(
        own=ADMINISTRATORS, others=frozenset(), body={"headrace": 1}, headers={"Content-Type": "application/yaml"}
    ),
    f"DELETE {V1}/subscriptions/{{subscription_id}}": Change(own=SUBSCRIBERS),
    f"DELETE {V1}/filters/{{filter_id}}": Change(own=SUBSCRIBERS),
    f"DELETE {V1}/endpoints/{{endpoint_id}}/files/{{file}}": Change(own=SUBSCRIBERS),
    f"DELETE {V1}/endpoints/{{endpoint_id}}": Change(own=SUBSCRIBERS),
    f"DELETE {V1}/registrations/{{client}}/{{kind}}/{{namespace}}/{{code}}": Change(own=EITHER),
    f"DELETE {V1}/event-types/{{namespace}}/{{code}}": Change(own=OPERATORS),
    f"DELETE {V1}/clients/{{client_id}}/keys/{{key_id}}": Change(own=ALL),
    f"DELETE {V1}/clients/{{client_id}}": Change(own=OPERATORS),
}
"""Our own API, in an order in which all of them find what they change."""

EVENTHOS = {
    "POST /action": "action:create",
    "PUT /action/{action_id}": "action:update",
    "DELETE /action/{action_id}": "action:delete",
    "POST /auth/client": "OAUTH2_client:create",
    "PUT /auth/client/{client_id}": "OAUTH2_client:update",
    "DELETE /auth/client/{client_id}": "OAUTH2_client:delete",
    "PUT /auth/client/{client_id}/long-live": "OAUTH2_client:update",
    "PUT /auth/client/{client_id}/revoke": "OAUTH2_client:update",
    "PUT /auth/client/{client_id}/role": "OAUTH2_client:update",
    "PUT /auth/client/{client_id}/secret": "OAUTH2_client:update",
    "POST /auth/role": "OAUTH2_role:create",
    "DELETE /auth/role/{role_id}": "OAUTH2_role:delete",
    "PUT /auth/role/{role_id}/permission": "OAUTH2_role:update",
    "POST /contract": "contract:create",
    "PUT /contract/order": "contract:update",
    "PUT /contract/{contract_id}": "contract:update",
    "DELETE /contract/{contract_id}": "contract:delete",
    "POST /event": "event:create",
    "PUT /event": "event:update",
    "PUT /event/{event_id}": "event:update",
    "DELETE /event": "event:delete",
    "DELETE /event/{event_id}": "event:delete",
    "POST /event/retry/aborted": "event:retry-aborted",
    "POST /system": "system:create",
    "PUT /system/{system_id}": "system:update",
    "DELETE /system/{system_id}": "system:delete",
}
"""The permission of each change of eventhos. What clients and roles hold besides: test_eventhos_grants."""

EXCHANGE = {
    "POST /v1/application": {"account", "application"},
    "PUT /v1/endpoint": {"account", "application", "endpoint"},
    "PUT /v1/endpoint/{application_id}/{deployment_id}": {"account", "application"},
    "POST /v1/event": {"endpoint"},
    "POST /v1/eventtype": {"endpoint"},
    "PUT /v1/eventtype/attributes/publisher/{endpoint_id}": {"account", "application", "endpoint"},
    "PUT /v1/eventtype/attributes/subscriber/{endpoint_id}": {"account", "application", "endpoint"},
    "DELETE /v1/eventtype/{code}": {"endpoint"},
    "DELETE /v1/eventfiles/{name}": {"endpoint"},
    "PUT /v1/subscription/notification": {"endpoint"},
    "DELETE /v1/subscription/notification": {"endpoint"},
}
"""The levels of the keys that may ask for each change of Exchange."""

ENVOY = {
    "GET /events/provision": "",
    "POST /events/provision": "",
    "GET /events/deprovision": "events:manage",
    "POST /events/deprovision": "events:manage",
    "GET /events/connection_token": "",
    "POST /events/connection_token": "",
    "GET /events/subscription_token": "shipments:read",
    "POST /events/subscription_token": "shipments:read",
}
"""The scope that each change of Envoy needs; the empty one: any access token of the organisation."""

OTHERS = {
    "POST /api/app/events": "the role producer: see CRMLS",
    "POST /api/token": "the account's own API key",
    "POST /auth/token": "the client's own secret",
    "POST /event-service/graphql": "see MUTATIONS",
    "POST /event/send": "the client of the event's system: test_eventhos_send",
    "POST /event/send/contract": "likewise",
    "POST /v1/customEvent": "the endpoint's eventAuthKey: test_exchange_browser",
    f"POST {V1}/endpoints/{{endpoint_id}}/projections/dry-run": "a read: test_projections",
    f"POST {V1}/filters/dry-run": "a read: test_who_may_read",
    f"POST {V1}/operations/groups/{{group}}/offsets": "operators, of topics of their workspace: test_group_resets",
}
"""Changes whose rule is tested elsewhere."""

MUTATIONS = {
    "createWebSocketEndpoint": 'createWebSocketEndpoint(name: "e") { id }',
    "createWebhookEndpoint": 'createWebhookEndpoint(name: "e", url: "https://example.com/") { id }',
    "createEventFilters": "createEventFilters(eventFiltersInput: {in: {}}, endpointIds: [$endpoint]) { id }",
    "updateEventFilters": 'updateEventFilters(eventFiltersId: $filter, name: "g") { id }',
    "linkEndpointsToEventFilters": (
        "linkEndpointsToEventFilters(endpointIds: [$endpoint], eventFiltersId: $filter) { ok }"
    ),
    "unlinkEndpointsToEventFilters": (
        "unlinkEndpointsToEventFilters(endpointIds: [$endpoint], eventFiltersId: $filter) { ok }"
    ),
    "deleteEventFilters": "deleteEventFilters(eventFiltersIds: [$filter]) { ok }",
    "deleteEndpoint": "deleteEndpoint(ids: [$spare]) { ok }",
    "deleteEndpoints": "deleteEndpoints(endpointIds: [$endpoint]) { ok }",
}
"""The mutations of GraphQL, in an order in which all of them find what they change."""

REGISTRY = "/schema-registry"
"""Nothing can be changed there; its look-ups by POST are reads."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def opened(directory: Path) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        yield local_gateway(directory, environment)


@pytest.fixture
async def local(opened: LocalGateway) -> LocalGateway:
    return await opened.begin()


def changes_of_the_document() -> set[str]:
    app = create_control_app(families(), None, version="1", hot_methods=lambda _: ())  # type: ignore[arg-type]  # unused
    return {
        f"{method.upper()} {path}"
        for path, methods in docs.document(app, families())["paths"].items()
        for method in methods
        if not path.startswith(REGISTRY) and (method != "get" or re.match("/events/", path))
    }


def test_every_change_says_who_may_make_it() -> None:
    said = {name.replace("{file}", "{name}").replace("{hook}", "{endpoint_id}") for name in CHANGES}
    said |= EVENTHOS.keys() | EXCHANGE.keys() | ENVOY.keys() | OTHERS.keys()
    assert changes_of_the_document() == said


def test_every_mutation_of_the_graphql_schema_is_in_the_table() -> None:
    names = re.findall(
        r"^  (\w+)\(", schema().as_str().partition("type Mutation {")[2].partition("\n}")[0], re.MULTILINE
    )
    assert set(names) == MUTATIONS.keys()


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A client with one of everything."""

    key: str
    ids: dict[str, str]


async def owner(local: LocalGateway, workspace: str, role: str, directory: Path, **properties: str) -> Owner:
    """One that made its resources while it was allowed to, and has only that role now."""
    client, key = await local.new_client(workspace, "producer", "subscriber", "key_issuer", **properties)
    code = f"Code-{uuid4()}"
    async with local.client(key) as http:

        async def make(path: str, **body: Any) -> dict[str, Any]:
            made: dict[str, Any] = (await http.post(f"{V1}/{path}", json=body)).raise_for_status().json()
            return made

        await make("registrations", kind="PUBLISH", namespace="n", code=code, open=True)
        endpoint = (await make("endpoints", name="files", type="FILE"))["id"]
        socket = (await make("endpoints", name="socket", type="WEB_SOCKET"))["id"]
        hook = (await make("endpoints", name="hook", url="https://example.com/"))["id"]
        chosen = (await make("filters", name="all", types=[{"namespace": "n", "code": code}]))["id"]
        subscription = (await make("subscriptions", filter=chosen, endpoint=endpoint))["id"]
        spare = await make(f"clients/{client}/keys")
        run = await make(f"endpoints/{hook}/replay", **{"from": "earliest", "matched": "then"})
    event_id = str(uuid4())
    sent = Delivery(
        id=delivery_id(event_id, hook),
        event=event_id,
        endpoint=hook,
        workspace=workspace,
        source=SourceOffset("t", 0, 0),
        subscriptions=(),
        routed_at=1,
    )
    published = EventRow(
        workspace=workspace,
        id=event_id,
        topic=sent.source.topic,
        source_offset=str(sent.source),
        namespace="n",
        code=code,
        source=client,
        subject=None,
        time=1,
        received_at=1,
        channel=None,
        identifiers="[]",
        data="1",
        producer_id=None,
    )
    LedgerWriter(local.gateway.clients.ledger).write(LedgerRows(events=[published], deliveries=[sent]))
    file = event_files(f"file://{directory}/files").publish(Chain(endpoint, client, 0), 0, [b'{"offset":0}\n'])
    await give(local, workspace, client, role)
    ids = {
        "client_id": client,
        "client": client,
        "key_id": spare["id"],
        "namespace": "n",
        "code": code,
        "kind": "PUBLISH",
        "endpoint_id": endpoint,
        "event_id": event_id,
        "socket": socket,
        "hook": hook,
        "filter_id": chosen,
        "subscription_id": subscription,
        "file": file,
        "run_id": run["id"],
        "topic": event_topic(workspace, "n", code),
        "delivery_id": sent.id,
        "name": workspace,
        "workspace": workspace,
    }
    return Owner(key=key, ids=ids)


async def give(local: LocalGateway, workspace: str, client: str, role: str) -> None:
    """Leave a client only that role, or these."""
    roles = [] if role == "none" else role.split()
    async with local.client(params={"workspace": workspace}) as admin:
        (await admin.patch(f"{V1}/clients/{client}", json={"roles": roles})).raise_for_status()


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(ids)
    if isinstance(value, dict):
        return {name: filled(each, ids) for name, each in value.items()}
    return [filled(each, ids) for each in value] if isinstance(value, list) else value


async def attempt(http: httpx.AsyncClient, name: str, change: Change, ids: dict[str, str], **options: Any) -> int:
    method, path = name.split(" ")
    content = {} if change.body is None else {"json": filled(change.body, ids)}
    answer = await http.request(method, path.format_map(ids), headers=change.headers, **content, **options)
    return answer.status_code


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("relation", ["own", "other", "foreign", "foreign unnamed"])
async def test_who_may_change_what(local: LocalGateway, directory: Path, role: str, relation: str) -> None:
    workspace, another = await local.workspace(), await local.workspace()
    caller = await owner(local, workspace, role, directory)
    place = another if relation.startswith("foreign") else workspace
    whose = caller if relation == "own" else await owner(local, place, "producer subscriber", directory)
    named = {"params": {"workspace": another}} if relation == "foreign" else {}
    wrong = {}
    async with local.client(caller.key) as http:
        for name, change in CHANGES.items():
            may = role in (change.own if relation == "own" else change.others or change.own)
            if relation == "other" and not change.others:
                continue  # it makes something new, of its own
            if relation == "foreign":
                may = role == "admin"
            elif relation == "foreign unnamed":
                if "{" not in name or "/workspaces/" in name:
                    continue  # it names nothing of the other workspace but in its body, which the others show
                may = False
            status = await attempt(http, name, change, whose.ids, **named)
            allowed = status in {200, 201, 202, 204, *change.also}
            if allowed is not may or not (may or status in {403, 404}):
                wrong[name] = status
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_changes_what_a_client_of_the_same_id_has_elsewhere(
    local: LocalGateway, directory: Path, role: str
) -> None:
    workspace, another = await local.workspace(), await local.workspace()
    caller = await owner(local, workspace, role, directory)
    namesake = await owner(local, another, "producer subscriber", directory, id=caller.ids["client_id"])
    before, file = everything_of(local, another), namesake.ids["file"]
    statuses = {}
    async with local.client(caller.key) as http:
        for name, change in CHANGES.items():
            if "/workspaces" not in name:
                statuses[name] = await attempt(http, name, change, namesake.ids)
    assert everything_of(local, another) == before
    assert file in local.gateway.files.names(namesake.ids["endpoint_id"], 10)
    assert max(statuses.values()) < 500
    async with local.client(namesake.key) as http:
        assert (await http.get(f"{V1}/clients/{namesake.ids['client_id']}")).status_code == 200


def everything_of(local: LocalGateway, workspace: str) -> dict[str, Any]:
    """All that the catalog has in a workspace."""
    resources = local.gateway.catalog.view._resources
    return {key: each for key, each in resources.items() if getattr(each, "workspace", None) == workspace}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("relation", ["own", "other", "foreign", "namesake"])
async def test_who_may_change_what_over_graphql(local: LocalGateway, role: str, relation: str) -> None:
    workspace, another = await local.workspace(), await local.workspace()
    caller, key = await local.new_client(workspace, "subscriber", realm="graphql")
    place = another if relation in {"foreign", "namesake"} else workspace
    same = {"id": caller} if relation == "namesake" else {}
    _, others = await local.new_client(place, "subscriber", realm="graphql", **same)
    ids = await graphql_ids(local, key if relation == "own" else others)
    await give(local, workspace, caller, role)
    wrong = {}
    async with local.client(key) as http:
        for name, mutation in MUTATIONS.items():
            used = [each for each in ids if f"${each}" in mutation]
            if relation != "own" and not used:
                continue
            head = f"({', '.join(f'${each}: ID!' for each in used)})" if used else ""
            body = {"query": f"mutation {head} {{ done: {mutation} }}", "variables": {each: ids[each] for each in used}}
            answer = (await http.post("/event-service/graphql", json=body)).json()
            done = "errors" not in answer and answer["data"]["done"].get("ok", True)
            may = role in (SUBSCRIBERS if relation == "own" else OPERATORS) and place == workspace
            if done is not may:
                wrong[name] = answer
    assert wrong == {}


async def graphql_ids(local: LocalGateway, key: str) -> dict[str, str]:
    """Two endpoints and an event filter that a client makes."""
    async with local.client(key) as http:

        async def make(mutation: str) -> str:
            answer = await http.post("/event-service/graphql", json={"query": f"mutation {{ made: {mutation} }}"})
            made: str = answer.raise_for_status().json()["data"]["made"]["id"]
            return made

        return {
            "endpoint": await make('createWebSocketEndpoint(name: "e") { id }'),
            "spare": await make('createWebSocketEndpoint(name: "s") { id }'),
            "filter": await make("createEventFilters(eventFiltersInput: {in: {}}) { id }"),
        }


async def eventhos_token(local: LocalGateway, *permissions: str) -> str:
    client, secret = await local.new_client("default", realm="eventhos", scopes=permissions)
    async with local.client(None) as http:
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        answer = (await http.post("/auth/token", data=fields)).raise_for_status()
    token: str = answer.json()["content"]["jwt_token"]
    return token


async def test_who_may_change_what_in_eventhos(local: LocalGateway) -> None:
    everything = sorted(set(EVENTHOS.values()))
    wrong = {}
    for name, permission in EVENTHOS.items():
        method, path = name.split(" ")
        url = re.sub(r"\{\w+\}", "987654", path)
        others = [each for each in everything if each != permission]
        for token, may in (
            (await eventhos_token(local, *others), False),
            (await eventhos_token(local), False),
            (await eventhos_token(local, permission), True),
        ):
            async with local.client(token) as http:
                answer = await http.request(method, url, json={})
            if (answer.json().get("code") != 401002) is not may:
                wrong[name, may] = answer.text
    assert wrong == {}


async def test_only_the_client_of_its_system_publishes_an_event_of_eventhos(local: LocalGateway) -> None:
    name = str(uuid4())
    async with local.client(await eventhos_token(local, "OAUTH2_global:*")) as http:
        sender = (await http.post("/auth/client", json={"identifier": name, "name": "n"})).json()["content"]
        system = {"identifier": name, "name": "n", "systemClass": "hybrid", "clientId": sender["id"]}
        number = (await http.post("/system", json=system)).json()["content"]["systemId"]
        await http.post("/event", json={"system_id": number, "identifier": name, "name": name})
        (event,) = (await http.get("/event", params={"eventName": name})).json()["content"]["items"]
    producer, key = await local.new_client("default", "producer")
    code = {"namespace": "eventhos", "code": event["identifier"]}
    async with local.client(key) as http, local.client() as admin:
        answers = [
            await http.post(f"{V1}/registrations", json={"kind": "PUBLISH", **code}),
            await http.post(f"{V1}/event-types", json={"open": True, **code}),
            await admin.post(f"{V1}/registrations", json={"kind": "PUBLISH", "client": producer, **code}),
        ]
        received = await http.post(f"{V1}/registrations", json={"kind": "SUBSCRIBE", **code})
    assert [each.status_code for each in answers] == [403] * 3, [each.text for each in answers]
    assert received.status_code == 201, received.text


@pytest.mark.parametrize("level", ["account", "application", "endpoint"])
async def test_who_may_change_what_in_exchange(local: LocalGateway, level: str) -> None:
    workspace, another = await local.workspace(), await local.workspace()
    _, key = await local.new_client(workspace, "producer", realm="exchange", level=level)
    theirs, _ = await local.new_client(workspace, realm="exchange")
    foreign, _ = await local.new_client(another, realm="exchange")
    application, _ = await local.new_client(another, realm="exchange", level="application")
    wrong = {}
    async with local.client(key) as http:
        if level == "endpoint":
            roles = {"source": {"enabled": True}, "destination": {"enabled": True, "destinationType": "pull"}}
            body = {"name": "self", "endpointTypes": {"event": roles}}
            (await http.put("/v1/endpoint", json=body)).raise_for_status()
        for name, levels in EXCHANGE.items():
            method, path = name.split(" ")
            ids = {"code": "C", "name": "f", "application_id": application, "deployment_id": "d"}
            for endpoint in (theirs, foreign):
                url = path.format_map(ids | {"endpoint_id": endpoint})
                content = [{"name": "a", "type": "String"}] if "attributes" in name else {"providerName": "p"}
                status = (await http.request(method, url, json=content)).status_code
                if "endpoint_id" in path:
                    wanted = {200, 400} if level == "account" and endpoint == theirs else {403, 404}
                elif "application_id" in path:
                    wanted = {403, 404}  # another account's
                else:
                    wanted = {200, 400, 404} if level in levels else {403}
                if status not in wanted:
                    wrong[name, endpoint] = status
    assert wrong == {}


async def test_who_may_change_what_in_envoy(local: LocalGateway) -> None:
    workspace = await local.workspace()
    scopes = sorted(set(ENVOY.values()) - {""})
    users = {scope: (await local.new_client(workspace, realm="envoy", scopes=[scope]))[1] for scope in scopes}
    users[""] = (await local.new_client(workspace, realm="envoy", scopes=["else"]))[1]
    wrong = {}
    for name, needed in ENVOY.items():
        method, path = name.split(" ")
        for scope, key in users.items():
            async with local.client(users["events:manage"]) as manager:
                (await manager.get("/events/provision")).raise_for_status()
            async with local.client(key) as http:
                channel = {"channel": f"shipments:{workspace}"} if "subscription" in path else {}
                answer = await http.request(method, path, params=channel)
            if (answer.status_code == 200) is not (needed in {"", scope}):
                wrong[name, scope] = answer.text
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
async def test_who_may_publish_to_crmls(local: LocalGateway, role: str) -> None:
    workspace = await local.workspace()
    client, key = await local.new_client(workspace, "producer", realm="crmls")
    async with local.client(None) as http:
        token = (await http.post("/api/token", params={"apiKey": key})).raise_for_status().json()["token"]
    await give(local, workspace, client, role)
    body = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}
    async with local.client(token) as http:
        answer = await http.post("/api/app/events", json=body)
    assert answer.status_code == (200 if role in PRODUCERS else 403), answer.text


async def test_nobody_is_told_which_clients_other_workspaces_have(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    _, key = await local.new_client(here, "operator")
    taken, _ = await local.new_client(there, "producer", id=f"app-{uuid4()}")
    answers = []
    async with local.client(key) as http:
        for wanted in (taken, f"app-{uuid4()}"):
            said = [await http.patch(f"{V1}/clients/{wanted}", json={"disabled": True})]
            said += [await http.delete(f"{V1}/clients/{wanted}")]
            said += [await http.post(f"{V1}/clients/{wanted}/keys")]
            said += [await http.get(f"{V1}/clients/{wanted}/keys")]
            said += [await http.get(f"{V1}/clients/{wanted}")]
            said += [await http.get(f"{V1}/endpoints/{wanted}")]
            body = {"kind": "PUBLISH", "namespace": "n", "code": "c", "client": wanted}
            said += [await http.post(f"{V1}/registrations", json=body)]
            for name in ("new", "new", "other"):
                body = {"name": f"{name} {wanted}", "id": wanted}
                said += [await http.post(f"{V1}/clients", json=body)]
            answers.append([(each.status_code, re.sub(r"_at\":\"[^\"]+", "", each.text)) for each in said])
            answers[-1] = [(status, text.replace(wanted, "it")) for status, text in answers[-1]]
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [404] * 7 + [201, 201, 409]


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"attributes":[%b]}' % b",".join([b"1"] * 2_000)], ids=["cut", "bytes", "many"]
)
async def test_nothing_is_said_of_a_body_to_a_stranger(local: LocalGateway, content: bytes) -> None:
    bodiless = {"POST /api/token", "POST /auth/token"}  # the secret is the request itself
    wrong = {}
    async with local.client(None) as http:
        for name in sorted(changes_of_the_document() - bodiless):
            method, path = name.split(" ")
            if method == "GET" or path.startswith("/event/send"):
                continue  # no body; or the event comes first (test_eventhos_send)
            headers = {"content-type": "application/json"}
            answer = await http.request(method, re.sub(r"\{\w+\}", "1", path), content=content, headers=headers)
            if answer.status_code not in {401, 403}:
                wrong[name] = answer.text
    assert wrong == {}
