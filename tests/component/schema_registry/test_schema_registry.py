"""The registry over HTTP, asked by Confluent's own client and deserializer."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from fastapi import FastAPI

from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.view import CatalogView
from backbone.process.http_hosts import HttpHosts
from families.schema_registry.http import routes
from families.schema_registry.http.messages import MEDIA_TYPE
from schemas.avro.schema import schema_text
from schemas.avro.validation import EventWriter
from schemas.model.errors import Unavailable
from schemas.model.event import EventDraft
from schemas.model.event_type import Attribute, Compatibility, EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from families.schema_registry.settings import RegistrySettings

FIRST = (Attribute(name="total", type="Number"),)
SECOND = (*FIRST, Attribute(name="paidAt", type="Time"))
MISSING = "events.acme.events.Missing-value"
NESTED = '{"type": "array", "items": ' * 2_000 + '"string"' + "}" * 2_000


def order(attributes: tuple[Attribute, ...], schema_id: int) -> EventType:
    return EventType(
        workspace="acme",
        namespace="events",
        code="Order",
        attributes=attributes,
        effective_partitions=1,
        compatibility=Compatibility.FULL,
        schema_id=schema_id,
        created_at=0,
        updated_at=0,
    )


def text(attributes: tuple[Attribute, ...]) -> str:
    return schema_text(workspace="acme", namespace="events", code="Order", attributes=attributes)


TOPIC = order(FIRST, 1).topic
SUBJECT = order(FIRST, 1).subject
ODD_NAME = '{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}'
HUGE = '{"type":"fixed","name":"F","size":' + "1" * 5_000 + "}"
NUMBERED = text(FIRST).replace('"subject"', "7")


class Gateway:
    """One whose catalog gets the second version only once it is brought up to date."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(host="127.0.0.1", hosts=HttpHosts("127.0.0.1"))
        self._view = CatalogView()
        self._view.put(order(FIRST, 1), 0)
        self._view.put_schema(RegisteredSchema(1, SUBJECT, 1, text(FIRST)))
        self.failure: Exception | None = None

    def settings_of(self, kind: type[RegistrySettings]) -> RegistrySettings:
        return kind(open=True)

    async def view(self) -> CatalogView:
        if self.failure is not None:
            raise self.failure
        self._view.put_schema(RegisteredSchema(2, SUBJECT, 2, text(SECOND)))
        return self._view

    async def lookup(self, find: Callable[[CatalogView], Any]) -> Any:
        found = find(self._view)
        return find(await self.view()) if found is None else found


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FastAPI, str]]:
    """One server for all tests: each gives it a gateway of its own."""
    app = FastAPI(openapi_url=None)
    app.include_router(routes.router)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield app, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/schema-registry"
    server.should_exit = True
    thread.join()


@pytest.fixture
def gateway(served: tuple[FastAPI, str]) -> Gateway:
    app, _ = served
    app.state.gateway = found = Gateway()
    return found


@pytest.fixture
def url(served: tuple[FastAPI, str], gateway: Gateway) -> str:
    return served[1]


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as client:
        yield client


def test_the_avro_deserializer_reads_an_event(client: SchemaRegistryClient) -> None:
    draft = EventDraft(
        workspace="acme",
        namespace="events",
        code="Order",
        client="shop-1",
        publisher="shop-1",
        data=b'{"total": 125.50, "paidAt": "2021-03-04T16:36:54.591Z"}',
    )
    value, _ = EventWriter(order(SECOND, 2), None).write(draft, event_id="e1", received_at=1)
    read = AvroDeserializer(client)(value, SerializationContext(TOPIC, MessageField.VALUE))
    assert read["id"] == "e1"
    assert read["data"]["total"] == 125.5
    assert read["data"]["paidAt"].isoformat() == "2021-03-04T16:36:54.591000+00:00"


