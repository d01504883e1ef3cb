"""Credentials of one family open no operation of another, and no workspace sees what is in another.

The operations are those of the OpenAPI document, so that a new one is looked at without being listed here.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from backbone.operations.records import figures_record
from schemas.model.cluster_figures import GroupFigures, GroupPartition, PartitionFigures, TopicFigures
from tests.support.credentials import (
    EVENTHOS,
    EVENTHOS_SENDER,
    EXCHANGE,
    OWN,
    OWN_ROLES,
    REGISTRY,
    SCHEMES,
    credentials_on,
)
from tests.support.eventhos_calls import eventhos_on
from tests.support.exchange_account import exchange_account
from tests.support.offsets import pass_over
from tests.support.readers import reader

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

REFUSED = (401, 403)

NO_CREDENTIAL = {"POST /api/token", "POST /auth/token", "GET /", "GET /healthz", "GET /readyz", "GET /metrics"}
"""The first two take a key or secret to give a token for."""

_ENDPOINT = "/headrace/v1/endpoints/{endpoint_id}"
BODIES: dict[str, Any] = {
    "PATCH /headrace/v1/subscriptions/{subscription_id}": {"enabled": False},
    f"POST {_ENDPOINT}/projections/dry-run": {"code": "Order", "expression": "data"},
    f"PUT {_ENDPOINT}/projections/{{namespace}}/{{code}}": {"expression": "data"},
    f"POST {_ENDPOINT}/replay": {"from": "earliest"},
    f"POST {_ENDPOINT}/test": {"code": "Order"},
    "PATCH /headrace/v1/operations/topics/{topic}": {"retention_seconds": 86_400},
    "POST /headrace/v1/operations/topics/{topic}/partitions": {"partitions": 7},
    "POST /headrace/v1/operations/groups/{group}/offsets": {"to": {"earliest": True}},
    "POST /headrace/v1/import": "headrace: 1",
}
"""Of the operations that refuse an empty one before they look for anything."""

SECONDS = 60


class Operation(NamedTuple):
    """One of the document, with a path whose parameters are filled in, and the scheme of its credential."""

    name: str
    method: str
    path: str
    scheme: str

    def call(self, http: httpx.Client, query: dict[str, str], credential: str | None = None) -> httpx.Response:
        """With the credential everywhere where any family looks for one."""
        headers = {}
        if credential:
            headers = {"Authorization": f"Bearer {credential}", "access-key": credential}
        if self.scheme == OWN:
            query = {}  # it takes no credential there, and refuses parameters that it does not know
        elif credential:
            query = query | dict.fromkeys(("access_token", "access-key", "apiKey"), credential)
        content = {} if self.method == "GET" else {"json": {}}
        return http.request(self.method, self.path, headers=headers, params=query, **content)


@pytest.fixture(scope="module")
def credentials(gateway: RunningGateway) -> dict[str, str]:
    return credentials_on(gateway)


@pytest.fixture(scope="module")
def document(gateway: RunningGateway) -> dict[str, Any]:
    with gateway.client(None) as http:
        found: dict[str, Any] = http.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def query(gateway: RunningGateway) -> dict[str, str]:
    """eventhos looks for the event before the token, so that there must be one."""
    return {"event-identifier": eventhos_on(gateway).event().identifier}


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(f"{method.upper()} {path}", method.upper(), filled(path, operation), next(iter(security)))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for security in operation.get("security", ())[:1]
        if REGISTRY not in security  # open here: see test_who_may_read
    ]


def filled(path: str, operation: dict[str, Any]) -> str:
    """A path with an id of nothing for each of its parameters."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        value = "999999999" if schema.get("type") == "integer" else schema.get("enum", ["nothing"])[0]
        path = path.replace("{" + parameter["name"] + "}", value)
    return path


def family(scheme: str) -> str:
    """eventhos has two schemes for one kind of token."""
    return EVENTHOS if scheme == EVENTHOS_SENDER else scheme


def test_every_operation_that_asks_for_no_credential_is_meant_to_be_open(document: dict[str, Any]) -> None:
    unprotected = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not operation.get("security")
    }
    assert unprotected == NO_CREDENTIAL


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_credential_opens_no_other_family(
    gateway: RunningGateway,
    credentials: dict[str, str],
    operations: list[Operation],
    query: dict[str, str],
    scheme: str,
) -> None:
    with gateway.client(None) as http:
        answers = {
            operation.name: operation.call(http, query, credentials[scheme]).status_code
            for operation in operations
            if family(operation.scheme) != family(scheme)
        }
    assert {name: status for name, status in answers.items() if status not in REFUSED} == {}
    assert len(answers) > 50


