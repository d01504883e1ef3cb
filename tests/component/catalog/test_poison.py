from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from confluent_kafka import Producer as Client

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import Changes
from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.access import Workspace
from schemas.model.ids import new_id
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings
    from tests.component.catalog.conftest import Node, NodeFactory


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  # the reader's thread sets no event of the loop
            await asyncio.sleep(0.02)


async def produce(kafka: KafkaSettings, record: Record, signer: Catalog | None = None) -> None:
    """Write a record past the catalog's writer; with ``signer`` it has a MAC."""
    if signer is not None:
        await signer.caught_up()
        (record,) = signer.authenticity.sign([record])
    producer = Producer(kafka)
    await producer.start()
    await producer.send([record])
    await producer.stop()


def everything(kafka: KafkaSettings, topic: str) -> list[Message]:
    consumer = BatchConsumer(kafka, group=None)
    try:
        partitions = consumer.partitions_of([topic])
        ends = consumer.end_offsets(partitions)
        consumer.assign(dict.fromkeys(partitions, BEGINNING))
        found: list[Message] = []
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and any(consumer.ends.get(key, 0) < end for key, end in ends.items()):
            found += consumer.consume(1_000, 0.2)
        return found
    finally:
        consumer.close()


def dead_letters(kafka: KafkaSettings, value: bytes) -> list[dict[str, bytes]]:
    return [dict(each.headers() or []) for each in everything(kafka, topics.DEAD_LETTERS) if each.value() == value]


async def test_poison_is_set_aside_once_and_the_key_restored(
    kafka: KafkaSettings, node: Node, node_factory: NodeFactory, unique: str
) -> None:
    """With two writers at work: the lock sees to it that only one sets it aside."""
    other = await node_factory()
    good = Workspace(id=new_id(), name=unique, created_at=1, updated_at=2)
    await node.writer.write(lambda _view: Changes(put=[good], result=None))

    poison = f"{unique} is no JSON".encode()
    before = node.catalog.view.version
    await produce(kafka, Record(topics.CATALOG, poison, good.key.encode()), node.catalog)
    await until(lambda: node.catalog.view.version > before and not node.catalog.poison)
    await until(lambda: not other.catalog.poison)

    late = Catalog(kafka, [SECRET_KEYS])
    late.start()
    try:
        await late.caught_up()
        assert late.view.workspace(unique) == good
        assert not late.poison
    finally:
        late.stop()
    letters = dead_letters(kafka, poison)
    assert len(letters) == 1
    assert letters[0]["hr_dead_kind"] == b"poison"
    assert letters[0]["hr_dead_topic"] == b"catalog"
    assert b"not a catalog resource" in letters[0]["hr_dead_reason"]


async def test_poison_at_a_new_key_is_followed_by_a_tombstone(kafka: KafkaSettings, node: Node, unique: str) -> None:
    value = msgspec.json.encode({"kind": "workspace", "id": "1", "name": "else", "created_at": 1, "updated_at": 1})
    before = node.catalog.view.version
    await produce(kafka, Record(topics.CATALOG, value, f"workspace/{unique}".encode()), node.catalog)
    await until(lambda: node.catalog.view.version > before and not node.catalog.poison)
    mine = [each for each in everything(kafka, topics.CATALOG) if each.key() == f"workspace/{unique}".encode()]
    assert [each.value() for each in mine] == [value, None]


async def test_a_schema_under_a_key_that_says_nothing_is_set_aside_once(
    kafka: KafkaSettings, node: Node, unique: str
) -> None:
    poison, key = f"{unique} is no schema".encode(), f"{unique} is no key".encode()
    await produce(kafka, Record(topics.SCHEMAS, poison, key))
    await until(lambda: bool(dead_letters(kafka, poison)) and not node.catalog.poison)
    good = Workspace(id=new_id(), name=unique, created_at=1, updated_at=2)
    await node.writer.write(lambda _view: Changes(put=[good], result=None))
    mine = [each for each in everything(kafka, topics.SCHEMAS) if each.key() == key]
    assert [each.value() for each in mine] == [poison, None]
    assert len(dead_letters(kafka, poison)) == 1


async def test_a_poisoned_schema_is_restored(kafka: KafkaSettings, node: Node, unique: str) -> None:
    def decide(view: CatalogView) -> Changes[RegisteredSchema]:
        schema = view.next_schema(unique, f'"{unique}"')
        return Changes(schemas=[schema], result=schema)

    schema = await node.writer.write(decide)
    key = msgspec.json.encode({"keytype": "SCHEMA", "subject": unique, "version": 1, "magic": 1})
    before = node.catalog.view.version
    poison = f"{unique} is no schema".encode()
    await produce(kafka, Record(topics.SCHEMAS, poison, key))
    await until(lambda: bool(dead_letters(kafka, poison)) and not node.catalog.poison)
    assert node.catalog.view.version >= before
    assert node.catalog.view.schema(schema.id) == schema
    mine = [each for each in everything(kafka, topics.SCHEMAS) if each.key() == key]
    assert len(mine) == 3
    assert mine[0].value() == mine[2].value()


@pytest.mark.parametrize("large", ["value", "header", "key"])
async def test_poison_that_was_small_only_compressed_holds_up_no_write(
    kafka: KafkaSettings, node: Node, unique: str, large: str
) -> None:
    """No record that sets it aside whole would be taken."""
    value, key, header = (f"{unique} {name}".encode() for name in ("value", "key", "header"))
    padding = b"x" * 3_000_000
    config = {"compression.type": "gzip", "message.max.bytes": 20_000_000}
    producer = Client({"bootstrap.servers": kafka.bootstrap_servers, **config})
    producer.produce(
        topics.CATALOG,
        value + padding if large == "value" else value,
        key + padding if large == "key" else key,
        headers=[("odd", header + padding if large == "header" else header)],
    )
    assert producer.flush(60) == 0
    await node.catalog.caught_up()

    good = Workspace(id=new_id(), name=unique, created_at=1, updated_at=2)
    assert await node.writer.write(lambda _view: Changes(put=[good], result="written")) == "written"

    def letters() -> int:
        found = everything(kafka, topics.DEAD_LETTERS)
        return sum(dict(each.headers() or []).get("odd") == header or each.value() == value for each in found)

    assert not node.catalog.poison
    # What has a key that none of ours can have can only be passed over.
    await until(lambda: letters() == (0 if large == "key" else 1))


async def test_poison_that_came_while_nobody_wrote_is_set_aside_by_the_next_writer(
    kafka: KafkaSettings, node_factory: NodeFactory, unique: str
) -> None:
    poison = f"{unique} is no JSON".encode()
    await produce(kafka, Record(topics.CATALOG, poison, f"workspace/{unique}".encode()))
    node = await node_factory()
    await until(lambda: bool(dead_letters(kafka, poison)) and not node.catalog.poison)
