"""Reading topics in tests as anybody would, with a consumer of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from confluent_kafka import Message


def records_of(bootstrap: str, topic: str) -> list[Message]:
    """Every committed record of a topic, from its first to the end as of now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"read-{uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    try:
        found: list[Message] = []
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10) or (0, 0)
            if first == end:
                continue
            consumer.assign([TopicPartition(topic, partition, first)])
            while consumer.position([TopicPartition(topic, partition)])[0].offset < end:
                found += [each for each in consumer.consume(500, 1.0) if each.error() is None]
        return found
    finally:
        consumer.close()
