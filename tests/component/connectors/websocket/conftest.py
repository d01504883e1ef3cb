from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from tests.component.connectors.websocket.node import Clients, RunningNode, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_bootstrap)


@pytest.fixture(scope="module")
def node(kafka: KafkaSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A realtime node with the default settings, but eager to write positions: it is the one that is elected."""
    with running_node(kafka, tmp_path_factory.mktemp("node"), positions_interval=0.2) as started:
        yield started


@pytest.fixture
async def clients(node: RunningNode) -> AsyncIterator[Clients]:
    """Raw clients of that node."""
    async with contextlib.AsyncExitStack() as stack:
        yield Clients(node.url, stack)
