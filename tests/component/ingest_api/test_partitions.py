"""What operators change about topics and groups, over HTTP: partitions, retention, offsets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.model import topics
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"
TOPICS, GROUPS = f"{V1}/operations/topics", f"{V1}/operations/groups"
EVENT = {"specversion": "1.0", "type": "Bid", "data": {"key": "a"}}
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}


class Place:
    """A workspace with an event type of three partitions."""

    def __init__(self, gateway: RunningGateway, http: httpx.Client, workspace: str) -> None:
        self.gateway = gateway
        self.http = http
        self.workspace = workspace
        self.topic = event_topic(workspace, "events", "Bid")
        body = {"code": "Bid", "attributes": [{"name": "key", "type": "String"}], "partitions": 3}
        http.post(f"{V1}/event-types", json=body | {"partition_key": "data.key"}).raise_for_status()

    def grow(self, **body: Any) -> httpx.Response:
        return self.http.post(f"{TOPICS}/{self.topic}/partitions", json=body)

    def reset(self, group: str, body: dict[str, Any], http: httpx.Client | None = None) -> httpx.Response:
        """Repeat a request that Kafka does not answer in time, as it happens on a busy machine."""
        answer = (http or self.http).post(f"{GROUPS}/{group}/offsets", json=body)
        for _ in range(20):
            if answer.status_code != 503:
                break
            answer = (http or self.http).post(f"{GROUPS}/{group}/offsets", json=body)
        return answer

    def publish(self) -> httpx.Response:
        return self.http.post(f"{V1}/events", json=EVENT, headers=CLOUDEVENT)


@pytest.fixture
def place(gateway: RunningGateway) -> Iterator[Place]:
    workspace = gateway.create_workspace()
    with gateway.client(params={"workspace": workspace}) as http:
        yield Place(gateway, http, workspace)


def test_a_preview_says_what_moves_and_changes_nothing(place: Place) -> None:
    kept = place.grow(partitions=12, dry_run=True)
    moved = place.grow(partitions=4, order="as_is", dry_run=True)

    assert (kept.status_code, moved.status_code) == (200, 200)
    assert kept.json()["moved_share"] == moved.json()["moved_share"] == 0.75
    assert kept.json()["frozen"]["at_least"] == pytest.approx(2 * 11 + 120 + 15)
    assert moved.json()["frozen"] is None
    assert "may overtake" in " ".join(moved.json()["notes"])
    assert place.http.get(f"{TOPICS}/{place.topic}/growth").status_code == 404
    assert place.http.get(f"{V1}/event-types/events/Bid").json()["effective_partitions"] == 3


def test_nothing_is_published_while_a_topic_grows_in_order(place: Place) -> None:
    place.publish().raise_for_status()
    first, again = place.grow(partitions=12), place.grow(partitions=12)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert place.http.get(f"{TOPICS}/{place.topic}/growth").json()["state"] == "FREEZING"
    refused = place.publish()
    assert refused.status_code == 503
    assert "partitions" in refused.json()["detail"]
    assert 100 < int(refused.headers["Retry-After"]) <= 2 * 11 + 120 + 15
    assert place.grow(partitions=9).status_code == 409
    keyed = place.http.patch(f"{TOPICS}/{place.topic}", json={"partition_key": "source"})
    assert (keyed.status_code, "grows" in keyed.json()["detail"]) == (409, True)
    patched = place.http.patch(f"{V1}/event-types/events/Bid", json={"partitions": 9})
    assert (patched.status_code, "grows" in patched.json()["detail"]) == (409, True)
    cancelled = place.http.post(f"{TOPICS}/{place.topic}/growth/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "ROLLED_BACK")
    assert cancelled.json() == place.http.get(f"{TOPICS}/{place.topic}/growth").json()
    assert place.publish().status_code == 201
    assert place.http.post(f"{TOPICS}/{place.topic}/growth/cancel").status_code == 409
    place.http.delete(f"{V1}/event-types/events/Bid").raise_for_status()
    assert place.http.get(f"{TOPICS}/{place.topic}/growth").status_code == 404


def test_a_topic_grows_at_once_where_order_is_not_kept(place: Place) -> None:
    grown = place.grow(partitions=4, order="as_is")

    assert (grown.status_code, grown.json()["state"]) == (202, "DONE")
    assert place.http.get(f"{V1}/event-types/events/Bid").json()["effective_partitions"] == 4
    fewer = place.grow(partitions=4, order="as_is")
    assert (fewer.status_code, "never fewer" in fewer.json()["detail"]) == (409, True)
    assert place.publish().status_code == 201


def test_topics_of_headrace_refuse_or_grow_as_is(place: Place) -> None:
    _, key = place.gateway.create_client(place.workspace, "operator")
    with place.gateway.client() as admin, place.gateway.client(key) as operator:
        for topic in (topics.WEBSOCKET_DELIVERIES, topics.IDEMPOTENCY, topics.CATALOG, topics.WEBHOOK_REPLAYS):
            refused = admin.post(f"{TOPICS}/{topic}/partitions", json={"partitions": 20, "order": "as_is"})
            assert (refused.status_code, "cannot grow" in refused.json()["detail"]) == (409, True)
        body = {"partitions": 20, "order": "as_is", "dry_run": True}
        assert operator.post(f"{TOPICS}/{topics.ATTEMPTS}/partitions", json=body).status_code == 403
        assert admin.post(f"{TOPICS}/nothing/partitions", json=body).status_code == 404
        told = admin.post(f"{TOPICS}/{topics.WEBHOOK_DELIVERIES}/partitions", json=body).json()
        assert "another order" in told["notes"][0]
        kept = admin.post(f"{TOPICS}/{topics.ATTEMPTS}/partitions", json={"partitions": 20})
        assert (kept.status_code, "as_is only" in kept.json()["detail"]) == (409, True)


def test_a_growth_is_read_by_who_reads_the_workspace(place: Place) -> None:
    place.grow(partitions=4, order="as_is").raise_for_status()
    statuses = {}
    for role in ("producer", "subscriber", "viewer", "operator", "admin"):
        _, key = place.gateway.create_client(place.workspace, role)
        with place.gateway.client(key) as http:
            statuses[role] = http.get(f"{TOPICS}/{place.topic}/growth").status_code
    _, key = place.gateway.create_client(place.gateway.create_workspace(), "operator")
    with place.gateway.client(key) as elsewhere:
        assert elsewhere.get(f"{TOPICS}/{place.topic}/growth").status_code == 404
    assert statuses == {"producer": 403, "subscriber": 403, "viewer": 200, "operator": 200, "admin": 200}


def test_how_a_topic_is_kept_is_changed_and_said(place: Place) -> None:
    path = f"{TOPICS}/{place.topic}"
    place.publish().raise_for_status()
    for wrong, status in ({"partition_key": "data.nothing"}, 409), ({"partition_key": "nothing"}, 400):
        assert place.http.patch(path, json=wrong).status_code == status
    keyed = place.http.patch(path, json={"partition_key": None, "dry_run": True}).raise_for_status().json()
    assert (keyed["before"]["partition_key"], keyed["after"]["partition_key"]) == ("data.key", None)
    assert (keyed["lost_records"], "may overtake" in keyed["notes"][0]) == ({}, True)
    place.http.patch(path, json={"partition_key": "source"}).raise_for_status()
    assert place.http.get(f"{V1}/event-types/events/Bid").json()["partition_key"] == "source"
    asked = place.http.patch(path, json={"retention_seconds": 3_600, "dry_run": True}).raise_for_status().json()
    assert (asked["before"]["retention_seconds"], asked["after"]["retention_seconds"]) == (14 * 86_400, 3_600)
    assert asked["lost_records"] == {}
    place.http.patch(path, json={"retention_seconds": 3_600}).raise_for_status()
    compacted = place.http.patch(path, json={"compacted": True}).raise_for_status().json()
    assert compacted["before"] == {"retention_seconds": 3_600, "compacted": False, "partition_key": "source"}
    assert place.http.patch(path, json={"partition_key": "data.key"}).status_code == 409
    assert place.http.get(f"{V1}/event-types/events/Bid").json()["compacted"] is True
    assert place.http.patch(path, json={"retention_seconds": 3_600}).status_code == 409
    assert place.http.patch(path, json={"dry_run": True}).status_code == 400
    assert place.http.patch(f"{TOPICS}/{topics.ATTEMPTS}", json={"retention_seconds": 3_600}).status_code == 404


def test_a_topic_that_was_deleted_in_kafka_is_made_again(place: Place) -> None:
    kafka = AdminClient({"bootstrap.servers": place.gateway.bootstrap})
    kafka.delete_topics([place.topic])[place.topic].result(60)
    deadline = time.monotonic() + 60
    while place.topic in kafka.list_topics(timeout=30).topics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    place.http.post(f"{V1}/event-types", json={"code": "Bid"}).raise_for_status()
    assert len(kafka.list_topics(timeout=30).topics[place.topic].partitions) == 3


def test_offsets_are_reset_only_while_nobody_reads(place: Place) -> None:
    for _ in range(3):
        place.publish().raise_for_status()
    group = f"team/{uuid4()}"
    config = {"bootstrap.servers": place.gateway.bootstrap, "group.id": group, "client.id": "the-reader"}
    reader = Consumer(config | {"auto.offset.reset": "earliest", "enable.auto.commit": False})
    reader.subscribe([place.topic])
    read = reader.consume(3, 60)
    assert len(read) == 3
    number, end = read[-1].partition(), (read[-1].offset() or 0) + 1
    reader.commit(offsets=[TopicPartition(place.topic, number or 0, end)], asynchronous=False)
    body = {"to": {"shift": -2}}

    busy = place.reset(group, body)
    assert (busy.status_code, "the-reader at" in busy.json()["detail"]) == (409, True)
    reader.close()
    asked = place.reset(group, body | {"dry_run": True}).raise_for_status().json()
    mine = next(each for each in asked["partitions"] if each["partition"] == number)
    assert (mine["before"], mine["after"], mine["end_offset"]) == (end, end - 2, end)
    assert place.reset(group, body | {"partitions": [9]}).status_code == 404
    one = place.reset(group, body | {"partitions": [number]}).raise_for_status().json()
    assert [each["partition"] for each in one["partitions"]] == [number]
    again = place.reset(group, {"to": {"latest": True}, "dry_run": True}).json()
    assert next(each for each in again["partitions"] if each["partition"] == number)["before"] == end - 2

    _, key = place.gateway.create_client(place.gateway.create_workspace(), "operator")
    with place.gateway.client(key) as elsewhere:
        assert place.reset(group, body, elsewhere).status_code == 404
    _, key = place.gateway.create_client(place.workspace, "subscriber")
    with place.gateway.client(key) as subscriber:
        assert subscriber.post(f"{GROUPS}/{group}/offsets", json=body).status_code == 403


def test_groups_of_headrace_are_refused_with_the_reason(place: Place) -> None:
    body = {"to": {"earliest": True}, "topics": [place.topic], "dry_run": True}
    for group in ("headrace-router", "headrace-webhook", "headrace-file", "headrace-anything"):
        refused = place.http.post(f"{GROUPS}/{group}/offsets", json=body)
        assert (refused.status_code, "are not reset" in refused.json()["detail"]) == (409, True)
    several = place.http.post(f"{GROUPS}/any/offsets", json={"to": {"earliest": True, "latest": True}})
    assert several.status_code == 400
