"""Who may read what: every read of every API, by every role, of one's own, another client's, another workspace's.

The reads are those of the OpenAPI document and of the GraphQL schema. One that is not in a table here fails, so that
nobody adds a read without saying who may use it. ``docs/security.md`` has the same tables for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from tests.support.readers import ROLES, Reader, graphql_reader, reader
from tests.support.running_gateway import ADMIN_KEY, running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "GET /headrace/v1"
DRY_RUN = "POST /headrace/v1/filters/dry-run"
REGISTRY = "/schema-registry"

READ_BY_WORKSPACE = {"viewer", "operator", "admin"}

ANY_ROLE = frozenset(ROLES) - {"none"}
SUBSCRIBERS = ANY_ROLE - {"producer"}

SECRETS = ("code", "delivery_id", "endpoint_id", "event_id", "filter_id", "subscription_id", "key_id", "run_id")
"""Ids of a client's things, but for its own."""

ONE = {
    f"{V1}/clients/{{client_id}}": ANY_ROLE,
    f"{V1}/clients/{{client_id}}/keys": ANY_ROLE,
    f"{V1}/deliveries/{{delivery_id}}": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}/deliveries": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}/files": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}/health": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}/files/{{name}}": SUBSCRIBERS,
    f"{V1}/endpoints/{{endpoint_id}}/projections": SUBSCRIBERS,
    f"{V1}/events/{{event_id}}": ANY_ROLE,
    f"{V1}/filters/{{filter_id}}": SUBSCRIBERS,
    f"{V1}/runs/{{run_id}}": SUBSCRIBERS,
    f"{V1}/dead-letters/{{letter_id}}": SUBSCRIBERS,
    f"{V1}/subscriptions/{{subscription_id}}": SUBSCRIBERS,
}
"""Reads of one thing that belongs to a client, and the roles that may read what is their own."""

LISTS = {
    f"{V1}/audit": ({"operator", "admin"}, ()),
    f"{V1}/balance": (ANY_ROLE, ("endpoint_id",)),
    f"{V1}/balance/topics": (READ_BY_WORKSPACE, ()),
    f"{V1}/clients": (READ_BY_WORKSPACE, ("client_id",)),
    f"{V1}/deliveries": (SUBSCRIBERS, ("delivery_id",)),
    f"{V1}/delivery-counts": (ANY_ROLE, ("code",)),
    f"{V1}/endpoints": (SUBSCRIBERS, ("endpoint_id",)),
    f"{V1}/events": (ANY_ROLE, ("event_id",)),
    f"{V1}/export": ({"admin"}, ()),
    f"{V1}/filters": (SUBSCRIBERS, ("filter_id",)),
    f"{V1}/runs": (SUBSCRIBERS, ("run_id",)),
    f"{V1}/dead-letters": (SUBSCRIBERS, ("endpoint_id",)),
    f"{V1}/operations": (READ_BY_WORKSPACE, ()),
    f"{V1}/operations/groups": (READ_BY_WORKSPACE, ()),
    f"{V1}/operations/topics": (READ_BY_WORKSPACE, ()),
    f"{V1}/quotas": (ANY_ROLE, ("client_id",)),
    f"{V1}/registrations": (ANY_ROLE, ("client_id", "code")),
    f"{V1}/subscriptions": (SUBSCRIBERS, ("subscription_id",)),
    DRY_RUN: (SUBSCRIBERS, ("event_id",)),
}
"""Lists: the roles that may ask, and the ids by which a client's things are found in the answer."""

OF_THE_WORKSPACE = {
    f"{V1}/event-types": "code",
    f"{V1}/event-types/{{namespace}}/{{code}}": "code",
    f"{V1}/workspaces": "workspace",
    f"{V1}/workspaces/{{name}}": "workspace",
}
"""What all clients of the workspace may read who have a role, and what is found in the answer."""

AS_ITS_ENDPOINT = {f"{V1}/endpoints/{{endpoint_id}}/projections/{{namespace}}/{{code}}": "test_projections"}
"""Reads of what only endpoints of one kind have, by whoever may read the endpoint, and where that is tested."""