@pytest.mark.parametrize("options", [{"auto.register.schemas": True}, {"auto.register.schemas": False}])
def test_the_avro_serializer_finds_a_schema_that_is_registered(
    client: SchemaRegistryClient, options: dict[str, Any]
) -> None:
    serializer = AvroSerializer(client, text(FIRST), conf=options)
    event = {
        "id": "e",
        "type": "Order",
        "source": "s",
        "subject": None,
        "time": 1,
        "received_at": 1,
        "channel": None,
        "identifiers": [],
        "data": {"total": 1.0},
        "lexical": None,
    }
    value = serializer(event, SerializationContext(TOPIC, MessageField.VALUE))
    assert value is not None
    assert value[:5] == b"\x00\x00\x00\x00\x01"


def test_the_serializer_may_use_the_latest_version(client: SchemaRegistryClient) -> None:
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    assert AvroSerializer(client, text(FIRST), conf=conf) is not None
    assert client.get_latest_version(SUBJECT).schema_id == 2


def test_reads_of_the_client(client: SchemaRegistryClient) -> None:
    assert client.get_subjects() == [SUBJECT]
    second = client.get_schema(2)
    assert json.loads(str(second.schema_str)) == json.loads(text(SECOND))
    assert client.get_versions(SUBJECT) == [1, 2]
    latest = client.get_latest_version(SUBJECT)
    assert (latest.schema_id, latest.version, latest.subject) == (2, 2, SUBJECT)
    assert client.get_version(SUBJECT, 1).schema_id == 1
    assert client.lookup_schema(SUBJECT, Schema(text(FIRST), "AVRO")).version == 1
    assert client.get_compatibility() == "BACKWARD"
    assert client.get_compatibility(SUBJECT) == "FULL"
    assert client.get_global_mode() == "READONLY"
    assert client.get_mode(SUBJECT) == "READONLY"
    assert client.get_referenced_by(SUBJECT, 1) == []
    assert client.get_contexts() == ["."]


def test_a_schema_may_be_tried_out(client: SchemaRegistryClient) -> None:
    assert client.test_compatibility(SUBJECT, Schema(text(SECOND), "AVRO"))
    changed = text((Attribute(name="total", type="String"),))
    assert not client.test_compatibility(SUBJECT, Schema(changed, "AVRO"), version="1")
    assert not client.test_compatibility_all_versions(SUBJECT, Schema(changed, "AVRO"))


def test_a_lookup_does_not_mind_how_the_schema_is_printed(client: SchemaRegistryClient) -> None:
    printed = json.dumps(json.loads(text(FIRST)), indent=2, sort_keys=True)
    assert client.lookup_schema(SUBJECT, Schema(printed, "AVRO")).schema_id == 1


