"""What no caller should send to our own API, and some do: refused in its shape, whatever it is."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"
JSON = {"content-type": "application/json"}
FILTER = {"name": "f", "types": [{"code": "Offer"}]}


@pytest.fixture(scope="module")
def workspace(gateway: RunningGateway) -> str:
    return gateway.create_workspace()


@pytest.fixture(scope="module")
def operator(gateway: RunningGateway, workspace: str) -> Iterator[httpx.Client]:
    with gateway.client(gateway.create_client(workspace, "operator")[1]) as http:
        yield http


def paths(response: httpx.Response, status: int = 400) -> list[str]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [problem["path"] for problem in response.json().get("errors", [])]


@pytest.mark.parametrize("condition", ['{"data": {"x": [NaN]}}', '{"$not": ' * 70 + '{"source": ["a"]}' + "}" * 70])
def test_a_condition_that_is_none_is_refused(operator: httpx.Client, condition: str) -> None:
    made = operator.post(f"{V1}/filters", json=FILTER).raise_for_status().json()
    body = json.dumps(FILTER)[:-1] + f', "condition": {condition}}}'

    for answer in (
        operator.post(f"{V1}/filters", content=body, headers=JSON),
        operator.patch(f"{V1}/filters/{made['id']}", content=body, headers=JSON),
    ):
        (path,) = paths(answer)
        assert path.startswith("$.condition")


@pytest.mark.parametrize(
    ("resource", "member", "body"),
    [
        ("clients", "id", {"name": "dots", "id": ".."}),
        ("event-types", "namespace", {"namespace": "a/b", "code": "c"}),
        ("registrations", "namespace", {"namespace": "a/b", "code": "c"}),
    ],
)
def test_a_name_that_no_path_could_say_is_refused(
    operator: httpx.Client, resource: str, member: str, body: dict[str, Any]
) -> None:
    assert paths(operator.post(f"{V1}/{resource}", json=body)) == [f"$.{member}"]


@pytest.mark.parametrize(
    ("resource", "body", "problem"),
    [
        ("clients", '{"name": "a"} {}', ("$", "is no JSON, from character 14 on: Extra data")),
        ("clients", "[]", ("$", "must be an object")),
        ("clients", '{"name": "a", "roles": "producer"}', ("$.roles", "must be an array")),
        ("endpoints", '{"name": "a", "headers": []}', ("$.headers", "must be an object")),
        (
            "endpoints",
            '{"name": "a", "options": {"a b": 1}}',
            ("$.options['a b']", "Input should be a valid string"),
        ),
        (
            "filters",
            '{"name": "a", "types": [{"code": ""}]}',
            ("$.types[0].code", "String should have at least 1 character"),
        ),
    ],
)
def test_what_is_wrong_is_told_once_where_it_is_and_in_words_of_json(
    operator: httpx.Client, resource: str, body: str, problem: tuple[str, str]
) -> None:
    answer = operator.post(f"{V1}/{resource}", content=body, headers=JSON)
    assert answer.status_code == 400
    assert [(each["path"], each["message"]) for each in answer.json()["errors"]] == [problem]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [(f"{V1}/filters", 413, "50000 commas"), ("/v1/eventtype", 401, "credential"), ("/event", 401, "credential")],
)
def test_a_body_that_is_wrong_in_a_million_places_is_not_told_of_all_of_them(
    gateway: RunningGateway, path: str, status: int, told: str
) -> None:
    """Which would take gigabytes, and half a minute of everybody's time."""
    with gateway.client() as http:
        answer = http.post(path, content=b'{"types":[' + b"1," * 1_000_000 + b"1]}", headers=JSON)
    assert (answer.status_code, len(answer.content) < 1_000) == (status, True), answer.text[:1_000]
    assert told in answer.text


@pytest.mark.parametrize("name", [".", ".."])
def test_a_workspace_that_no_path_could_say_is_refused(gateway: RunningGateway, name: str) -> None:
    with gateway.client() as admin:
        assert paths(admin.post(f"{V1}/workspaces", json={"name": name})) == ["$.name"]


