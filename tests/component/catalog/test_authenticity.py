"""Forged records on a broker that lets anybody write; the upgrade of records without MACs; the rotation of the keys.

The broker is the module's own, and each test begins with an empty catalog: what others wrote is signed with other keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from backbone.catalog import records
from backbone.catalog.authenticity import MARKER_KEY
from backbone.catalog.reader import Catalog
from backbone.catalog.takeover import sign_with_newest, take_over
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.admin import Admin
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from schemas.model import topics
from schemas.model.access import Client, Role
from schemas.model.errors import Misconfigured
from tests.component.catalog.test_poison import dead_letters, everything, produce, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backbone.kafka.records import Message
    from schemas.model.resources import Resource

OLD, NEW = "an old secret key of some length", "a new secret key of some length"


def member(name: str, *roles: Role) -> Client:
    return Client(id=name, workspace="acme", name=name, roles=roles, created_at=1, updated_at=1)


PRODUCER, ADMIN = member("mallory", Role.PRODUCER), member("mallory", Role.ADMIN)


@pytest.fixture
async def kafka(own_broker: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=own_broker)
    admin = Admin(settings)
    if topics.CATALOG in admin.partition_counts_now():
        client = AdminClient({"bootstrap.servers": own_broker})
        client.delete_topics([topics.CATALOG])[topics.CATALOG].result(60)
        deadline = time.monotonic() + 60
        while topics.CATALOG in admin.partition_counts_now():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    await ensure_internal_topics(admin)
    return settings


class Node(NamedTuple):
    catalog: Catalog
    writer: CatalogWriter
    forged: list[int]

    async def put(self, *resources: Resource) -> None:
        await self.writer.write(lambda _view: Changes(put=resources, result=None))


@contextlib.asynccontextmanager
async def node(kafka: KafkaSettings, *keys: str, writes: bool = True) -> AsyncIterator[Node]:
    """What a process with these secret keys has of the catalog."""
    forged: list[int] = []
    catalog = Catalog(kafka, keys, on_forged=lambda: forged.append(1))
    writer = CatalogWriter(catalog, kafka, timeout=30)
    catalog.start()
    try:
        await catalog.caught_up(30)
        if writes:
            writer.start()
        yield Node(catalog, writer, forged)
    finally:
        await asyncio.to_thread(writer.stop)
        await asyncio.to_thread(catalog.stop)


async def state_after_restart(kafka: KafkaSettings, *keys: str) -> tuple[Client | None, int]:
    """What a process that starts now knows of the client, and how many records it alerts of."""
    async with node(kafka, *keys, writes=False) as late:
        return late.catalog.view.client(PRODUCER.workspace, PRODUCER.id), len(late.forged)


def written(kafka: KafkaSettings, key: str) -> list[Message]:
    return [each for each in everything(kafka, topics.CATALOG) if each.key() == key.encode()]


def put(resource: Resource) -> Record:
    return records.resource_record(resource, "x")


async def test_a_forged_record_makes_no_administrator_and_the_last_good_state_returns_to_the_log(
    kafka: KafkaSettings,
) -> None:
    async with node(kafka, NEW) as ours:
        await take_over(ours.catalog, ours.writer)
        await ours.put(PRODUCER)
        await produce(kafka, put(ADMIN))
        await until(lambda: len(written(kafka, PRODUCER.key)) == 3 and not ours.catalog.poison)
        assert ours.catalog.view.client(PRODUCER.workspace, PRODUCER.id) == PRODUCER
        assert ours.forged == [1]
        # Compaction keeps the last record of a key: that must be ours.
        assert written(kafka, PRODUCER.key)[-1].value() == put(PRODUCER).value
        (letter,) = dead_letters(kafka, put(ADMIN).value or b"")
        assert b"no MAC" in letter["hr_dead_reason"]

        await produce(kafka, records.tombstone(topics.CATALOG, PRODUCER.key.encode(), "x"))
        await until(lambda: len(written(kafka, PRODUCER.key)) == 5 and not ours.catalog.poison)
        assert ours.catalog.view.client(PRODUCER.workspace, PRODUCER.id) == PRODUCER
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)


async def test_a_genuine_record_of_before_gives_no_right_back(kafka: KafkaSettings) -> None:
    async with node(kafka, NEW) as ours:
        await ours.put(ADMIN)
        await ours.put(PRODUCER)
        granted = written(kafka, ADMIN.key)[0]
        copy = Record(topics.CATALOG, granted.value(), granted.key(), granted.headers())
        await produce(kafka, copy)
        await until(lambda: len(ours.forged) == 1 and not ours.catalog.poison)
        assert ours.catalog.view.client(PRODUCER.workspace, PRODUCER.id) == PRODUCER
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)


async def test_a_record_forged_while_nobody_ran_is_reported_at_the_start_and_put_right(kafka: KafkaSettings) -> None:
    async with node(kafka, NEW) as ours:
        await ours.put(PRODUCER)
    await produce(kafka, put(ADMIN))
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 1)
    async with node(kafka, NEW) as ours:
        await until(lambda: not ours.catalog.poison)
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)


async def test_records_of_before_are_taken_over_once(kafka: KafkaSettings, caplog: pytest.LogCaptureFixture) -> None:
    other = member("alice", Role.VIEWER)
    for each in (PRODUCER, other):
        await produce(kafka, put(each))
    async with node(kafka, NEW) as one, node(kafka, NEW) as two:
        assert one.catalog.view.client(PRODUCER.workspace, PRODUCER.id) == PRODUCER
        await asyncio.gather(*(take_over(each.catalog, each.writer) for each in (one, two)))
        assert "UPGRADE: the catalog's records have no MAC" in caplog.text
        assert [len(written(kafka, each.key)) for each in (PRODUCER, other)] == [2, 2]
        before = len(everything(kafka, topics.CATALOG))
        caplog.clear()
        await take_over(two.catalog, two.writer)
        assert len(everything(kafka, topics.CATALOG)) == before
        assert "UPGRADE" not in caplog.text
        await produce(kafka, put(member("eve", Role.ADMIN)))
        await until(lambda: bool(one.forged) and not one.catalog.poison)
        assert one.catalog.view.client(PRODUCER.workspace, "eve") is None
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)


async def test_the_keys_rotate_and_the_old_one_can_be_dropped_after_reseal(kafka: KafkaSettings) -> None:
    async with node(kafka, OLD) as ours:
        await take_over(ours.catalog, ours.writer)
        await ours.put(PRODUCER)
    async with node(kafka, OLD, NEW) as first, node(kafka, NEW, OLD) as second:
        await take_over(second.catalog, second.writer)
        await first.catalog.caught_up()
        await second.put(member("alice"))
        await first.put(member("bob"))
        assert (first.forged, second.forged) == ([], [])
    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        await state_after_restart(kafka, OLD)
    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        await state_after_restart(kafka, NEW)
    async with node(kafka, NEW, OLD) as ours:
        assert await sign_with_newest(ours.catalog, ours.writer) >= 1
        assert await sign_with_newest(ours.catalog, ours.writer) == 0
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)


async def test_a_process_with_other_keys_does_not_start_and_writes_nothing(kafka: KafkaSettings) -> None:
    async with node(kafka, OLD) as ours:
        await take_over(ours.catalog, ours.writer)
        await ours.put(PRODUCER)
    before = len(everything(kafka, topics.CATALOG))
    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        async with node(kafka, NEW):
            pass
    assert len(everything(kafka, topics.CATALOG)) == before


async def test_the_marker_cannot_be_forged_away(kafka: KafkaSettings) -> None:
    async with node(kafka, NEW) as ours:
        await take_over(ours.catalog, ours.writer)
        await ours.put(PRODUCER)
        await produce(kafka, records.tombstone(topics.CATALOG, MARKER_KEY.encode(), "x"))
        await until(lambda: len(ours.forged) == 1 and not ours.catalog.poison)
        await produce(kafka, put(ADMIN))
        await until(lambda: len(ours.forged) == 2 and not ours.catalog.poison)
    assert await state_after_restart(kafka, NEW) == (PRODUCER, 0)
