from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.records import Record
from schemas.errors import NotAcknowledged
from tests.records import records_of

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
