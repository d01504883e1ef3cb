"""What follows from a catalog change is written in its transaction: both can be read, or neither."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, TopicPartition

from backbone.catalog.extension import CatalogExtension
from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.admin import TopicSpec
from backbone.kafka.records import Record
from schemas.model.access import Workspace
from schemas.model.errors import PayloadTooLarge
from schemas.model.ids import new_id
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.extension import Edits
    from backbone.catalog.view import CatalogView
    from backbone.kafka.admin import Admin
    from backbone.kafka.settings import KafkaSettings
    from tests.component.catalog.conftest import NodeFactory


def read(kafka: KafkaSettings, topic: str) -> list[bytes]:
    """The committed values of a topic of one partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": f"read-{new_id()}",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is not None and message.error():
                return found
            if message is not None:
                found.append(message.value() or b"")
        pytest.fail("the topic's end was not reached")
    finally:
        consumer.close()


def create(name: str, size: int = 0) -> Callable[[CatalogView], Changes[Workspace]]:
    def decide(_view: CatalogView) -> Changes[Workspace]:
        new = Workspace(id=new_id(), name=name + "x" * size, created_at=0, updated_at=0)
        return Changes(put=[new], result=new)

    return decide


async def test_a_change_and_what_follows_are_written_together(
    kafka: KafkaSettings, admin: Admin, node_factory: NodeFactory, unique: str
) -> None:
    topic = f"told-{unique}"
    await admin.ensure_topics([TopicSpec(topic, 1, {})])
    sizes = {f"{unique}-large": 3_000_000}

    class Telling(CatalogExtension):
        def events(self, before: CatalogView, edits: Edits) -> Callable[[CatalogView], Sequence[Record]]:
            names = [each.name for each in edits.put if isinstance(each, Workspace)]
            assert all(before.workspace(name) is None for name in names)

            def records(after: CatalogView) -> list[Record]:
                assert all(after.workspace(name) is not None for name in names)
                return [Record(topic, name.encode() + b"x" * sizes.get(name, 0)) for name in names]

            return records

    catalog = Catalog(kafka, [SECRET_KEYS])
    catalog.start()
    writer = CatalogWriter(catalog, kafka, timeout=20, extensions=[Telling()])
    writer.start()
    try:
        # What follows is too large for Kafka: then the change is not made either.
        outcomes = await asyncio.gather(
            writer.write(create(f"{unique}-1")),
            writer.write(create(f"{unique}-large")),
            writer.write(create(f"{unique}-2")),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], PayloadTooLarge)
        # A change that cannot be made is not told.
        with pytest.raises(PayloadTooLarge):
            await writer.write(create(f"{unique}-change", 3_000_000))
        # Another writer fences this one, which goes on afterwards.
        await (await node_factory()).writer.write(create(f"{unique}-other"))
        await writer.write(create(f"{unique}-3"))
    finally:
        writer.stop()
        catalog.stop()
    other = (await node_factory()).catalog.view
    made = [f"{unique}-{name}" for name in ("1", "2", "3")]
    assert all(other.workspace(name) is not None for name in made)
    assert other.workspace(f"{unique}-large") is None
    assert [value.decode() for value in read(kafka, topic)] == made
