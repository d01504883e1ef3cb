"""A catalog on real Kafka, and a second one as another process would have it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from families.catalog import EXTENSIONS
from tests.support.running_gateway import SECRET_KEYS


@dataclass(frozen=True)
class Node:
    """What one process holds of the catalog."""

    catalog: Catalog
    writer: CatalogWriter


NodeFactory = Callable[[], Awaitable[Node]]


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_bootstrap)


@pytest.fixture
async def admin(kafka: KafkaSettings) -> Admin:
    admin = Admin(kafka)
    await ensure_internal_topics(admin)
    return admin


@pytest.fixture
async def node_factory(kafka: KafkaSettings, admin: Admin) -> AsyncIterator[NodeFactory]:
    assert admin
    nodes: list[Node] = []

    async def make() -> Node:
        catalog = Catalog(kafka, [SECRET_KEYS])
        catalog.start()
        await catalog.caught_up()
        node = Node(catalog, CatalogWriter(catalog, kafka, timeout=20, extensions=EXTENSIONS))
        node.writer.start()
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.writer.stop()
        node.catalog.stop()


@pytest.fixture
async def node(node_factory: NodeFactory) -> Node:
    return await node_factory()


@pytest.fixture
def unique() -> str:
    """A workspace name that no other test uses."""
    return f"ws-{uuid.uuid4()}"