FIGURES = {f"{V1}/operations/groups/{{group}}", f"{V1}/operations/topics/{{topic}}"}
"""Shown once a monitor has looked; who sees which: tests/families/headrace/http/test_operations.py."""

OF_TOPICS = {f"{V1}/operations/topics/{{topic}}/growth": "test_partitions"}
"""Reads of topics by whoever reads the workspace, and where that is tested."""

OPEN = {"GET /", "GET /healthz", "GET /readyz", "GET /metrics"}
"""Show nothing of any workspace."""

OF_FAMILIES = {
    "GET /api/app/events/{event_id}": "the account that posted it: test_ledger_answers",
    "GET /event-service/graphql": "see QUERIES",
    "GET /events/connection_token": "the scopes of the token: test_envoy",
    "GET /events/deprovision": "changes something, as the document has it",
    "GET /events/provision": "changes something, as the document has it",
    "GET /events/subscription_token": "the scopes of the token: test_envoy",
    "GET /v1/endpoint": "one's own, or the account's: test_realms",
    "GET /v1/endpoint/{endpoint_id}": "one's own, or the account's: test_realms",
    "GET /v1/endpoint/{endpoint_id}/eventinfo": "one's own: test_realms",
    "GET /v1/eventfiles": "one's own: test_exchange_files",
    "GET /v1/eventfiles/{name}": "one's own: test_exchange_files",
    "GET /v1/eventtype": "one's own: test_exchange_eventtypes",
    "GET /v1/eventtype/subscribed": "one's own: test_exchange_notifications",
    "GET /v1/eventtype/subscribed/consumer": "one's own: test_exchange_notifications",
    "GET /v1/eventtype/subscribed/producer": "one's own: test_exchange_notifications",
}
"""Reads of other families, with the rule of each."""

EVENTHOS = re.compile(r"GET /(auth|system|event|action|contract|received)(/|$)")
"""eventhos has permissions of its own: without one a token reads nothing."""

QUERIES = {"endpoints": "endpoint", "eventsFilters": "filter", "events": ""}
"""The queries of the GraphQL schema, and what of a client's they list; of events both."""

LISTED = "{ %s { totalCount collectionItems { id %s } } }"


@dataclass(frozen=True, kw_only=True)
class World:
    """A reader of each role in one workspace, another client of it, and a client of another workspace."""

    gateway: RunningGateway
    readers: dict[str, Reader]
    other: Reader
    foreign: Reader


