from __future__ import annotations

import asyncio
import bisect
import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import MAX_RECORD_BYTES
from backbone.kafka.records import Record
from backbone.kafka.topology import internal_topics
from backbone.kafka.transaction import TransactionalProducer
from schemas.model import topics
from schemas.model.errors import Fenced, PayloadTooLarge, TransactionAborted, Unavailable
from tests.support.records import records_of

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings
    from tests.component.backbone.conftest import TopicFactory

Factory = Callable[..., TransactionalProducer]


@pytest.fixture
def transactional_factory(kafka: KafkaSettings) -> Iterator[Factory]:
    made: list[TransactionalProducer] = []

    def make(transactional_id: str | None = None, settings: KafkaSettings = kafka) -> TransactionalProducer:
        made.append(TransactionalProducer(settings, transactional_id or f"test-{uuid.uuid4()}"))
        return made[-1]

    yield make
    for producer in made:
        producer.close()


async def values(bootstrap: str, topic: str) -> list[bytes | None]:
    return [each.value() for each in await asyncio.to_thread(records_of, bootstrap, topic)]


async def test_only_what_was_committed_is_seen(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory()
    producer = transactional_factory()
    producer.start()
    for value, keep in ((b"1", True), (b"2", False), (b"3", True)):
        producer.begin()
        producer.produce(Record(topic, value))
        if keep:
            producer.commit()
        else:
            producer.abort()
    producer.abort()  # harmless: none is open
    assert await values(kafka_bootstrap, topic) == [b"1", b"3"]


async def test_offsets_move_with_the_transaction(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka: KafkaSettings
) -> None:
    source, target = await topic_factory(), await topic_factory()
    consumer = BatchConsumer(kafka, group=f"g-{source}")
    consumer.subscribe([source])
    while not consumer.assignment():
        consumer.consume(1, 0.1)
    producer = transactional_factory()
    producer.start()
    metadata = consumer.group_metadata()

    producer.begin()
    producer.produce(Record(target, b"1"))
    producer.send_offsets({(source, 0): 5}, metadata)
    producer.abort()
    assert consumer.committed([(source, 0)]) == {(source, 0): None}

    producer.begin()
    producer.send_offsets({(source, 0): 7}, consumer)
    producer.commit()
    assert consumer.committed([(source, 0)]) == {(source, 0): 7}
    consumer.close()


async def test_the_last_to_start_holds_the_id_and_what_others_left_open_is_gone(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory()
    name = f"test-{uuid.uuid4()}"
    first, second = transactional_factory(name), transactional_factory(name)
    first.start()
    first.begin()
    first.produce(Record(topic, b"first"))
    second.start()
    with pytest.raises(Fenced):
        first.commit()
    second.begin()
    second.produce(Record(topic, b"second"))
    second.commit()
    assert await values(kafka_bootstrap, topic) == [b"second"]


async def test_a_record_over_the_clients_limit_leaves_the_transaction_open(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory()
    producer = transactional_factory()
    producer.start()
    producer.begin()
    with pytest.raises(PayloadTooLarge):
        producer.produce(Record(topic, b"x" * (3 * MAX_RECORD_BYTES)))
    producer.produce(Record(topic, b"small"))
    producer.commit()
    assert await values(kafka_bootstrap, topic) == [b"small"]


async def test_a_record_over_the_topics_limit_aborts_and_says_why(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka_bootstrap: str
) -> None:
    topic = await topic_factory(**{"max.message.bytes": "1000"})
    producer = transactional_factory()
    producer.start()
    producer.begin()
    producer.produce(Record(topic, b"x" * 2_000))
    with pytest.raises(PayloadTooLarge):
        producer.commit()
    # librdkafka misses the rejected record's sequence number and aborts once more before it goes on.
    while await values(kafka_bootstrap, topic) != [b"small"]:
        with contextlib.suppress(TransactionAborted):
            producer.begin()
            producer.produce(Record(topic, b"small"))
            producer.commit()


def test_without_a_broker_starting_is_unavailable(kafka: KafkaSettings) -> None:
    nowhere = kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    producer = TransactionalProducer(nowhere, "nobody", timeout=1)
    with pytest.raises(Unavailable):
        producer.start()
    producer.close()


async def test_the_largest_record_that_the_client_takes_fits_where_deliveries_go(
    transactional_factory: Factory, topic_factory: TopicFactory, kafka: KafkaSettings
) -> None:
    """Else only the commit would fail, again and again, and nobody would know by which record."""
    (deliveries,) = (spec for spec in internal_topics(kafka) if spec.topic == topics.WEBHOOK_DELIVERIES)
    topic = await topic_factory(**{"max.message.bytes": deliveries.config["max.message.bytes"]})
    producer = transactional_factory()
    producer.start()

    def is_taken(size: int) -> bool:
        producer.begin()
        try:
            producer.produce(Record(topic, bytes(size), b"key", headers=[("n", b"1")]))
        except PayloadTooLarge:
            return False
        finally:
            producer.abort()
        return True

    too_large = bisect.bisect_left(range(2_100_000), 1, lo=2_000_000, key=lambda size: not is_taken(size))
    producer.begin()
    producer.produce(Record(topic, bytes(too_large - 1), b"key", headers=[("n", b"1")]))
    producer.commit()
