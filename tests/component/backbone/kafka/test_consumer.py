from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition

from backbone.kafka import group_watch
from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import Message, Partition, Record, headers_of
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from backbone.kafka.producer import Producer
    from backbone.kafka.settings import KafkaSettings
    from tests.component.backbone.conftest import TopicFactory

Factory = Callable[..., BatchConsumer]


@pytest.fixture
def consumer_factory(kafka: KafkaSettings) -> Iterator[Factory]:
    made: list[BatchConsumer] = []

    def make(group: str | None, protocol: str = "auto", **options: object) -> BatchConsumer:
        settings = kafka.model_copy(update={"group_protocol": protocol})
        made.append(BatchConsumer(settings, group=group, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


ODD_PRODUCER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Odd(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def produce(bootstrap, topic):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, b"1", headers=[("ce_id", b"x"), (Odd("?"), b"y")])

asyncio.run(produce(*sys.argv[1:]))
"""
"""Produces a record with a header name that is not UTF-8, which our own client cannot."""


def read(consumer: BatchConsumer, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        found += consumer.consume(1_000, 0.2)
    return found


def numbers(messages: list[Message]) -> list[int]:
    return [int(each.value() or b"") for each in messages]


async def fill(producer: Producer, topic: str, count: int, partition: int = 0) -> None:
    await producer.send([Record(topic, str(number).encode(), partition=partition) for number in range(count)])


@pytest.mark.parametrize("protocol", ["auto", "classic"])
async def test_the_next_member_goes_on_at_the_committed_offset(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory, protocol: str
) -> None:
    topic = await topic_factory()
    await fill(producer, topic, 10)
    first = consumer_factory(f"g-{topic}", protocol)
    first.subscribe([topic])
    assert numbers(await asyncio.to_thread(read, first, 10)) == list(range(10))
    assert first.position([(topic, 0)]) == {(topic, 0): 10}
    first.commit({(topic, 0): 4})
    first.close()
    second = consumer_factory(f"g-{topic}", protocol)
    second.subscribe([topic])
    assert numbers(await asyncio.to_thread(read, second, 6)) == list(range(4, 10))


async def test_the_assignment_callback_commits_and_chooses_where_to_start(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    """What the router does on a partition without a commit: commit the start before anything is fetched."""
    topic = await topic_factory()
    await fill(producer, topic, 10)
    seen: dict[Partition, int | None] = {}

    def on_assigned(partitions: list[Partition]) -> dict[Partition, int]:
        seen.update(consumer.committed(partitions))
        starts = dict.fromkeys(partitions, 6)
        consumer.commit(starts)
        return starts

    consumer = consumer_factory(f"g-{topic}", on_assigned=on_assigned)
    consumer.subscribe([topic])
    assert numbers(await asyncio.to_thread(read, consumer, 4)) == [6, 7, 8, 9]
    assert seen == {(topic, 0): None}
    assert consumer.committed([(topic, 0)]) == {(topic, 0): 6}


async def test_a_second_member_takes_a_share_and_gives_it_back(
    consumer_factory: Factory, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory(partitions=4)
    revoked: list[Partition] = []
    first = consumer_factory(f"g-{topic}", on_revoked=revoked.extend)
    second = consumer_factory(f"g-{topic}")

    def until(first_has: int, second_has: int) -> None:
        while len(first.assignment()) != first_has or len(second.assignment()) != second_has:
            first.consume(1, 0.05)
            second.consume(1, 0.05)

    first.subscribe([topic])
    await asyncio.to_thread(until, 4, 0)
    second.subscribe([topic])
    await asyncio.to_thread(until, 2, 2)
    assert set(revoked) == set(second.assignment())
    second.subscribe([])
    await asyncio.to_thread(until, 4, 0)


async def test_subscribing_to_another_topic_does_not_disturb_the_first(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    one, other = await topic_factory(), await topic_factory()
    await fill(producer, one, 3)
    await fill(producer, other, 3)
    revoked: list[Partition] = []
    consumer = consumer_factory(f"g-{one}", on_revoked=revoked.extend)
    consumer.subscribe([one])
    await asyncio.to_thread(read, consumer, 3)
    consumer.subscribe([one, other])
    assert {each.topic() for each in await asyncio.to_thread(read, consumer, 3)} == {other}
    assert revoked == []


async def test_seeking_drops_what_was_fetched(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory()
    await fill(producer, topic, 100)
    consumer = consumer_factory(None)
    consumer.assign({(topic, 0): BEGINNING})
    consumer.seek({(topic, 0): 50})
    assert numbers(await asyncio.to_thread(read, consumer, 50)) == list(range(50, 100))
    consumer.assign({(topic, 0): 0})
    assert numbers(consumer.consume(10, 5)) == list(range(10))
    consumer.seek({(topic, 0): 97})
    assert numbers(await asyncio.to_thread(read, consumer, 3)) == [97, 98, 99]


@pytest.mark.parametrize("protocol", ["auto", "classic"])
async def test_a_partition_that_was_paused_and_given_away_is_read_when_it_comes_back(
    topic_factory: TopicFactory, producer: Producer, consumer_factory: Factory, protocol: str
) -> None:
    topic = await topic_factory()
    await fill(producer, topic, 2)
    consumer = consumer_factory(f"group-{topic}", protocol)
    consumer.subscribe([topic])
    assert numbers(await asyncio.to_thread(read, consumer, 2)) == [0, 1]
    consumer.pause([(topic, 0)])
    consumer.subscribe([])
    while consumer.assignment():
        consumer.consume(1, 0.1)

    consumer.subscribe([topic])

    assert numbers(await asyncio.to_thread(read, consumer, 2)) == [0, 1]


async def test_a_paused_partition_yields_nothing(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory(partitions=2)
    consumer = consumer_factory(None)
    consumer.assign({(topic, 0): 0, (topic, 1): 0})
    consumer.pause([(topic, 0)])
    await fill(producer, topic, 5, 0)
    await fill(producer, topic, 5, 1)
    assert {each.partition() for each in await asyncio.to_thread(read, consumer, 5)} == {1}
    consumer.resume([(topic, 0)])
    assert {each.partition() for each in await asyncio.to_thread(read, consumer, 5)} == {0}


async def test_ends_and_times(consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory) -> None:
    topic = await topic_factory(partitions=2)
    await fill(producer, topic, 5)
    consumer = consumer_factory(None)
    both = consumer.partitions_of([topic, "no-such-topic"])
    assert both == [(topic, 0), (topic, 1)]
    assert consumer.end_offsets(both) == {(topic, 0): 5, (topic, 1): 0}
    assert consumer.known_ends([*both, (topic, 7), ("no-such-topic", 0)]) == {(topic, 0): 5, (topic, 1): 0}
    consumer.assign(dict.fromkeys(both, 0))
    first, *_ = await asyncio.to_thread(read, consumer, 5)
    appended = first.timestamp()[1]
    assert consumer.offsets_for_times({(topic, 0): appended})[topic, 0] == 0
    assert consumer.offsets_for_times({(topic, 0): appended + 60_000})[topic, 0] is None
    with pytest.raises(Unavailable, match="Unknown partition"):
        # A partition that was added a moment ago: its own time came back for an offset.
        consumer.offsets_for_times({(topic, 0): appended, (topic, 7): appended})

    def until_ends_are_met() -> None:
        while len(consumer.ends) < 2:
            consumer.consume(10, 0.1)

    await asyncio.to_thread(until_ends_are_met)
    assert consumer.ends == {(topic, 0): 5, (topic, 1): 0}


async def test_a_commit_for_a_partition_that_is_another_members_fails(
    consumer_factory: Factory, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory()
    consumer = consumer_factory(f"g-{topic}")
    consumer.subscribe([topic])
    consumer.close()
    with pytest.raises((Unavailable, RuntimeError)):
        consumer.commit({(topic, 0): 1})


async def test_header_names_that_are_no_text_do_not_crash_who_reads_them(
    consumer_factory: Factory, producer: Producer, topic_factory: TopicFactory, kafka: KafkaSettings
) -> None:
    topic = await topic_factory()
    # Only aiokafka's pure Python lets a name say what its bytes are.
    environment = os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-c", ODD_PRODUCER, kafka.bootstrap_servers, topic]
    await asyncio.to_thread(subprocess.run, command, env=environment, timeout=240, check=True)
    await producer.send([Record(topic, b"2", headers=[("ce_id", b"z")], partition=0)])
    consumer = consumer_factory(None)
    consumer.assign({(topic, 0): BEGINNING})
    found = await asyncio.to_thread(read, consumer, 2)
    for _ in range(2):
        assert [(each.value(), headers_of(each)) for each in found] == [(b"1", []), (b"2", [("ce_id", b"z")])]


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
async def test_a_member_that_does_not_know_of_its_partition_gets_it_again(
    consumer_factory: Factory,
    producer: Producer,
    topic_factory: TopicFactory,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    """As after the loss of the response that carried an assignment: the group counts the partition as given."""
    monkeypatch.setattr(group_watch, "LOOK_EVERY", 0.2)
    topic, replaced = await topic_factory(2), []
    consumer = consumer_factory(f"g-{topic}", protocol, on_stall=lambda: replaced.append(True))
    consumer.subscribe([topic])
    await fill(producer, topic, 1, partition=0)
    await fill(producer, topic, 1, partition=1)
    assert numbers(await asyncio.to_thread(read, consumer, 2)) == [0, 0]
    consumer.commit({(topic, 0): 1, (topic, 1): 1})
    for _ in range(20):
        await asyncio.to_thread(consumer.consume, 1, 0.1)
    assert replaced == []

    consumer._client.incremental_unassign([TopicPartition(topic, 1)])
    await producer.send([Record(topic, b"1", partition=1)])
    assert numbers(await asyncio.to_thread(read, consumer, 1)) == [1]
    assert set(consumer.assignment()) == {(topic, 0), (topic, 1)}
    assert replaced == [True]