@pytest.fixture(scope="module")
def closed(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose schema registry is not open."""
    directory = tmp_path_factory.mktemp("closed")
    with running_gateway(kafka_bootstrap, directory, HEADRACE_INGEST_SCHEMA_REGISTRY_OPEN="false") as running:
        yield running


@pytest.fixture(scope="module")
def world(closed: RunningGateway) -> World:
    workspace = closed.create_workspace()
    return World(
        gateway=closed,
        readers={role: reader(closed, workspace, role) for role in ROLES},
        other=reader(closed, workspace, "producer"),
        foreign=reader(closed, closed.create_workspace(), "producer"),
    )


@pytest.fixture(scope="module")
def graphql(closed: RunningGateway) -> World:
    workspace = closed.create_workspace()
    readers = {role: graphql_reader(closed, workspace, role) for role in ROLES}
    return World(
        gateway=closed,
        readers=readers,
        other=graphql_reader(closed, workspace, "producer"),
        # It has the id of one of the readers, as a client of another workspace may.
        foreign=graphql_reader(closed, closed.create_workspace(), "producer", id=readers["subscriber"].client),
    )


@pytest.fixture(scope="module")
def reads(closed: RunningGateway) -> dict[str, dict[str, Any]]:
    """The operations of the document that change nothing, by method and path."""
    with closed.client(None) as http:
        document = http.get("/openapi.json").raise_for_status().json()
    return {
        name: operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if (name := f"{method.upper()} {path}").startswith("GET ") or name == DRY_RUN or path.startswith(REGISTRY)
    }


def test_every_read_says_who_may_use_it(reads: dict[str, dict[str, Any]]) -> None:
    said = (
        ONE.keys()
        | LISTS.keys()
        | OF_THE_WORKSPACE.keys()
        | OPEN
        | OF_TOPICS.keys()
        | FIGURES
        | OF_FAMILIES.keys()
        | AS_ITS_ENDPOINT.keys()
    )
    told = {name for name in reads if REGISTRY not in name and EVENTHOS.match(name) is None}
    assert told == said


@pytest.mark.parametrize("role", ROLES)
def test_one_thing_is_read_by_its_owner_and_by_who_reads_the_workspace(world: World, role: str) -> None:
    wrong = {}
    own = world.readers[role]
    with world.gateway.client(own.key) as http:
        for name, roles in ONE.items():
            for relation, owner in (("own", own), ("other", world.other), ("foreign", world.foreign)):
                status = http.get(name[len("GET ") :].format_map(owner.ids)).status_code
                may = role in roles and relation != "foreign" and (relation == "own" or role in READ_BY_WORKSPACE)
                if (status == 200) != may or (not may and status not in {403, 404}):
                    wrong[name, relation] = status
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
def test_a_list_shows_ones_own_or_the_workspaces(world: World, role: str) -> None:
    wrong = {}
    own = world.readers[role]
    with world.gateway.client(own.key) as http:
        for name, (roles, markers) in LISTS.items():
            answer = listed(http, name)
            if answer.status_code != (200 if role in roles else 403):
                wrong[name, "status"] = answer.status_code
            for marker in markers:
                seen = [owner.ids[marker] in answer.text for owner in (own, world.other, world.foreign)]
                if seen != [role in roles, role in READ_BY_WORKSPACE, False]:
                    wrong[name, marker] = seen
    assert wrong == {}


def listed(http: httpx.Client, name: str) -> httpx.Response:
    method, path = name.split(" ")
    if name == DRY_RUN:
        body = {"name": "all", "types": [{"namespace": "*", "code": "*"}]}
        return http.post(path, json=body)
    return http.request(method, path)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_the_workspaces_is_read_by_all_who_have_a_role(world: World, role: str) -> None:
    wrong = {}
    own = world.readers[role]
    with world.gateway.client(own.key) as http:
        for name, marker in OF_THE_WORKSPACE.items():
            for owner in (world.other, world.foreign):
                value = owner.workspace if marker == "workspace" else owner.ids[marker]
                path = name[len("GET ") :].format_map(owner.ids | {"name": owner.workspace})
                answer = http.get(path)
                everywhere = role == "admin" and marker == "workspace"
                may = role in ANY_ROLE and (owner is world.other or everywhere)
                if (answer.status_code == 200 and value in pages(http, path, answer)) != may:
                    wrong[name, owner is world.other] = answer.text
    assert wrong == {}


def pages(http: httpx.Client, path: str, first: httpx.Response) -> str:
    """All pages of a list: other tests on this broker leave more workspaces than are on one."""
    texts, answer = [first.text], first
    while cursor := answer.json().get("next_cursor"):
        answer = http.get(path, params={"cursor": cursor, "limit": 1_000})
        texts.append(answer.text)
    return "".join(texts)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_client_of_the_same_id_has_elsewhere_is_not_ones_own(world: World, role: str) -> None:
    own, wrong = world.readers[role], {}
    namesake = reader(world.gateway, world.gateway.create_workspace(), role, id=own.client)
    assert namesake.client == own.client
    for mine, theirs in ((own, namesake), (namesake, own)):
        with world.gateway.client(mine.key) as http:
            for name in LISTS:
                text = listed(http, name).text
                wrong |= {(name, each): text for each in SECRETS if theirs.ids[each] in text}
            for name in ONE:
                if "client_id" in name:
                    wrong |= {name: 0} if theirs.ids["key_id"] in http.get(name[4:].format_map(mine.ids)).text else {}
                elif http.get(name[4:].format_map(theirs.ids)).status_code not in {403, 404}:
                    wrong[name] = "shown"
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
def test_another_workspace_is_read_by_administrators_alone(world: World, role: str) -> None:
    named = {"workspace": world.foreign.workspace}
    with world.gateway.client(world.readers[role].key) as http:
        answers = [
            http.get(name[len("GET ") :].format_map(world.foreign.ids), params=named).status_code
            for name in (*ONE, *LISTS, f"{V1}/event-types", f"{V1}/event-types/{{namespace}}/{{code}}")
            if name != DRY_RUN
        ]
    assert set(answers) == ({200} if role == "admin" else {403})
    assert len(answers) > 15


def test_an_event_shows_deliveries_to_ones_own_endpoints_only(world: World) -> None:
    producer, subscriber, viewer = (world.readers[role] for role in ("producer", "subscriber", "viewer"))

    def got(who: Reader, event: str) -> Any:
        with world.gateway.client(who.key) as http:
            return http.get(f"/headrace/v1/events/{event}").raise_for_status().json()

    sent = got(producer, producer.published)
    assert (sent["outcomes"], sent["deliveries"]) == ({"dead": 1}, [])
    received = got(subscriber, subscriber.delivered)
    assert (received["outcomes"], len(received["deliveries"])) == ({"dead": 1}, 1)
    assert received["deliveries"][0]["tries"][0]["response"] == "a response of the receiver"
    assert got(viewer, producer.published)["deliveries"][0]["endpoint"] == "a-strangers-endpoint"


@pytest.mark.parametrize("role", ROLES)
def test_graphql_shows_ones_own_or_the_workspaces(graphql: World, role: str) -> None:
    own = graphql.readers[role]
    with graphql.gateway.client(own.key) as http:
        for query, marker in QUERIES.items():
            nested = "endpoints { id }" if query == "eventsFilters" else ""
            answer = http.post("/event-service/graphql", json={"query": LISTED % (query, nested)})
            if role == "none":
                assert (answer.status_code, "errors" in answer.json()) == (403, True)
                continue
            found = answer.raise_for_status().json()
            assert "errors" not in found
            for owner in (own, graphql.other, graphql.foreign):
                ids = (owner.published, owner.delivered) if query == "events" else (owner.ids[marker],)
                may = owner is own or (owner is graphql.other and role in READ_BY_WORKSPACE)
                assert [each in answer.text for each in ids] == [may] * len(ids), (query, owner is own)
            everything = len(ROLES) + 1 if role in READ_BY_WORKSPACE else 1
            assert found["data"][query]["totalCount"] == everything * (2 if query == "events" else 1)


def test_every_query_of_the_graphql_schema_is_in_the_table(graphql: World) -> None:
    body = {"query": "{ __schema { queryType { fields { name } } } }"}
    with graphql.gateway.client(graphql.readers["viewer"].key) as http:
        found = http.post("/event-service/graphql", json=body).json()["data"]["__schema"]["queryType"]["fields"]
    assert {each["name"] for each in found} == QUERIES.keys()


def test_the_registry_shows_a_client_the_subjects_of_its_workspace(
    world: World, reads: dict[str, dict[str, Any]]
) -> None:
    operations = [name for name in reads if REGISTRY in name]
    wrong = {}
    schemas = {owner.workspace: known_schema(world, owner) for owner in (world.other, world.foreign)}
    for role, own in world.readers.items():
        with world.gateway.client(own.key) as http:
            for name in operations:
                method, path = name.split(" ")
                for owner in (world.other, world.foreign):
                    schema = schemas[owner.workspace]
                    filled = path.format_map(owner.ids | {"schema_id": str(schema["id"])})
                    content = {} if method == "GET" else {"json": {"schema": schema["schema"]}}
                    answer = http.request(method, filled, **content)
                    told = (
                        answer.status_code == 200
                        and (owner.ids["subject"] in answer.text or "{" in path)
                        and path not in SAYS_NOTHING
                    )
                    may = role == "admin" or (role != "none" and owner is world.other)
                    silent = path in SAYS_NOTHING or ("{" not in path and path != f"{REGISTRY}/subjects")
                    if (role == "none" and answer.status_code != 403) or (not silent and told != may):
                        wrong[role, name, owner is world.other] = (answer.status_code, answer.text[:200])
    assert wrong == {}
    assert len(operations) > 15


SAYS_NOTHING = {f"{REGISTRY}/mode/{{subject}}"}
"""The same for every subject, whether there is one or not."""


def known_schema(world: World, owner: Reader) -> dict[str, Any]:
    with world.gateway.client() as admin:
        path = f"{REGISTRY}/subjects/{owner.ids['subject']}/versions/latest"
        found: dict[str, Any] = admin.get(path).raise_for_status().json()
    return found


def test_the_registry_that_is_not_open_takes_what_stock_clients_send(world: World) -> None:
    viewer, url = world.readers["viewer"], f"{world.gateway.url}{REGISTRY}"
    subject = world.other.ids["subject"]
    auths = [
        {"basic.auth.user.info": f"{viewer.key}:"},
        {"basic.auth.user.info": f"anybody:{viewer.key}"},
        {"basic.auth.user.info": f"{viewer.key}:x"},
        {"bearer.auth.credentials.source": "STATIC_TOKEN", "bearer.auth.token": viewer.key}
        | {"bearer.auth.logical.cluster": "c", "bearer.auth.identity.pool.id": "p"},
    ]
    for auth in auths:
        with SchemaRegistryClient({"url": url, **auth}) as registry:
            assert registry.get_latest_version(subject).version == 1
    for auth in ({}, {"basic.auth.user.info": "anybody:wrong"}, {"basic.auth.user.info": f"wrong:{ADMIN_KEY}x"}):
        with SchemaRegistryClient({"url": url, **auth}) as registry, pytest.raises(SchemaRegistryError) as refused:
            registry.get_latest_version(subject)
        assert (refused.value.http_status_code, refused.value.error_code) == (401, 401)
    with world.gateway.client(None) as http:
        for path in ("", "/", "/subjects", "/mode", "/schemas/types", "/config", "/anything"):
            answer = http.get(REGISTRY + path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == 'Basic realm="schema-registry"'
            assert answer.json()["error_code"] == 401
        assert http.get(f"{REGISTRY}/subjects", headers={"Authorization": "Basic !!!"}).status_code == 401


def test_event_files_are_listed_pulled_and_deleted_with_our_own_key(world: World) -> None:
    own, other = world.readers["subscriber"], world.other
    with world.gateway.client(own.key) as http:
        path = f"/headrace/v1/endpoints/{own.ids['endpoint_id']}/files"
        assert http.get(path).json() == {"items": [{"name": own.ids["name"]}], "next_cursor": None}
        file = http.get(f"{path}/{own.ids['name']}")
        assert (file.text, file.headers["content-type"]) == ('{"offset":0}\n', "application/x-ndjson")
        assert http.get(f"{path}/..%2f..%2fadmin-key").status_code == 404
        theirs = f"/headrace/v1/endpoints/{other.ids['endpoint_id']}/files/{other.ids['name']}"
        assert http.delete(theirs).status_code == 404
        socket = {"name": "socket", "type": "WEB_SOCKET"}
        made = http.post("/headrace/v1/endpoints", json=socket).raise_for_status().json()["id"]
        assert http.get(f"/headrace/v1/endpoints/{made}/files").status_code == 404
    with world.gateway.client(world.readers["viewer"].key) as http:
        assert http.delete(f"{path}/{own.ids['name']}").status_code == 403
    with world.gateway.client(world.readers["operator"].key) as http:
        assert http.delete(theirs).status_code == 204
        assert http.get(theirs).status_code == 404


def test_every_eventhos_read_needs_a_permission(world: World, reads: dict[str, dict[str, Any]]) -> None:
    paths = [name[len("GET ") :] for name in reads if EVENTHOS.match(name)]
    client, secret = world.gateway.create_client("default", realm="eventhos")
    grant = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    with world.gateway.client(None) as http:
        token = http.post("/auth/token", data=grant).raise_for_status().json()["content"]["jwt_token"]
    with world.gateway.client(token) as http:
        answers = {path: http.get(re.sub(r"\{\w+\}", "1", path)).status_code for path in paths}
    assert {path: status for path, status in answers.items() if status != 401} == {}
    assert len(paths) > 10
