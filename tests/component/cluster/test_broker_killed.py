"""One broker of three is killed while retries are moved."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.records import Record
from backbone.kafka.topology import ensure_internal_topics
from connectors import retries
from connectors.metrics import WebhookMetrics
from connectors.retries import Hopper
from schemas import timestamps, topics
from schemas.delivery import Delivery, SourceOffset
from tests.component.cluster.test_coordinator_gone import coordinator

if TYPE_CHECKING:
    import pytest

    from backbone.kafka.settings import KafkaSettings
    from tests.kafka_cluster import KafkaCluster

_RETRIES = 30


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


async def test_retries_come_back_once_through_the_same_member(
    cluster: KafkaCluster, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that leaves while its group's coordinator is away keeps its partitions for a whole session, 45 s."""
    await ensure_internal_topics(Admin(kafka))
    joined: list[BatchConsumer] = []

    def join(*args: Any, **options: Any) -> BatchConsumer:
        joined.append(BatchConsumer(*args, **options))
        return joined[-1]

    monkeypatch.setattr(retries, "BatchConsumer", join)
    hopper = Hopper(kafka, transactional_id="hopper", metrics=WebhookMetrics(CollectorRegistry()))
    hopper.start()
    try:
        await asyncio.to_thread(put_on_tier, kafka, range(_RETRIES))
        await asyncio.to_thread(returned, kafka, _RETRIES)
        await asyncio.to_thread(put_on_tier, kafka, range(_RETRIES, 2 * _RETRIES))
        cluster.kill_node(await asyncio.to_thread(coordinator, cluster, retries.GROUP))
        back = await asyncio.to_thread(returned, kafka, 2 * _RETRIES)
        assert back == {f"delivery-{number}": 1 for number in range(2 * _RETRIES)}
        assert len(joined) == 1
    finally:
        await asyncio.to_thread(hopper.stop)
