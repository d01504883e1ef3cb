"""A publisher on real Kafka, a topic to itself for each test, and further workers as other processes would be."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from backbone.catalog.accounts import Accounts
from backbone.catalog.event_types import EventTypes
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from backbone.publishing.idempotency import IdempotencyLog
from backbone.publishing.publisher import Publisher
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from schemas.model.access import Client, Role


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_bootstrap)


@pytest.fixture
async def admin(kafka: KafkaSettings) -> Admin:
    admin = Admin(kafka)
    await ensure_internal_topics(admin)
    return admin


TopicFactory = Callable[..., Awaitable[str]]


@pytest.fixture
def topic_factory(admin: Admin) -> TopicFactory:
    async def make(partitions: int = 1, **config: str) -> str:
        topic = f"test-{uuid.uuid4()}"
        await admin.ensure_topics([TopicSpec(topic, partitions, config)])
        return topic

    return make


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[Producer]:
    producer = Producer(kafka)
    await producer.start()
    yield producer
    await producer.stop()


@dataclass(frozen=True)
class Worker:
    """What one API process publishes with."""

    catalog: Catalog
    producer: Producer
    idempotency: IdempotencyLog
    publisher: Publisher


WorkerFactory = Callable[[], Awaitable[Worker]]


@pytest.fixture
async def worker_factory(kafka: KafkaSettings, admin: Admin) -> AsyncIterator[WorkerFactory]:
    assert admin
    workers: list[Worker] = []

    async def make() -> Worker:
        catalog, producer = Catalog(kafka, [SECRET_KEYS]), Producer(kafka)
        idempotency = IdempotencyLog(kafka, producer)
        worker = Worker(catalog, producer, idempotency, Publisher(catalog, producer, idempotency))
        workers.append(worker)
        catalog.start()
        idempotency.start()
        await producer.start()
        await catalog.caught_up()
        # A broker that was used before has answers to read; a claim would wait for them, but not for long.
        await idempotency.caught_up(timeout=60)
        return worker

    yield make
    for worker in workers:
        await worker.producer.stop()
        await asyncio.to_thread(worker.idempotency.stop)
        await asyncio.to_thread(worker.catalog.stop)


@pytest.fixture
async def worker(worker_factory: WorkerFactory) -> Worker:
    return await worker_factory()


@dataclass(frozen=True)
class Tenant:
    """A workspace of the test's own, with the means to change it."""

    workspace: str
    accounts: Accounts
    event_types: EventTypes

    async def client(self, *roles: Role) -> Client:
        return await self.accounts.create_client(self.workspace, f"client-{uuid.uuid4()}", roles=roles)


@pytest.fixture
async def tenant(kafka: KafkaSettings, admin: Admin, worker: Worker) -> AsyncIterator[Tenant]:
    writer = CatalogWriter(worker.catalog, kafka, timeout=20)
    writer.start()
    accounts = Accounts(worker.catalog, writer, SecretBox([SECRET_KEYS]))
    workspace = await accounts.create_workspace(f"ws-{uuid.uuid4()}")
    yield Tenant(workspace.name, accounts, EventTypes(worker.catalog, writer, admin))
    await asyncio.to_thread(writer.stop)