@pytest.mark.parametrize(
    ("method", "path", "unknown"),
    [
        ("GET", "events?outcome=retrying", ["outcome"]),
        ("GET", "events?foo=1&limit=1&bar=", ["foo", "bar"]),
        ("GET", "events/any?deliveries=true", ["deliveries"]),
        ("GET", "endpoints?Limit=1", ["Limit"]),
        ("GET", "filters/any?x", ["x"]),
        ("GET", "event-types/events/any?x=", ["x"]),
        ("POST", "events?dry_run=true", ["dry_run"]),
        ("POST", "filters?dry_run=true", ["dry_run"]),
        ("PATCH", "endpoints/any?force=1", ["force"]),
        ("DELETE", "endpoints/any?force=1", ["force"]),
        ("HEAD", "events?outcome=retrying", None),
        ("GET", "workspaces?name=a", ["name"]),
    ],
)
def test_a_query_parameter_that_is_not_known_is_refused(
    operator: httpx.Client, method: str, path: str, unknown: list[str] | None
) -> None:
    answer = operator.request(method, f"{V1}/{path}", json={} if method in {"POST", "PATCH"} else None)
    assert answer.status_code == 400
    if unknown is not None:
        assert paths(answer) == unknown
        assert "it takes " in answer.json()["errors"][0]["message"]


def test_who_may_not_manage_keys_is_not_told_which_clients_there_are(gateway: RunningGateway, workspace: str) -> None:
    somebody, _ = gateway.create_client(workspace, "producer")
    with gateway.client(gateway.create_client(workspace, "producer")[1]) as http:
        for client in (somebody, "nobody"):
            assert http.get(f"{V1}/clients/{client}/keys").status_code == 403
            assert http.post(f"{V1}/clients/{client}/keys").status_code == 403
            assert http.delete(f"{V1}/clients/{client}/keys/none").status_code == 403


@pytest.mark.parametrize("cursor", ["x", "é", base64.urlsafe_b64encode(b"9" * 30 + b":e").decode(), "%00"])
@pytest.mark.parametrize("resource", ["events", "filters"])
def test_a_cursor_that_no_page_ended_with_is_refused(operator: httpx.Client, resource: str, cursor: str) -> None:
    assert len(paths(operator.get(f"{V1}/{resource}", params={"cursor": cursor}))) == 1


def test_json_whose_type_is_spelled_in_another_case_is_read(operator: httpx.Client) -> None:
    answer = operator.post(f"{V1}/filters", content=b"[]", headers={"content-type": "Application/JSON"})

    assert paths(answer) == ["$"]
    assert "Content-Type" not in answer.text


def test_the_registry_says_in_its_own_shape_that_a_body_is_too_large(gateway: RunningGateway) -> None:
    with gateway.client(None) as http:
        answer = http.post("/schema-registry/subjects/any", content=b" " * 9_000_000)

    assert (answer.status_code, answer.json()["error_code"]) == (413, 413)
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"


def test_a_client_that_is_called_like_an_endpoint_is_not_that_endpoint(
    gateway: RunningGateway, workspace: str, operator: httpx.Client
) -> None:
    for place in (workspace, gateway.create_workspace()):
        _, key = gateway.create_client(place, "subscriber")
        with gateway.client(key) as owner:
            body = {"name": "e", "url": "https://example.com/"}
            made = owner.post(f"{V1}/endpoints", json=body).raise_for_status().json()
            before = owner.get(f"{V1}/endpoints/{made['id']}").raise_for_status().json()
            for realm in ("headrace", "exchange"):
                client = {"id": made["id"], "name": f"c-{uuid4()}", "realm": realm}
                operator.post(f"{V1}/clients", json=client).raise_for_status()
                operator.delete(f"{V1}/clients/{made['id']}").raise_for_status()
                assert owner.get(f"{V1}/endpoints/{made['id']}").json() == before