@pytest.mark.parametrize("route", ["subjects/{}", "subjects/{}/versions"])
def test_schemas_are_equal_by_their_canonical_form(url: str, route: str) -> None:
    respelled = json.loads(text(FIRST))
    respelled["doc"] = "Of this client."
    respelled["name"] = f"{respelled.pop('namespace')}.{respelled['name']}"
    for field in respelled["fields"]:
        if isinstance(field["type"], str):
            field["type"] = {"type": field["type"]}
    found = httpx.post(f"{url}/{route.format(SUBJECT)}?normalize=true", json={"schema": json.dumps(respelled)})
    assert (found.status_code, found.json()["id"]) == (200, 1)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/schemas/ids/99", None, 404, 40403),
        ("GET", "/schemas/ids/99/schema", None, 404, 40403),
        ("GET", "/schemas/ids/invalid", None, 404, 404),
        ("GET", "/schemas/ids/1.5", None, 404, 404),
        ("GET", f"/schemas/ids/{'9' * 5_000}", None, 404, 404),
        ("GET", "/schemas/ids/9999999999", None, 404, 40403),
        ("GET", "/schemas/ids/-1/versions", None, 404, 40403),
        ("GET", "/subjects/a%2Fb/versions", None, 404, 40401),
        ("GET", "/subjects/a%2fb%2F/versions/1", None, 404, 40401),
        ("GET", "/subjects/a/b/versions", None, 404, 404),
        ("GET", "/config/a%2Fb", None, 404, 40408),
        ("POST", f"/subjects/{SUBJECT}", {"schema": '{"type":"nope"}'}, 422, 42201),
        ("POST", f"/subjects/{MISSING}", {"schema": '{"type":"nope"}'}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": '{"type":"nope"}'}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": '"string"', "references": [{"name": "a"}]}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", {"schema": HUGE}, 422, 42201),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions", {"schema": ODD_NAME}, 422, 42201),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions/latest", {"schema": ODD_NAME}, 422, 42201),
        ("GET", "/subjects?deletedOnly=maybe", None, 422, 422),
        ("GET", f"/subjects/{MISSING}/versions", None, 404, 40401),
        ("GET", f"/subjects/{MISSING}/versions/latest", None, 404, 40401),
        ("GET", f"/subjects/{SUBJECT}/versions/9", None, 404, 40402),
        ("GET", f"/subjects/{SUBJECT}/versions/0", None, 422, 42202),
        ("GET", f"/subjects/{SUBJECT}/versions/newest", None, 422, 42202),
        ("GET", f"/subjects/{SUBJECT}/versions/{2**31}", None, 422, 42202),
        ("GET", f"/subjects/{SUBJECT}/versions/{'9' * 5_000}", None, 422, 42202),
        ("GET", f"/config/{MISSING}", None, 404, 40408),
        ("POST", f"/subjects/{MISSING}", {"schema": '"string"'}, 404, 40401),
        ("POST", f"/subjects/{SUBJECT}", {"schema": '"string"'}, 404, 40403),
        ("POST", f"/subjects/{SUBJECT}", {"schema": "{"}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", {"schema": 5}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", {"schema": "", "schemaType": None}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", {"schema": "{}", "schemaType": "PROTOBUF"}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": '"string"'}, 422, 42205),
        ("POST", f"/subjects/{MISSING}/versions", {"schema": '"string"'}, 422, 42205),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions/1", {"schema": '{"type": "enum"}'}, 422, 42201),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions/1", {"schema": "[" * 50_000}, 422, 42201),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions/1", {"schema": NESTED}, 422, 42201),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions", {"schema": NUMBERED}, 422, 42201),
        ("PUT", "/config", {"compatibility": "NONE"}, 422, 42205),
        ("PATCH", "/config", {"compatibility": "NONE"}, 422, 42205),
        ("PUT", f"/mode/{SUBJECT}", {"mode": "READWRITE"}, 422, 42205),
        ("DELETE", f"/subjects/{SUBJECT}", None, 422, 42205),
        ("GET", "/exporters", None, 404, 404),
    ],
)
def test_errors_have_the_registrys_shape(
    url: str, *, method: str, path: str, body: Any, status: int, code: int
) -> None:
    response = httpx.request(method, url + path, json=body)
    assert (response.status_code, response.json()["error_code"]) == (status, code)
    assert response.json()["message"]
    assert response.headers["content-type"] == MEDIA_TYPE


def test_a_body_that_is_nested_too_deep_is_refused(url: str) -> None:
    body = b'{"schema": "{}", "more": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    response = httpx.post(f"{url}/subjects/{SUBJECT}", content=body)
    assert (response.status_code, response.json()["error_code"]) == (422, 42201)


