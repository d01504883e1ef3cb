"""The producer's bounds and failures, which need no broker: there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Client

from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES, Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.workspace_queue import WORKSPACE
from schemas.model.errors import NotAcknowledged, PayloadTooLarge, QueueFull, Unavailable

ProducerFactory = Callable[..., Producer]


@pytest.fixture
async def producer_factory(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProducerFactory]:
    """Producers that wait for 0.3 s, and whose records are in flight for 1 s."""
    monkeypatch.setattr("backbone.kafka.producer._FLUSH", 0.2)
    monkeypatch.setattr("backbone.kafka.producer._LAST_CHANCE", 0.1)
    made: list[Producer] = []

    def make(**bounds: int) -> Producer:
        settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", delivery_timeout=1)
        producer = Producer(settings, wait=0.3, **bounds)
        made.append(producer)
        return producer

    yield make
    for producer in made:
        await producer.stop()


async def is_empty(producer: Producer) -> None:
    """Wait until nothing is in flight."""
    async with asyncio.timeout(60):
        while producer.unacknowledged:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_a_caller_is_answered_in_time_and_its_record_stays_in_flight(producer_factory: ProducerFactory) -> None:
    producer = producer_factory(max_records=2)
    await producer.start()
    client = producer._client
    future = producer.send([Record("t", b"1"), Record("t", b"2")])
    with pytest.raises(NotAcknowledged, match="may still be written"):
        await asyncio.wait_for(future, 60)
    assert producer.unacknowledged == 2
    assert producer._client is client
    assert producer.stalled >= 0.3
    with pytest.raises(QueueFull):
        producer.send([Record("t", b"3")])


async def test_a_record_without_an_outcome_is_given_up_with_its_client_and_its_room_is_free_again(
    producer_factory: ProducerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    producer = producer_factory()
    await producer.start()
    client = producer._client
    future = producer.send([Record("t", b"1"), Record("t", b"2")], final=True)
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(future, 60)
    assert producer.unacknowledged == 0
    assert producer.stalled == 0
    assert producer._client is not client
    assert len(client) == 0
    assert [each.message for each in caplog.records if each.name == "backbone.kafka.producer"] == [
        "kafka producer: replaced, for a record has had no outcome for 1 s"
    ]


async def test_one_workspace_leaves_room_in_the_queue_to_others(producer_factory: ProducerFactory) -> None:
    producer = producer_factory(max_records=10, max_bytes=1_000)
    await producer.start()
    send = producer.send
    WORKSPACE.set("busy")
    sent = [send([Record("t", b"1")] * count) for count in (5, 3)]
    with pytest.raises(QueueFull):
        send([Record("t", b"1")])
    WORKSPACE.set("large")
    sent.append(send([Record("t", b"1" * 400)]))
    with pytest.raises(QueueFull):
        send([Record("t", b"1" * 101)])
    WORKSPACE.set("quiet")
    sent.append(send([Record("t", b"1")]))
    for each in sent:
        with pytest.raises(NotAcknowledged):
            await asyncio.wait_for(each, 60)
    await is_empty(producer)
    WORKSPACE.set("busy")
    # A batch of more than its share still goes out when nothing else of its workspace waits.
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(send([Record("t", b"1")] * 9), 60)


async def test_a_batch_that_does_not_fit_is_refused_whole(producer_factory: ProducerFactory) -> None:
    producer = producer_factory(max_records=3, max_bytes=1_000)
    await producer.start()
    first = producer.send([Record("t", b"1"), Record("t", b"2")])
    with pytest.raises(QueueFull):
        producer.send([Record("t", b"3"), Record("t", b"4")])
    with pytest.raises(QueueFull):
        producer.send([Record("t", b"x" * 1_000)])
    assert producer.unacknowledged == 2
    with pytest.raises(NotAcknowledged):
        await first


async def test_a_value_over_the_limit_is_refused_before_anything_is_sent(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    await producer.start()
    with pytest.raises(PayloadTooLarge):
        producer.send([Record("t", b"1"), Record("t", b"x" * (MAX_RECORD_BYTES + 1))])
    assert producer.unacknowledged == 0


@pytest.mark.parametrize("position", [0, 1])
async def test_a_record_that_librdkafka_refuses_fails_its_batch(
    producer_factory: ProducerFactory, position: int
) -> None:
    producer = producer_factory()
    await producer.start()
    bad = Record("t", b"x" * MAX_RECORD_BYTES, headers=[("h", b"x" * (2 * MAX_HEADER_BYTES))])
    batch = [Record("t", b"1"), Record("t", b"2")]
    batch.insert(position, bad)
    with pytest.raises(NotAcknowledged if position else PayloadTooLarge):
        await asyncio.wait_for(producer.send(batch), 60)
    await is_empty(producer)


async def test_nothing_is_acknowledged_at_once(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    await producer.start()
    assert await producer.send([]) == []


async def test_a_producer_that_does_not_run_is_unavailable(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    with pytest.raises(Unavailable):
        producer.send([Record("t", b"1")])
    await producer.start()
    await producer.stop()
    with pytest.raises(Unavailable):
        producer.send([Record("t", b"1")])


async def test_a_caller_that_gave_up_does_not_disturb_the_producer(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    await producer.start()
    producer.send([Record("t", b"1")]).cancel()
    with pytest.raises(NotAcknowledged):
        await producer.send([Record("t", b"2")])
    await is_empty(producer)


async def test_a_fatal_error_makes_room_for_a_new_client(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    await producer.start()
    failed = producer._client
    pending = producer.send([Record("t", b"1")])
    producer._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", True))
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(pending, 60)
    assert producer._client is not failed
    assert producer.unacknowledged == 0


async def test_a_new_client_that_cannot_be_had_at_once_is_asked_for_again(
    producer_factory: ProducerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as acknowledgements are not looked for, every request would hang."""
    producer = producer_factory()
    await producer.start()
    made = asyncio.Event()
    refusals = [KafkaException(KafkaError(KafkaError._CRIT_SYS_RESOURCE, "no more threads"))] * 3

    def client_or_none(config: dict[str, object]) -> Client:
        if refusals:
            raise refusals.pop()
        made.set()
        return Client(config)

    monkeypatch.setattr("backbone.kafka.producer.Client", client_or_none)
    pending = producer.send([Record("t", b"1")])
    producer._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", True))
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(pending, 60)
    await asyncio.wait_for(made.wait(), 60)
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(producer.send([Record("t", b"2")]), 60)


async def test_what_still_gathers_when_the_producer_stops_is_sent(producer_factory: ProducerFactory) -> None:
    producer = producer_factory()
    await producer.start()
    pending = producer.send([Record("t", b"1")])
    await producer.stop()
    with pytest.raises(NotAcknowledged):
        await asyncio.wait_for(pending, 60)


async def test_an_error_that_passes_is_left_to_the_clients_own_log(
    producer_factory: ProducerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a broker there are several a second, for each producer, for as long as it is away."""
    producer = producer_factory()
    await producer.start()

    def said() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "backbone.kafka.producer"]

    producer._on_error(KafkaError(KafkaError._TRANSPORT, "connection refused"))
    producer._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert said() == []
    producer._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", True))
    assert said() == ["kafka producer: out of order"]
