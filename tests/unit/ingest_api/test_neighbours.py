"""The largest requests of one tenant beside another's: they share the loop, or are refused before they take long."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.exceptions import RequestValidationError

from tests.support.heartbeat import heartbeat
from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.heartbeat import Heartbeat
    from tests.support.local_gateway import LocalGateway

MANY = 10_000
ROUNDS = 30
"""Of the loop that a neighbour has beside one such request: it had none or two."""

LISTED = 40
"""Resources in a list: more than a request has rounds of the loop in any case."""

ATTRIBUTES = [{"name": "region", "type": "String"}, {"name": "amount", "type": "Number"}]
DATA = {"region": "eu", "amount": 12.5}
EVENTS = "/headrace/v1/events"
BATCH = "application/cloudevents-batch+json"

Send = "Callable[..., Awaitable[tuple[httpx.Response, Heartbeat]]]"


@pytest.fixture
async def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    return await local_gateway(tmp_path, monkeypatch).begin()


async def sent(
    local: LocalGateway, key: str, path: str, content: bytes, media_type: str = "application/json"
) -> tuple[httpx.Response, Heartbeat]:
    """The answer, and how the loop was shared meanwhile."""
    async with local.client(key, timeout=120) as http, heartbeat() as beats:
        answer = await http.post(path, content=content, headers={"content-type": media_type})
    return answer, beats


async def producer(local: LocalGateway) -> str:
    """The key of a client with a typed and an open event type."""
    _, key = await local.new_client(await local.workspace(), "producer")
    async with local.client(key) as http:
        for members in ({"code": "T", "attributes": ATTRIBUTES}, {"code": "O", "open": True}):
            (await http.post("/headrace/v1/registrations", json=members)).raise_for_status()
    return key


def batch(**members: Any) -> bytes:
    return json.dumps([{"specversion": "1.0", "type": "T", "data": DATA, **members}] * MANY).encode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(batch(), 201, id="plain"),
        pytest.param(batch(one="1", two="2"), 201, id="extensions"),
        pytest.param(batch()[:-1] + b',{"specversion":"1.0","type":"T","time":"no"}]', 400, id="invalid"),
    ],
)
async def test_a_batch_of_cloudevents(local: LocalGateway, content: bytes, status: int) -> None:
    local.gateway.settings.__dict__["max_batch_events"] = 2 * MANY
    answer, beats = await sent(local, await producer(local), EVENTS, content, BATCH)
    assert answer.status_code == status, answer.text[:500]
    assert beats.rounds >= ROUNDS


async def test_a_batch_of_exchange(local: LocalGateway) -> None:
    key = await exchange_source(local)
    event = {"code": "c", "timestamp": "2021-03-04T16:36:54.591Z", "attributes": [{"name": "region", "value": "eu"}]}
    above = {"channel": "web", "identifiers": [{"name": "email", "value": "a@example.org"}]}
    content = json.dumps({**above, "events": [event] * MANY}).encode()
    answer, beats = await sent(local, key, "/v1/event", content)
    assert answer.status_code == 200, answer.text[:500]
    assert beats.rounds >= ROUNDS


async def test_all_attributes_of_an_exchange_event_may_be_unknown(local: LocalGateway) -> None:
    """Each was looked for among all of them: minutes."""
    key = await exchange_source(local)
    attributes = [{"name": f"unknown {number}", "value": ""} for number in range(30_000)]
    event = {"code": "c", "timestamp": "2021-03-04T16:36:54.591Z", "attributes": attributes}
    event |= {"channel": "web", "identifiers": [{"name": "email", "value": "a@example.org"}]}
    began = time.process_time()
    answer, _ = await sent(local, key, "/v1/event", json.dumps({"events": [event]}).encode())
    assert time.process_time() - began < 20
    assert answer.status_code == 400
    assert [each["path"] for each in answer.json()["errors"]] == [
        f"$.events[0].attributes[{number}]" for number in range(1_000)
    ]


async def exchange_source(local: LocalGateway) -> str:
    """The key of an endpoint that publishes events of code ``c``."""
    _, account = await local.new_client(await local.workspace(), realm="exchange", level="account")
    databases = {"marketingDatabases": [{"name": "people", "identifiers": [{"name": "email"}]}]}
    endpoint = {
        "name": "e",
        "providerName": "p",
        "endpointTypes": {"event": {"source": {"enabled": True}}},
        "marketingDatabasesDefinition": databases,
    }
    async with local.client(account) as http:
        key: str = (await http.put("/v1/endpoint", json=endpoint)).raise_for_status().json()["authenticationKey"]
    async with local.client(key) as http:
        made = {"code": "c", "name": "c", "attributes": [{"name": "region", "type": "String"}]}
        (await http.post("/v1/eventtype", json=made)).raise_for_status()
    return key


async def test_a_body_of_escapes_is_looked_through_in_parts(local: LocalGateway) -> None:
    text = b'"\\ud83d\\ude00' + b"\\n" * 4_000_000 + b'"'
    content = b'[{"specversion":"1.0","type":"O","data":' + text + b"}]"
    answer, beats = await sent(local, await producer(local), EVENTS, content, BATCH)
    assert answer.status_code == 413, answer.text[:500]
    assert beats.rounds >= ROUNDS


@pytest.mark.parametrize("path", [EVENTS, "/api/app/events", "/event/send"])
async def test_what_no_record_can_hold_is_refused_unread(local: LocalGateway, path: str) -> None:
    content = b'{"specversion":"1.0","type":"T","data":{%b}}' % b",".join(b'"m%d":1' % n for n in range(300_000))
    assert len(content) > 3_000_000
    key = await producer(local)
    if path == EVENTS:
        answer, _ = await sent(local, key, path, content, "application/cloudevents+json")
        assert answer.status_code == 413
        assert "the limit is 3000000" in answer.json()["detail"]


async def test_a_thousand_problems_are_told_and_no_more(local: LocalGateway) -> None:
    key = await producer(local)
    members = b",".join(b'"m%d":1' % number for number in range(100_000))
    one = b'{"specversion":"1.0","type":"T","data":{%b}}' % members
    answer, _ = await sent(local, key, EVENTS, one, "application/cloudevents+json")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1_000)
    answer, _ = await sent(local, key, EVENTS, batch(time="yesterday"), BATCH)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1_000)
    assert "at least 1000 events are not valid" in answer.json()["detail"]
    answer, _ = await sent(local, key, EVENTS, batch(data={"region": 1, "x": 1}), BATCH)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1_000)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"attributes": list(range(49_000))}, id="elements"),
        pytest.param({f"x{number}": 1 for number in range(49_000)}, id="members"),
        pytest.param({"attributes": [{f"x{number}": 1 for number in range(49_000)}]}, id="members of an element"),
    ],
)
async def test_a_thousand_problems_of_a_change_are_told_and_no_more(
    local: LocalGateway, monkeypatch: pytest.MonkeyPatch, content: dict[str, Any]
) -> None:
    """pydantic made errors of all: 3 s in which nobody else was answered."""
    told: list[int] = []
    monkeypatch.setattr("fastapi.exceptions.RequestValidationError.__init__", _counted(told))
    key = await producer(local)
    answer, _ = await sent(local, key, "/headrace/v1/event-types", json.dumps({"code": "c", **content}).encode())
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert errors[0] == {"path": "$", "message": "has more than 1,000 wrong values"}
    assert (len(errors), max(told)) == (len(errors), len(errors))
    if "attributes" in content and isinstance(content["attributes"][0], int):
        assert errors[1] == {"path": "$.attributes[0]", "message": "must be an object"}


async def test_lists_of_many_attributes_are_made_in_slices(local: LocalGateway) -> None:
    local.gateway.slices.seconds = 0  # a pause after each
    workspace = await local.workspace()
    _, key = await local.new_client(workspace, "operator")
    _, account = await local.new_client(workspace, realm="exchange", level="account")
    attributes = [{"name": "a", "type": "String"}]
    identifiers = [{"name": "i"}]
    endpoint = {
        "providerName": "p",
        "endpointTypes": {"event": {"source": {"enabled": True}}},
        "marketingDatabasesDefinition": {"marketingDatabases": [{"name": "people", "identifiers": identifiers}]},
    }
    async with local.client(key) as http, local.client(account) as exchange:
        source = {}
        for number in range(LISTED):
            source = (await exchange.put("/v1/endpoint", json={"name": f"e{number}", **endpoint})).json()
            made = {"code": f"T{number}", "attributes": attributes, "partitions": 1}
            (await http.post("/headrace/v1/event-types", json=made)).raise_for_status()
        async with local.client(source["authenticationKey"]) as publisher:
            for number in range(LISTED):
                made = {"code": f"c{number}", "name": "c", "attributes": attributes}
                (await publisher.post("/v1/eventtype", json=made)).raise_for_status()
            for client, path, shown in (
                (http, "/headrace/v1/event-types", "code"),
                (http, "/headrace/v1/registrations", "code"),
                (publisher, "/v1/eventtype", "code"),
                (exchange, "/v1/endpoint", "name"),
            ):
                async with heartbeat() as beats:
                    answer = await client.get(path)
                content = answer.json()
                found = content["items"] if isinstance(content, dict) else content
                names = [each[shown] for each in found]
                prefix = names[0][0]
                assert [each for each in names if each[0] == prefix] == [f"{prefix}{n}" for n in range(LISTED)]
                assert beats.rounds >= LISTED, path


async def test_each_field_of_a_graphql_document_takes_its_turn(local: LocalGateway) -> None:
    _, key = await local.new_client(await local.workspace(), "viewer", realm="graphql")
    fields = " ".join(f"a{number}: endpoints {{ totalCount }}" for number in range(LISTED))
    answer, beats = await sent(local, key, "/event-service/graphql", json.dumps({"query": f"{{{fields}}}"}).encode())
    assert answer.json()["data"]["a0"] == {"totalCount": 0}
    assert beats.rounds >= LISTED


async def test_requests_of_one_workspace_begin_one_by_one_and_let_others_in(local: LocalGateway) -> None:
    busy, quiet = [(await local.new_client(await local.workspace(), "operator"))[1] for _ in range(2)]
    answered: list[str] = []

    async def ask(http: httpx.AsyncClient, whose: str) -> None:
        assert (await http.get("/headrace/v1/endpoints/unknown")).status_code == 404
        answered.append(whose)

    async with local.client(busy) as many, local.client(quiet) as one, heartbeat() as beats:
        await asyncio.gather(*(ask(many, "busy") for _ in range(3 * LISTED)), ask(one, "quiet"))
    assert beats.rounds >= 3 * LISTED
    assert answered.index("quiet") < LISTED


def _counted(told: list[int]) -> Any:
    init = RequestValidationError.__init__

    def counting(self: RequestValidationError, errors: Any, **more: Any) -> None:
        told.append(len(errors))
        init(self, errors, **more)

    return counting


@pytest.mark.parametrize(("element", "told"), [(b"1", "$[0]"), (b"[]", "$[0]"), (b"{}", "at most 10000 events")])
async def test_of_a_body_of_millions_of_values_none_is_kept(local: LocalGateway, element: bytes, told: str) -> None:
    content = b"[%b]" % b",".join([element] * (8_000_000 // (len(element) + 1)))
    key = await producer(local)
    answer, _ = await sent(local, key, EVENTS, content, BATCH)
    assert (answer.status_code, told in answer.text, len(answer.content) < 1_000) == (400, True, True)
    key = await exchange_source(local)
    for body in (b'{"events":%b}' % content, b'{"eventbatch":[{"events":%b}]}' % content):
        answer, _ = await sent(local, key, "/v1/event", body)
        assert (answer.status_code, len(answer.content) < 1_000) == (400, True), answer.text[:500]
