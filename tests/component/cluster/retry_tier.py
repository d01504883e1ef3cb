"""Deliveries that wait on the smallest retry tier."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import Record
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings


def put_on_tier(kafka: KafkaSettings, numbers: range) -> None:
    """Have Kafka acknowledge retries, however long it takes."""
    client = Producer(kafka.client_config(acks="all"))
    for number in numbers:
        record = retry(number)
        client.produce(record.topic, record.value, record.key, headers=list(record.headers))
    assert client.flush(120) == 0


def retry(number: int) -> Record:
    """A delivery on the smallest tier that is due."""
    now = timestamps.now()
    delivery = Delivery(
        id=f"delivery-{number}",
        event="e",
        endpoint="hook",
        workspace="w",
        source=SourceOffset("events.w.shop.order", 0, number),
        subscriptions=(),
        routed_at=now,
        due=now // 1_000,
    )
    return Record(topics.RETRY_TIERS[5], b"event", b"hook", list(delivery.to_headers()))


def returned(kafka: KafkaSettings, wanted: int) -> Counter[str]:
    """The retries that are back, once there are as many as wanted."""
    consumer = BatchConsumer(kafka, group=None)
    consumer.assign(dict.fromkeys(consumer.partitions_of([topics.WEBHOOK_DELIVERIES]), BEGINNING))
    found: Counter[str] = Counter()
    deadline = time.monotonic() + 150
    while found.total() < wanted:
        assert time.monotonic() < deadline, f"{found.total()} of {wanted} are back"
        found.update(Delivery.from_headers(each.headers()).id for each in consumer.consume(1_000, 0.2))
    consumer.close()
    return found
