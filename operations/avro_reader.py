"""A downstream team: it reads a topic with Confluent's own consumer and deserializer, and knows nothing of Headrace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(
    kafka: Mapping[str, Any], registry_url: str, topic: str, wanted: set[str], *, timeout: float
) -> dict[str, dict[str, Any]]:
    """The records of ``topic`` whose ``id`` is wanted, by id: all of them, or those seen within ``timeout`` seconds."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))
    consumer = Consumer({**kafka, "group.id": "headrace-tour", "enable.auto.commit": False, "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=timeout).topics[topic].partitions
        # From where the wanted records can be: a long topic is not read from its beginning.
        consumer.assign([_last(consumer, TopicPartition(topic, number), len(wanted), timeout) for number in partitions])
        found: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + timeout
        while wanted - found.keys() and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            record = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
            if isinstance(record, dict) and record.get("id") in wanted:
                found[record["id"]] = record
        return found
    finally:
        consumer.close()


def _last(consumer: Consumer, partition: TopicPartition, count: int, timeout: float) -> TopicPartition:
    low, high = consumer.get_watermark_offsets(partition, timeout=timeout)
    # Twice as many as wanted, since others may publish meanwhile.
    return TopicPartition(partition.topic, partition.partition, max(low, high - 2 * count - 100))
