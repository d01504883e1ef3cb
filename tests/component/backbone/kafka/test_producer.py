from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.records import Record
from schemas.model.errors import NotAcknowledged
from tests.support.heartbeat import heartbeat
from tests.support.records import records_of

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin
    from backbone.kafka.producer import Producer
    from tests.component.backbone.conftest import TopicFactory


async def test_an_ack_says_where_its_record_is(
    producer: Producer, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory(partitions=3)
    batches = [
        [Record(topic, f"{batch}-{number}".encode(), headers=[("n", b"1")]) for number in range(200)]
        for batch in range(10)
    ]
    answers = await asyncio.gather(*(producer.send(batch) for batch in batches))
    found = {
        (each.partition(), each.offset()): each.value()
        for each in await asyncio.to_thread(records_of, kafka_bootstrap, topic)
    }
    assert len(found) == 2_000
    for batch, acks in zip(batches, answers, strict=True):
        assert [found[ack.partition, ack.offset] for ack in acks] == [record.value for record in batch]


async def test_records_keep_their_order_in_a_partition(
    producer: Producer, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory(partitions=2)
    for first in range(0, 100, 10):
        producer.send([Record(topic, str(number).encode(), partition=1) for number in range(first, first + 10)])
    await producer.send([Record(topic, b"100", partition=1)])
    messages = await asyncio.to_thread(records_of, kafka_bootstrap, topic)
    assert [int(each.value() or b"") for each in messages] == list(range(101))


class _Noting:
    """A client of Kafka that notes where it was told to write."""

    def __init__(self, client: Any, records: int) -> None:
        self._client = client
        self._records = records
        self.topics: list[str] = []
        self.begun, self.done = asyncio.Event(), asyncio.Event()

    def produce(self, topic: str, *args: Any, **options: Any) -> None:
        self.topics.append(topic)
        self.begun.set()
        if len(self.topics) == self._records:
            self.done.set()
        self._client.produce(topic, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


async def test_a_large_batch_is_handed_over_in_parts_and_others_come_between(
    producer: Producer, topic_factory: TopicFactory
) -> None:
    large, other, small = [await topic_factory() for _ in range(3)]
    producer._client = noting = _Noting(producer._client, 20_001)  # type: ignore[assignment]
    async with heartbeat() as beats:
        sent = [producer.send([Record(topic, b"%d" % number) for number in range(10_000)]) for topic in (large, other)]
        await noting.begun.wait()
        begun = beats.rounds
        sent.append(producer.send([Record(small, b"small")]))
        await noting.done.wait()
        assert beats.rounds - begun >= 30
    assert noting.topics.index(other) < 10_000, "both go on at once"
    assert noting.topics.index(small) < 20_000
    acks = await asyncio.gather(*sent)
    assert [ack.offset for ack in acks[0]] == list(range(10_000))


async def test_what_is_left_of_a_large_batch_is_sent_before_the_end(
    producer: Producer, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory()
    sent = producer.send([Record(topic, b"%d" % number) for number in range(10_000)])
    await asyncio.sleep(0)
    await producer.stop()
    assert len(await sent) == 10_000
    assert len(await asyncio.to_thread(records_of, kafka_bootstrap, topic)) == 10_000


async def test_a_partition_that_its_topic_has_just_gained_is_sent_to(
    producer: Producer, admin: Admin, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory()
    await producer.send([Record(topic, b"1", partition=0)])

    await admin.grow(topic, 3)

    batch = [Record(topic, b"2", partition=number) for number in range(3)]
    answers = await asyncio.gather(producer.send(batch), producer.send(batch))
    assert [[ack.partition for ack in acks] for acks in answers] == [[0, 1, 2]] * 2
    nowhere = producer.send([Record(topic, b"3", partition=0), Record(topic, b"3", partition=3)])
    await producer.stop()
    with pytest.raises(NotAcknowledged, match="Unknown partition"):
        await nowhere
    assert producer.unacknowledged == 0


async def test_stopping_waits_for_what_was_sent(
    producer: Producer, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory()
    sent = producer.send([Record(topic, b"last")])
    await producer.stop()
    assert len(await sent) == 1
    assert len(await asyncio.to_thread(records_of, kafka_bootstrap, topic)) == 1