def test_the_client_understands_the_errors(client: SchemaRegistryClient) -> None:
    with pytest.raises(SchemaRegistryError) as refused:
        client.get_schema(99)
    assert (refused.value.http_status_code, refused.value.error_code) == (404, 40403)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {}),
        ("", {}),
        (f"/mode/{SUBJECT}", {"mode": "READONLY"}),
        ("/schemas/types", ["AVRO"]),
        ("/config/", {"compatibilityLevel": "BACKWARD"}),
        (f"/config/{SUBJECT}/", {"compatibilityLevel": "FULL"}),
        ("/subjects/", [SUBJECT]),
        (f"/subjects/{SUBJECT}/versions/", [1, 2]),
        ("/mode/", {"mode": "READONLY"}),
        ("/subjects?deletedOnly=true", []),
        ("/subjects?deleted=true&limit=1&offset=0", [SUBJECT]),
        ("/subjects?offset=1", []),
        ("/subjects?subjectPrefix=:*:events.acme", [SUBJECT]),
        (f"/subjects/{SUBJECT}/versions?deletedOnly=true", []),
        (f"/subjects/{SUBJECT}/versions?deleted=true&deletedAsNegative=true", [1, 2]),
        (f"/subjects/{SUBJECT}/versions?offset=1&limit=1", [2]),
        ("/schemas/ids/1?fetchMaxId=true", {"schema": text(FIRST), "maxId": 2}),
        ("/schemas/ids/1?includeSubjects=true", {"schema": text(FIRST), "subjects": [SUBJECT]}),
        (
            "/schemas?latestOnly=true",
            [{"subject": SUBJECT, "version": 2, "id": 2, "schema": text(SECOND)}],
        ),
        ("/schemas?subjectPrefix=other", []),
        ("/schemas/ids/1/subjects?subject=other", []),
        ("/schemas/ids/1/versions", [{"subject": SUBJECT, "version": 1}]),
        ("/schemas/ids/1/subjects", [SUBJECT]),
        ("/schemas/ids/1?subject=x&fetchMaxId=false", {"schema": text(FIRST)}),
        ("/schemas/ids/1/schema", json.loads(text(FIRST))),
        (f"/subjects/{SUBJECT}/versions/-1/schema", json.loads(text(SECOND))),
        (f"/subjects/{SUBJECT}/versions/1", {"subject": SUBJECT, "version": 1, "id": 1, "schema": text(FIRST)}),
        ("/subjects?subjectPrefix=events.other.", []),
        (f"/config/{MISSING}?defaultToGlobal=true", {"compatibilityLevel": "BACKWARD"}),
    ],
)
def test_what_other_tools_read(url: str, path: str, expected: Any) -> None:
    response = httpx.get(url + path)
    assert response.status_code == 200
    assert response.json() == expected
    assert response.headers["content-type"] == MEDIA_TYPE


def test_why_a_schema_could_not_follow(url: str) -> None:
    body = {"schema": text((Attribute(name="total", type="String"),)), "unknown": "field"}
    response = httpx.post(f"{url}/compatibility/subjects/{SUBJECT}/versions/latest?verbose=true", json=body)
    assert response.json()["is_compatible"] is False
    assert response.json()["messages"][0].startswith("$.data.total: changes from Number to String")


@pytest.mark.parametrize("path", ["/schemas/ids/2", "/subjects", f"/subjects/{SUBJECT}/versions/latest"])
def test_kafka_gone_is_a_503_with_retry_after(url: str, gateway: Gateway, path: str) -> None:
    gateway.failure = Unavailable("Kafka is gone", retry_after=3)
    response = httpx.get(url + path)
    assert (response.status_code, response.json()["error_code"]) == (503, 50003)
    assert response.headers["retry-after"] == "3"


def test_what_a_deserializer_has_asked_for_is_there_without_kafka(url: str, gateway: Gateway) -> None:
    gateway.failure = Unavailable("Kafka is gone")
    assert httpx.get(f"{url}/schemas/ids/1").json() == {"schema": text(FIRST)}


def test_a_failure_of_our_own_has_the_registrys_shape(url: str, gateway: Gateway) -> None:
    gateway.failure = ZeroDivisionError("a secret of the inside")
    response = httpx.get(f"{url}/schemas/ids/2")
    assert (response.status_code, response.json()["error_code"]) == (500, 50001)
    assert "secret" not in response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    assert httpx.get(f"{url}/schemas/ids/1").status_code == 200
