from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.records import Record
from backbone.kafka.topology import internal_topics
from schemas.model.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from backbone.kafka.producer import Producer
    from backbone.kafka.settings import KafkaSettings


async def test_a_topic_can_be_written_to_once_it_is_ensured(admin: Admin, producer: Producer) -> None:
    topic = f"test-{uuid.uuid4()}"
    for _ in range(2):
        await admin.ensure_topics([TopicSpec(topic, 3, {"retention.ms": "60000"})])
    assert await admin.partition_count(topic) == 3
    await producer.send([Record(topic, b"1", partition=2)])
    assert await admin.end_offsets([(topic, 0), (topic, 2)]) == {(topic, 0): 0, (topic, 2): 1}
    assert admin.end_offsets_now([(topic, 2)]) == {(topic, 2): 1}


async def test_a_topic_grows(admin: Admin) -> None:
    topic = f"test-{uuid.uuid4()}"
    with pytest.raises(NotFound):
        await admin.partition_count(topic)
    await admin.ensure_topics([TopicSpec(topic, 1)])
    await admin.grow(topic, 4)
    assert await admin.partition_count(topic) == 4
    assert await admin.topics(topic) == {topic: 4}


async def test_a_topic_that_was_grown_can_be_written_to(admin: Admin, kafka: KafkaSettings) -> None:
    topic = f"test-{uuid.uuid4()}"
    await admin.ensure_topics([TopicSpec(topic, 1)])
    for partitions in range(2, 12):
        await admin.grow(topic, partitions)
        assert await admin.partition_count(topic) == partitions
        last = (topic, partitions - 1)
        assert await admin.end_offsets([last]) == {last: 0}


async def test_a_name_that_kafka_takes_for_another_ones_is_a_conflict(admin: Admin) -> None:
    name = uuid.uuid4().hex
    await admin.ensure_topics([TopicSpec(f"test.{name}", 1)])
    with pytest.raises(Conflict, match=f"test_{name}.*collides"):
        await admin.ensure_topics([TopicSpec(f"test_{name}", 1)])


async def test_the_internal_topics_are_all_there(admin: Admin, kafka: KafkaSettings) -> None:
    found = await admin.topics()
    assert {spec.topic for spec in internal_topics(kafka)} <= found.keys()


async def test_without_a_broker_everything_is_unavailable(kafka: KafkaSettings) -> None:
    admin = Admin(kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"}), timeout=0.5)
    with pytest.raises(Unavailable):
        await admin.ensure_topics([TopicSpec("t", 1)])
    with pytest.raises(Unavailable):
        await admin.end_offsets([("t", 0)])
