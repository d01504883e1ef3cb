"""What one event of a batch costs in the publisher, in microseconds of CPU.

``KAFKA_BOOTSTRAP_SERVERS=host:port python -m tests.perf.publish_cost`` publishes typed events of ten attributes: as
they are, with a number whose spelling must be kept, with one idempotency key per batch, and with an id of the
producer's own on each event. The first row is the yardstick: producing such records, already encoded.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.accounts import Accounts
from backbone.catalog.event_types import EventTypes
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from backbone.publishing.idempotency import IdempotencyKey, IdempotencyLog
from backbone.publishing.publisher import Publisher
from schemas.model.access import Role
from schemas.model.event import EventDraft
from schemas.model.event_type import Attribute
from schemas.model.topics import event_topic
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1_000
ROUNDS = 40
_SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
_HEADERS = [(f"ce_{name}", b"0" * 24) for name in ("id", "source", "type", "time", "subject", "extra", "more")]
_TYPES = ("String", "String", "String", "Number", "Number", "Number", "Boolean", "Time", "integer", "String")


def data(number: int) -> bytes:
    """A payload of ten attributes."""
    values = (f"order-{number}", "EUR", "open", number, 12.5, 0.25, True, "2026-11-21T03:00:00Z", number, "note")
    return msgspec.json.encode({f"attribute{index}": value for index, value in enumerate(values)})


async def measure(name: str, publish: Callable[[int], asyncio.Future[Any]]) -> None:
    """Print thread and process CPU per event."""
    await publish(-1)
    thread, process, wall = time.thread_time(), time.process_time(), time.perf_counter()
    for number in range(ROUNDS):
        await publish(number)
    count = ROUNDS * SIZE / 1e6
    thread, process = (time.thread_time() - thread) / count, (time.process_time() - process) / count
    wall = (time.perf_counter() - wall) / count
    sys.stdout.write(f"{name:24}  loop {thread:6.2f}  process {process:6.2f}  wall {wall:6.2f} µs per event\n")


async def main() -> None:
    """Print the table."""
    kafka = KafkaSettings()
    admin = Admin(kafka)
    await ensure_internal_topics(admin)
    catalog, producer = Catalog(kafka, [SECRET_KEYS]), Producer(kafka)
    writer, idempotency = CatalogWriter(catalog, kafka), IdempotencyLog(kafka, producer)
    catalog.start()
    writer.start()
    idempotency.start()
    await producer.start()
    await catalog.caught_up()
    accounts = Accounts(catalog, writer, SecretBox([_SECRET]))
    workspace = await accounts.create_workspace(f"ws-{uuid.uuid4()}")
    client = await accounts.create_client(workspace.name, "bench", roles=[Role.PRODUCER])
    attributes = [Attribute(name=f"attribute{index}", type=kind) for index, kind in enumerate(_TYPES)]
    await EventTypes(catalog, writer, admin).register(
        client, workspace.name, "events", "Order", attributes=attributes, partition_key="data.attribute0", partitions=8
    )
    publisher = Publisher(catalog, producer, idempotency)
    workspace_topic = event_topic(workspace.name, "events", "Order")

    def draft(number: int, producer_id: str | None = None) -> EventDraft:
        return EventDraft(
            workspace=workspace.name,
            namespace="events",
            code="Order",
            client=client.id,
            publisher=client.unique_id,
            data=data(number),
            subject="order",
            producer_id=producer_id,
        )

    plain = [draft(number) for number in range(SIZE)]
    records = [
        Record(workspace_topic, b"x" * 250, str(number).encode(), _HEADERS, number % 8) for number in range(SIZE)
    ]
    await measure("bare Producer.send", lambda _: producer.send(records))
    spelled = [msgspec.structs.replace(each, data=(each.data or b"").replace(b"12.5", b"12.50")) for each in plain]
    named = [[draft(number, f"{batch}-{number}") for number in range(SIZE)] for batch in range(-1, ROUNDS)]
    key = IdempotencyKey(client.unique_id, "", b"")
    await measure("no key", lambda _: asyncio.ensure_future(publisher.publish(plain)))
    await measure("a number as 12.50", lambda _: asyncio.ensure_future(publisher.publish(spelled)))
    await measure(
        "one key per batch",
        lambda number: asyncio.ensure_future(
            publisher.publish(plain, key=msgspec.structs.replace(key, key=str(number)))
        ),
    )
    await measure("an id on each event", lambda number: asyncio.ensure_future(publisher.publish(named[number + 1])))
    await producer.stop()
    for part in (idempotency, writer, catalog):
        await asyncio.to_thread(part.stop)


if __name__ == "__main__":
    asyncio.run(main())
