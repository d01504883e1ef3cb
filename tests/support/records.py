"""Reading topics in tests as anybody would, with a consumer of one's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from backbone.kafka.failures import is_passing

if TYPE_CHECKING:
    from confluent_kafka import Message


def records_of(bootstrap: str, topic: str) -> list[Message]:
    """Every record of a topic that has been committed, from its first on.

    A commit is answered a moment before it can be read: what is open when this is called is waited for.
    """
    config = {"bootstrap.servers": bootstrap, "group.id": f"read-{uuid4()}", "enable.auto.commit": False}
    consumer = Consumer({**config, "isolation.level": "read_committed"})
    whole = Consumer({**config, "isolation.level": "read_uncommitted"})
    try:
        found: list[Message] = []
        for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
            first, end = bounds(whole, TopicPartition(topic, partition))
            if first == end:
                continue
            consumer.assign([TopicPartition(topic, partition, first)])
            while consumer.position([TopicPartition(topic, partition)])[0].offset < end:
                found += [each for each in consumer.consume(500, 1.0) if each.error() is None]
        return found
    finally:
        consumer.close()
        whole.close()


def bounds(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """The first offset of a partition and the one after its last; a new one may have no leader for a moment."""
    deadline = time.monotonic() + 30
    while True:
        try:
            found = consumer.get_watermark_offsets(partition, timeout=30)
        except KafkaException as error:
            if not is_passing(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            assert found is not None, "Kafka did not answer in time"
            return found
