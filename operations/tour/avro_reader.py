"""A downstream team: it reads a topic with Confluent's own consumer and deserializer, and knows nothing of Headrace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def read(
    kafka: Mapping[str, Any], registry: Mapping[str, Any], topic: str, wanted: set[str], *, timeout: float
) -> dict[str, dict[str, Any]]:
    """The records of ``topic`` whose ``id`` is wanted, by id: all of them, or those seen within ``timeout`` seconds."""
    found: dict[str, dict[str, Any]] = {}
    for record in _records(kafka, registry, topic, len(wanted), timeout):
        if record.get("id") in wanted:
            found[record["id"]] = record
        if wanted <= found.keys():
            break
    return found


def latest(
    kafka: Mapping[str, Any], registry: Mapping[str, Any], topic: str, *, timeout: float
) -> list[dict[str, Any]]:
    """The last records of ``topic``, about a hundred of each partition; ``timeout`` in seconds for each call."""
    return list(_records(kafka, registry, topic, 0, timeout))


def _records(
    kafka: Mapping[str, Any], registry: Mapping[str, Any], topic: str, wanted: int, timeout: float
) -> Iterator[dict[str, Any]]:
    """What is on the topic when this is called, from where ``wanted`` late records can be: not from its beginning."""
    deserialize = AvroDeserializer(SchemaRegistryClient(dict(registry)))
    consumer = Consumer(
        {
            **kafka,
            "group.id": "headrace-tour",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=timeout).topics[topic].partitions
        consumer.assign([_last(consumer, TopicPartition(topic, number), wanted, timeout) for number in partitions])
        unread = set(partitions)
        deadline = time.monotonic() + timeout
        while unread and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public constant
                    unread.discard(message.partition())
                continue
            record = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
            if isinstance(record, dict):
                yield record
    finally:
        consumer.close()


def _last(consumer: Consumer, partition: TopicPartition, count: int, timeout: float) -> TopicPartition:
    low, high = consumer.get_watermark_offsets(partition, timeout=timeout)
    # Twice as many as wanted, since others may publish meanwhile.
    return TopicPartition(partition.topic, partition.partition, max(low, high - 2 * count - 100))
