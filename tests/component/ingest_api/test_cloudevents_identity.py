"""What a producer says of a CloudEvent identifies it, and is in Kafka as it was said, in each mode."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import fastavro
import pytest

from tests.support.records import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from backbone.kafka.records import Message
    from tests.support.running_gateway import RunningGateway

EVENTS = "/headrace/v1/events"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
ATTRIBUTES = {
    "id": "8",
    "source": "/sensor/1",
    "subject": "A-1",
    "time": "2021-03-04T16:36:54.50+01:00",
    "dataschema": "https://example.com/schema",
    "region": "eu",
}


class Producer(NamedTuple):
    gateway: RunningGateway
    id: str
    http: httpx.Client

    def open_type(self, **members: Any) -> str:
        code = f"open-{uuid4().hex[:8]}"
        body = {"code": code, "open": True, **members}
        self.http.post("/headrace/v1/registrations", json=body).raise_for_status()
        return code

    def post(self, body: Any, **headers: str) -> httpx.Response:
        kind = BATCH if isinstance(body, list) else STRUCTURED
        return self.http.post(EVENTS, json=body, headers=kind | headers)

    def records(self, topic: str) -> list[Message]:
        return records_of(self.gateway.bootstrap, topic)

    def decoded(self, message: Message) -> dict[str, Any]:
        value = message.value() or b""
        path = f"/schema-registry/schemas/ids/{int.from_bytes(value[1:5], 'big')}"
        schema = json.loads(self.http.get(path).raise_for_status().json()["schema"])
        found = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def producer(gateway: RunningGateway) -> Iterator[Producer]:
    workspace = gateway.create_workspace()
    client_id, key = gateway.create_client(workspace, "producer", "operator")
    with gateway.client(key) as http:
        yield Producer(gateway, client_id, http)


def event(code: str, **members: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": code, "data": 1, **members}


def test_events_of_two_sources_are_two_events_with_one_id(producer: Producer) -> None:
    code = producer.open_type()
    one, other = (event(code, source=f"/sensor/{number}", id="8") for number in (1, 2))
    first, second = producer.post(one), producer.post(other)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["event_id"] != second.json()["event_id"]
    third = producer.post([one, other, event(code, source="/sensor/3", id="8")])
    assert third.status_code == 201
    assert [each["id"] for each in third.json()["events"][:2]] == [first.json()["id"], second.json()["id"]]
    assert producer.post(one).status_code == 200
    assert len(producer.records(first.json()["topic"])) == 3


def test_in_binary_mode_too(producer: Producer) -> None:
    code = producer.open_type()
    headers = {"ce-specversion": "1.0", "ce-type": code, "ce-id": "8", "content-type": "application/json"}
    answers = [
        producer.http.post(EVENTS, content=b"1", headers=headers | {"ce-source": source})
        for source in ("/1", "/2", "/1", producer.id)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200, 201]
    # Without a source it is the client.
    assert producer.http.post(EVENTS, content=b"1", headers=headers).status_code == 200


def test_a_batch_that_contradicts_itself_or_what_was_published_says_where(producer: Producer) -> None:
    code = producer.open_type()
    first = producer.post(event(code, source="/1", id="a")).json()
    answer = producer.post([event(code, id="b"), event(code, source="/1", id="a", data=2), event(code, id="c")])
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["errors"]] == ["$[1].id"]
    answer = producer.post([event(code, id="d"), event(code, id="e"), event(code, id="d", data=2)])
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["errors"]] == ["$[2].id"]
    answer = producer.post([event(code, source="/1", id="a", data=2)])
    assert (answer.status_code, [each["path"] for each in answer.json()["errors"]]) == (422, ["$[0].id"])
    answer = producer.post(event(code, source="/1", id="a", region="other"))
    assert (answer.status_code, [each["path"] for each in answer.json()["errors"]]) == (422, ["$.id"])
    assert len(producer.records(first["topic"])) == 1


@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
def test_kafka_has_every_attribute_as_it_was_sent(producer: Producer, mode: str) -> None:
    code = producer.open_type(namespace="shop")
    sent = {"type": f"shop/{code}", **ATTRIBUTES, "id": f"8 of {mode}"}
    if mode == "binary":
        headers = {f"ce-{name}": text for name, text in sent.items()} | {"content-type": "application/json; v=1"}
        answer = producer.http.post(EVENTS, content=b"1", headers=headers | {"ce-specversion": "1.0"})
        published = answer.raise_for_status().json()
    else:
        body = {"specversion": "1.0", **sent, "datacontenttype": "application/json; v=1", "n": 5, "data": 1}
        answer = producer.post([body] if mode == "batch" else body).raise_for_status()
        published = answer.json()["events"][0] if mode == "batch" else answer.json()
    (record,) = producer.records(published["topic"])
    headers = {name: value.decode() for name, value in record.headers() or []}
    expected = {f"ce_{name}": text for name, text in sent.items()}
    assert headers.items() >= expected.items()
    assert headers["ce_datacontenttype"] == "application/json; v=1"
    assert headers["content-type"] == "application/avro"
    assert (headers["ce_clientid"], headers["hr_event"]) == (producer.id, published["id"])
    value = producer.decoded(record)
    assert {name: value[name] for name in ("id", "source", "type", "subject", "dataschema")} == {
        name: sent[name] for name in ("id", "source", "type", "subject", "dataschema")
    }
    assert (value["event_id"], value["clientid"]) == (published["event_id"], producer.id)
    assert value["datacontenttype"] == "application/json; v=1"
    assert value["lexical"]["time"] == ATTRIBUTES["time"]
    assert value["identifiers"] == []
    numbers = {} if mode == "binary" else {"n": "5"}
    assert value["extensions"] == {"region": "eu"} | numbers
    assert ("extensions.n" in value["lexical"]) is (mode != "binary")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"subject": "a\nb"}, "$.subject"),
        ({"subject": "\ufdd0"}, "$.subject"),
        ({"id": "\x85"}, "$.id"),
        ({"source": "a b"}, "$.source"),
        ({"dataschema": "/relative"}, "$.dataschema"),
        ({"datacontenttype": "text"}, "$.datacontenttype"),
        ({"n": 2**31}, "$.n"),
        ({"clientid": "me"}, "$.clientid"),
    ],
)
def test_what_cloudevents_excludes_is_refused_where_it_is(producer: Producer, members: Any, path: str) -> None:
    answer = producer.post(event("anything", **members))
    assert answer.status_code == 400
    assert path in [each["path"] for each in answer.json()["errors"]]
    batch = producer.post([event("anything", **members)])
    assert batch.status_code == 400
    assert f"$[0]{path[1:]}" in [each["path"] for each in batch.json()["errors"]]


def test_a_dry_run_goes_by_the_filters_version(producer: Producer) -> None:
    code = producer.open_type()
    producer.post(event(code, source="/o", id="1")).raise_for_status()

    def matched(**members: Any) -> int:
        body = {"name": "f", "types": [{"code": code}], **members}
        found = producer.http.post("/headrace/v1/filters/dry-run", json=body).raise_for_status().json()
        (looked,) = found["events"]
        assert (looked["id"], looked["source"], looked["clientid"]) == ("1", "/o", producer.id)
        return int(found["matched"])

    assert matched(sources=["/o"]) == 1
    assert matched(sources=[producer.id]) == 0
    assert matched(version=1, sources=[producer.id]) == 1
    assert matched(version=1, sources=["/o"]) == 0
    assert matched(condition={"clientid": [producer.id], "source": [{"prefix": "/"}]}) == 1


def test_a_change_of_a_filter_keeps_its_version_unless_it_names_one(producer: Producer) -> None:
    filters = "/headrace/v1/filters"
    body = {"name": "f", "types": [{"code": "Offer"}], "condition": {"source": ["x"]}}
    assert producer.http.post(filters, json=body).raise_for_status().json()["version"] == 2
    stored = producer.http.post(filters, json=body | {"version": 1}).raise_for_status().json()
    path = f"{filters}/{stored['id']}"
    assert producer.http.patch(path, json={"name": "g"}).json()["version"] == 1
    refused = producer.http.patch(path, json={"condition": {"clientid": ["x"]}})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "$.condition.clientid")
    assert producer.http.patch(path, json={"condition": {"clientid": ["x"]}, "version": 2}).json()["version"] == 2
    assert producer.http.post(filters, json=body | {"version": 3}).status_code == 400
