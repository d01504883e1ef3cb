"""A broker that is restarted takes the coordinators of groups and transactions with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from backbone.kafka.transaction import TransactionalProducer
from schemas.errors import TransactionAborted

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings
    from tests.kafka_cluster import KafkaCluster

GROUP = "coordinated"
_OFFSETS_PARTITIONS = 6


def coordinator(cluster: KafkaCluster, group: str) -> int:
    """The node that leads the group's partition of ``__consumer_offsets``, found as Kafka does it."""
    code = 0
    for letter in group:
        code = (31 * code + ord(letter)) & 0xFFFFFFFF
    return cluster.leaders()["__consumer_offsets", (code & 0x7FFFFFFF) % _OFFSETS_PARTITIONS]


def move(producer: TransactionalProducer, consumer: BatchConsumer, offset: int) -> None:
    producer.begin()
    producer.produce(Record("moved", b"x"))
    producer.send_offsets({("moved", 0): offset}, consumer)
    producer.commit()


def test_offsets_are_committed_again_after_their_coordinator_left(cluster: KafkaCluster, kafka: KafkaSettings) -> None:
    """librdkafka waits for ever for a coordinator that is gone from the metadata, whatever timeout it is given."""
    Admin(kafka).ensure_topics_now([TopicSpec("moved", 1)])
    consumer = BatchConsumer(kafka, group=GROUP)
    consumer.subscribe(["moved"])
    while not consumer.assignment():
        consumer.consume(1, 0.1)
    producer = TransactionalProducer(kafka, "mover", timeout=5.0)
    producer.start()
    move(producer, consumer, 1)
    gone = coordinator(cluster, GROUP)
    cluster.stop_node(gone)
    deadline = time.monotonic() + 60
    while gone in producer._client.list_topics().brokers:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    offset, moved = 2, False
    while not moved:
        assert time.monotonic() < deadline
        consumer.consume(1, 0.1)
        try:
            move(producer, consumer, offset)
            moved = True
        except TransactionAborted:
            producer.close()
            producer = TransactionalProducer(kafka, "mover", timeout=5.0)
            producer.start()
    assert consumer.committed([("moved", 0)]) == {("moved", 0): offset}
    producer.close()
    consumer.close()
