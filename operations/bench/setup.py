"""What the stages set up over our own API, and what they read back from Kafka."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operations.bench.rig import Rig

PARTITIONS = 2
_TIMEOUT = 120.0
_BATCH = 1_000


@dataclass(frozen=True, kw_only=True)
class Producer:
    """A client that may publish the event type: its API key, and the type's topic."""

    key: str
    topic: str


def order_type(rig: Rig, code: str = workload.CODE) -> Producer:
    """A client with a key, registered to publish the workload's event type under ``code``."""
    client = rig.call("POST", "/headrace/v1/clients", {"name": "bench", "roles": ["producer"]})
    key = rig.call("POST", f"/headrace/v1/clients/{client['id']}/keys")["key"]
    registration = {"code": code, "attributes": workload.ATTRIBUTES, "partitions": PARTITIONS}
    return Producer(key=key, topic=rig.call("POST", "/headrace/v1/registrations", registration, key)["topic"])


def subscribe(rig: Rig, url: str, code: str, condition: dict[str, object] | None) -> None:
    """A webhook endpoint linked to a filter on one event type."""
    endpoint = rig.call("POST", "/headrace/v1/endpoints", {"name": "bench", "url": url, "max_in_flight": 64})
    event_filter = rig.call(
        "POST", "/headrace/v1/filters", {"name": "bench", "types": [{"code": code}], "condition": condition}
    )
    rig.call("POST", "/headrace/v1/subscriptions", {"filter": event_filter["id"], "endpoint": endpoint["id"]})


def fill(rig: Rig, producer: Producer, code: str, events: int, *, batch: int = _BATCH) -> None:
    """Publish the workload through the HTTP plane under ``code``, one batch after the other on one connection."""
    target = urlsplit(rig.base_url)
    connection = HTTPConnection(target.hostname or "", target.port, timeout=30)
    headers = {"Authorization": f"Bearer {producer.key}", "Content-Type": "application/cloudevents-batch+json"}
    for first in range(0, events, batch):
        body = workload.batch(first, batch).replace(workload.CODE.encode(), code.encode())
        connection.request("POST", "/headrace/v1/events", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != HTTPStatus.CREATED:
            raise CannotStart(f"A batch was answered {response.status}: {answer[:500]!r}")
    connection.close()


def schema_of(rig: Rig, topic: str) -> str:
    """The latest Avro schema of a topic's values, as JSON text."""
    url = f"{rig.base_url}/schema-registry/subjects/{topic}-value/versions/latest/schema"
    with urlopen(url, timeout=10) as response:  # noqa: S310  # our own server on loopback
        text: str = response.read().decode()
    return text


def schema_path(rig: Rig, topic: str) -> str:
    """The path under which deserializers ask for the latest schema of a topic's values."""
    url = f"{rig.base_url}/schema-registry/subjects/{topic}-value/versions/latest"
    with urlopen(url, timeout=10) as response:  # noqa: S310  # our own server on loopback
        return f"/schema-registry/schemas/ids/{json.load(response)['id']}"


def first_value(rig: Rig, topic: str) -> bytes:
    """The value of the first record of a topic."""
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=rig.bootstrap), group=None)
    try:
        consumer.assign(dict.fromkeys(consumer.partitions_of([topic]), 0))
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            for message in consumer.consume(1, 1.0):
                return message.value() or b""
    finally:
        consumer.close()
    raise CannotStart(f"{topic} is empty.")


def records(rig: Rig, topics: Iterable[str]) -> int:
    """How many offsets the topics have used."""
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=rig.bootstrap), group=None)
    try:
        return sum(consumer.end_offsets(consumer.partitions_of(list(topics))).values())
    finally:
        consumer.close()


def wait_until_routed(rig: Rig, topic: str, group: str, *, seconds: float = _TIMEOUT) -> None:
    """Return once a consumer group has committed the end of every partition of a topic."""
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=rig.bootstrap), group=group)
    try:
        partitions = consumer.partitions_of([topic])
        ends = consumer.end_offsets(partitions)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            committed = consumer.committed(partitions)
            # What ends a partition that was written in transactions is a marker: no reader of records commits past it.
            if all((committed[partition] or 0) >= ends[partition] - 1 for partition in partitions):
                return
            time.sleep(0.02)
    finally:
        consumer.close()
    raise CannotStart(f"{group} did not reach the end of {topic} within {seconds:.0f} s.")
