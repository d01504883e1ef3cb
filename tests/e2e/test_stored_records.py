"""The records of an installation of the last version before the families had folders: they are read, and used."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from tests.support.credentials import crmls_token
from tests.support.eventhos_calls import EventhosClient, eventhos_on, named
from tests.support.running_gateway import running_gateway
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    import httpx

STORED = Path(__file__).with_name("records_of_before.json.gz")
"""Every record of a small installation of commit 06d1072, the last before the families had folders.

A client of each family published, and router, webhook connector and ledger ran. ``facts`` has the ids and keys.
"""

EVENT = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}
ORDER = {"specversion": "1.0", "id": "new", "type": "Order", "source": "/s", "data": {"total": 1}}
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}


def restored(bootstrap: str) -> dict[str, Any]:
    """Write the stored records; the facts about them."""
    stored = json.loads(gzip.decompress(STORED.read_bytes()))
    asyncio.run(ensure_internal_topics(Admin(KafkaSettings(bootstrap_servers=bootstrap))))
    events = [NewTopic(name, count, 1) for name, count in stored["partitions"].items() if name.startswith("events.")]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics(events).values():
        created.result(60)
    producer = Producer({"bootstrap.servers": bootstrap})

    def decoded(text: str | None) -> bytes | None:
        return None if text is None else base64.b64decode(text)

    for topic, partition, key, value, headers in stored["records"]:
        producer.produce(
            topic,
            decoded(value),
            decoded(key),
            partition,
            headers=[(name, decoded(text)) for name, text in headers],
        )
    assert producer.flush(60) == 0
    facts: dict[str, Any] = stored["facts"]
    return facts


def test_what_the_last_version_before_the_moves_stored_is_read(own_broker: str, tmp_path: Path) -> None:
    facts = restored(own_broker)
    with running_gateway(own_broker, tmp_path) as new, running_plane(own_broker, tmp_path, "ledger"):
        with new.client(facts["own"]) as http:
            endpoints = http.get("/headrace/v1/endpoints").raise_for_status().json()["items"]
            known = {each["name"]: each["id"] for each in endpoints if not each["name"].startswith("Envoy ")}
            assert known == {name: facts[name] for name in ("hook", "files", "socket")}
            large = http.get(f"/headrace/v1/filters/{facts['filter']}").raise_for_status().json()
            assert large["condition"] == {"data": {"total": [{"numeric": [">", 10]}]}}
            event = in_ledger(http, f"/headrace/v1/events/{facts['event1']}", "delivered")
            assert event["data"] == {"total": 50}
            (tried,) = [tried for delivery in event["deliveries"] for tried in delivery["tries"]]
            assert (tried["outcome"], tried["response"]) == ("delivered", "ok")
            small = in_ledger(http, f"/headrace/v1/events/{facts['event0']}", facts["event0"])
            reached = {delivery["endpoint"] for delivery in small["deliveries"]}
            assert reached.isdisjoint({facts["hook"], facts["files"]})
            http.post("/headrace/v1/events", json=ORDER, headers=CLOUDEVENT).raise_for_status()
        with new.client(crmls_token(new, facts["crmls"])) as http:
            posted = in_ledger(http, f"/api/app/events/{facts['crmls_event']}", facts["crmls_event"])
            assert posted["message"] == {"a": 1}
            assert http.post("/api/app/events", json=EVENT).status_code == 200
        with new.client(facts["exchange"]) as http:
            assert [each["code"] for each in http.get("/v1/eventtype").raise_for_status().json()] == ["viewed"]
        eventhos = eventhos_on(new)
        with eventhos.manager() as http:
            assert named(http, "/event", facts["eventhos_event_id"])["identifier"] == facts["eventhos_event"]
            named(http, "/contract", facts["contract"])
        sender = EventhosClient(id=0, client_id=facts["eventhos"][0], secret=facts["eventhos"][1])
        sent = eventhos.send(facts["eventhos_event"], eventhos.token_of(sender))
        assert sent.json()["code"] == 200000
        with new.client(facts["envoy"]) as http:
            assert http.get("/events/connection_token").raise_for_status().json()["token"]
        with new.client(facts["graphql"]) as http:
            query = "{ endpoints { collectionItems { id } } }"
            answer = http.post("/event-service/graphql", json={"query": query}).raise_for_status().json()
            assert facts["socket"] in json.dumps(answer)


def in_ledger(http: httpx.Client, path: str, word: str) -> dict[str, Any]:
    """What a path shows, once the ledger has indexed that much."""
    deadline = time.monotonic() + 120
    while not ((answer := http.get(path)).is_success and word in answer.text):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    shown: dict[str, Any] = answer.json()
    return shown