def test_without_a_credential_nothing_is_open(
    gateway: RunningGateway, operations: list[Operation], query: dict[str, str]
) -> None:
    with gateway.client(None) as http:
        answers = {each.name: each.call(http, query).status_code for each in operations}
    assert {name: status for name, status in answers.items() if status not in REFUSED} == {}
    assert Counter(each.scheme for each in operations).keys() == set(SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_credential_gets_no_token_of_another_family(
    gateway: RunningGateway, credentials: dict[str, str], scheme: str
) -> None:
    credential = credentials[scheme]
    grant = {"grant_type": "client_credentials", "client_id": credential, "client_secret": credential}
    with gateway.client(None) as http:
        assert http.post("/api/token", params={"apiKey": credential}).status_code == 401
        assert http.post("/auth/token", data=grant).status_code in {400, 401, 404}


def test_no_id_of_another_workspace_leads_anywhere(gateway: RunningGateway, operations: list[Operation]) -> None:
    theirs = gateway.create_workspace()
    owner = reader(gateway, theirs, "operator")
    with gateway.client(owner.key) as http:
        ids = owner.ids | things_of_an_operator(gateway, http, owner.ids)
        leads = {
            each.name: http.get(path_with(ids, each)).status_code
            for each in operations
            if each.scheme == OWN and each.method == "GET" and "{" in each.name and "/workspaces" not in each.name
        }
    assert {name: status for name, status in leads.items() if status != 200} == {}
    _, key = gateway.create_client(gateway.create_workspace(), *OWN_ROLES)
    by_id, by_workspace, lists = {}, {}, []
    with gateway.client(key) as http:
        for each in operations:
            if each.scheme != OWN or "/workspaces" in each.name:
                continue
            path = path_with(ids, each)
            body = BODIES.get(each.name, {})
            named = http.request(each.method, path, json=body, params={"workspace": theirs})
            by_workspace[each.name] = named.status_code
            if "{" in each.name:
                by_id[each.name] = http.request(each.method, path, json=body).status_code
            elif each.method == "GET":
                lists.append(http.get(path).text)
    assert {name: status for name, status in by_id.items() if status != 404} == {}
    assert {name: status for name, status in by_workspace.items() if status != 403} == {}
    assert [value for value in ids.values() for text in lists if f'"{value}"' in text] == []
    assert len(leads) > 15
    assert by_id.keys() > leads.keys()
    assert len(lists) > 5


def path_with(ids: dict[str, str], operation: Operation) -> str:
    """The path of an operation with these ids; files are those of another endpoint than what webhooks have."""
    if "/files" in operation.name:
        ids = ids | {"endpoint_id": ids["file_endpoint"]}
    return operation.name.partition(" ")[2].format_map(ids)


def things_of_an_operator(gateway: RunningGateway, http: httpx.Client, ids: dict[str, str]) -> dict[str, str]:
    """Names of a topic that has grown, of a group that reads it, and of a webhook that has a projection for it.

    Args:
        gateway: to write figures of topic and group, as a monitor does.
        http: a client of an operator.
        ids: of what the operator has.
    """
    (hook,) = [each["id"] for each in http.get("/headrace/v1/endpoints").json()["items"] if each["name"] == "hook"]
    found = {
        "topic": ids["subject"].removesuffix("-value"),
        "group": f"team-{uuid4()}",
        "file_endpoint": ids["endpoint_id"],
        "endpoint_id": hook,
    }
    topic, group = found["topic"], found["group"]
    pass_over(gateway.bootstrap, group, topic)
    paths = [f"/headrace/v1/operations/topics/{topic}", f"/headrace/v1/operations/groups/{group}"]
    http.post(f"{paths[0]}/partitions", json={"partitions": 7, "order": "as_is"}).raise_for_status()
    projection = f"/headrace/v1/endpoints/{hook}/projections/{ids['namespace']}/{ids['code']}"
    http.put(projection, json={"expression": "data"}).raise_for_status()
    producer = Producer({"bootstrap.servers": gateway.bootstrap})
    for figures in (
        TopicFigures(topic=topic, partition_list=(PartitionFigures(partition=0, first_offset=0, end_offset=1),)),
        GroupFigures(group=group, partition_list=(GroupPartition(topic=topic, partition=0, end_offset=1),)),
    ):
        record = figures_record(figures)
        producer.produce(record.topic, record.value, record.key)
    assert producer.flush(SECONDS) == 0
    deadline = time.monotonic() + SECONDS
    while any(http.get(path).status_code == 404 for path in paths):
        assert time.monotonic() < deadline, "the figures are not shown"
        time.sleep(0.05)
    return found


def test_no_exchange_endpoint_of_another_account_can_be_seen_or_changed(
    gateway: RunningGateway, operations: list[Operation]
) -> None:
    one, other = exchange_account(gateway), exchange_account(gateway)
    theirs = other.endpoint(source=True, identifiers=("email",))
    mine = one.endpoint(source=True, identifiers=("email",))
    targets = [each for each in operations if each.scheme == EXCHANGE and "{endpoint_id}" in each.name]
    assert len(targets) >= 4
    for key in (mine.key, one.account_key):
        with gateway.client(key) as http:
            for each in targets:
                path = each.path.replace("nothing", theirs.id)
                answer = http.request(each.method, path, json=[])
                assert answer.status_code in {403, 404}, each.name
    with gateway.client(one.account_key) as http:
        assert theirs.id not in http.get("/v1/endpoint").raise_for_status().text
