"""What a key costs a publish of one event: CPU in microseconds, and the time until it is answered.

``KAFKA_BOOTSTRAP_SERVERS=host:port python -m tests.perf.keyed_publish [a second] [seconds]`` publishes single events at
a fixed rate, in turn without and with a key, and counts those that were refused.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import uuid

from backbone.catalog.accounts import Accounts
from backbone.catalog.event_types import EventTypes
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from backbone.publishing.idempotency import IdempotencyKey, IdempotencyLog
from backbone.publishing.publisher import Publisher
from schemas.model.access import Role
from schemas.model.errors import Unavailable
from schemas.model.event import EventDraft
from tests.support.running_gateway import SECRET_KEYS

_SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


async def measure(publisher: Publisher, draft: EventDraft, *, keyed: bool, rate: int, seconds: int) -> None:
    """Print one row."""
    taken: list[float] = []
    refused = 0

    async def one() -> None:
        nonlocal refused
        key = IdempotencyKey(draft.publisher, str(uuid.uuid4()), b"body") if keyed else None
        began = time.perf_counter()
        try:
            await publisher.publish([draft], key=key)
        except Unavailable:
            refused += 1
        taken.append(time.perf_counter() - began)

    thread, process = time.thread_time(), time.process_time()
    began, tasks = time.perf_counter(), []
    for tick in range(seconds * 100):
        tasks += [asyncio.create_task(one()) for _ in range(rate // 100)]
        await asyncio.sleep(max(0.0, began + (tick + 1) / 100 - time.perf_counter()))
    await asyncio.gather(*tasks)
    count = len(taken) / 1e6
    thread, process = (time.thread_time() - thread) / count, (time.process_time() - process) / count
    quantiles = statistics.quantiles([1_000 * each for each in taken], n=100)
    sys.stdout.write(
        f"{'with a key' if keyed else 'without':12} loop {thread:6.0f}  process {process:6.0f} µs   "
        f"p50 {quantiles[49]:6.1f}  p99 {quantiles[98]:7.1f} ms   refused {refused} of {len(taken)}\n"
    )


async def main(rate: int, seconds: int) -> None:
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
    await EventTypes(catalog, writer, admin).register(client, workspace.name, "events", "Order", open=True)
    publisher = Publisher(catalog, producer, idempotency)
    draft = EventDraft(
        workspace=workspace.name,
        namespace="events",
        code="Order",
        client=client.id,
        publisher=client.unique_id,
        data=b'{"orderId":"o-1"}',
    )
    for keyed in (False, True) * 3:
        await measure(publisher, draft, keyed=keyed, rate=rate, seconds=seconds)
    await producer.stop()
    for part in (idempotency, writer, catalog):
        await asyncio.to_thread(part.stop)


if __name__ == "__main__":
    asyncio.run(main(*(int(each) for each in (*sys.argv[1:], *("1000", "5")[len(sys.argv) - 1 :]))))