def test_who_only_receives_registers_nothing_to_publish(gateway: RunningGateway, workspace: str) -> None:
    _, key = gateway.create_client(workspace, "subscriber")
    registration = {"code": f"Order-{uuid4()}", "open": True}
    with gateway.client(key) as subscriber:
        paths(subscriber.post(f"{V1}/registrations", json=registration), 403)
        assert subscriber.post(f"{V1}/registrations", json=registration | {"kind": "SUBSCRIBE"}).status_code == 201


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a"),
        (b"GET /", b"a"),
        (b"GET /healthz HTTP/1.1\r\n", b"x-many: a\r\n"),
        (b"POST /api/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nt: ", b"a"),
    ],
)
def test_a_head_without_end_closes_the_connection(gateway: RunningGateway, parts: tuple[bytes, bytes]) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    beginning, endless = parts
    answered = b""
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        # The server may close it before all has been sent.
        with contextlib.suppress(ConnectionError):
            connection.sendall(beginning)
            for _ in range(64):
                connection.sendall(endless * (16_384 // len(endless)))
        with contextlib.suppress(ConnectionError):
            while received := connection.recv(65_536):
                answered += received
            assert answered.splitlines()[0].split()[1] in {b"400", b"431"}


def test_who_closes_its_own_half_of_the_connection_is_answered(gateway: RunningGateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    answered = b""
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(b"POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\njunk")
        connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(65_536):
            answered += received
    assert b"The query parameter apiKey is missing." in answered


def test_head_is_answered_like_get_without_the_body(gateway: RunningGateway, operator: httpx.Client) -> None:
    for path in ("/healthz", "/docs/swagger/index.html", f"{V1}/endpoints", "/schema-registry/subjects"):
        answer, like = operator.head(path), operator.get(path)
        assert (answer.status_code, answer.content) == (200, b""), path
        assert answer.headers["content-type"] == like.headers["content-type"]
    with gateway.client(None) as anonymous:
        assert anonymous.head(f"{V1}/endpoints").status_code == 401
        assert anonymous.head("/api/token").status_code == 405
        # Its GET provisions the organisation.
        assert anonymous.head("/events/provision").status_code == 405


def test_the_examples_of_the_document_work(gateway: RunningGateway) -> None:
    _, key = gateway.create_client(gateway.create_workspace(), "operator")
    with gateway.client(key) as http:
        document: dict[str, Any] = http.get("/openapi.json").json()

        def example(path: str, media_type: str = "application/json") -> Any:
            schema = document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]
            schema = next((each for each in schema.get("anyOf", ()) if "$ref" in each), schema)
            if schema.get("type") == "array":
                schema = schema["items"]
            named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            return named["example"] if "example" in named else named["examples"][0]

        made = [
            http.post(f"{V1}/{resource}", json=example(f"{V1}/{resource}"))
            for resource in ("clients", "event-types", "registrations", "endpoints", "filters")
        ]
        assert [answer.status_code for answer in made] == [201] * len(made), [answer.text for answer in made]
        keys = f"{V1}/clients/{{client_id}}/keys"
        assert http.post(keys.format(client_id=made[0].json()["id"]), json=example(keys)).status_code == 201
        structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
        # A page that offers several media types fills in one of them, perhaps one without an example.
        assert list(document["paths"][f"{V1}/events"]["post"]["requestBody"]["content"]) == [structured]
        event = example(f"{V1}/events", structured)
        assert http.post(f"{V1}/events", json=event, headers={"content-type": structured}).status_code == 201
        events = [example(f"{V1}/events/batch", batch)]
        for media_type in (batch, "application/json"):
            answer = http.post(f"{V1}/events/batch", json=events, headers={"content-type": media_type})
            assert (answer.status_code, len(answer.json()["events"])) == (201, 1)
        assert http.post(f"{V1}/events", json=events, headers={"content-type": batch}).status_code == 201
        refused = http.post(f"{V1}/events/batch", json=event, headers={"content-type": structured})
        assert refused.status_code == 415
        assert http.get(f"{V1}/events/batch").status_code in {404, 503}
        subscription = {"filter": made[4].json()["id"], "endpoint": made[3].json()["id"]}
        assert example(f"{V1}/subscriptions").keys() == subscription.keys()
        assert http.post(f"{V1}/subscriptions", json=subscription).status_code == 201


def test_the_document_is_whole(gateway: RunningGateway) -> None:
    with gateway.client(None) as http:
        document = http.get("/openapi.json").json()
    operations = [
        (f"{method} {path}", path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    ids = [operation["operationId"] for _, _, operation in operations]

    assert len(ids) == len(set(ids))
    assert max(map(len, ids)) <= 40, "they name the functions of generated clients"
    for name, path, operation in operations:
        declared = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert {part[1:-1] for part in path.split("/") if part.startswith("{")} == declared, name
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert good, name
        bodies = operation.get("requestBody", {}).get("content", {})
        assert len(bodies) <= 1, "generators make a broken call of several media types"
    assert '"nullable"' not in json.dumps(document), "is no word of OpenAPI 3.1"
