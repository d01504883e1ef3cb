from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Message, Partition, Record
from backbone.kafka.tail import TopicTail
from backbone.kafka.transaction import TransactionalProducer
from schemas.model.errors import CorruptRecord, Unavailable

if TYPE_CHECKING:
    from backbone.kafka.producer import Producer
    from backbone.kafka.settings import KafkaSettings
    from tests.component.backbone.conftest import TopicFactory

Factory = Callable[..., TopicTail]


@pytest.fixture
def tail_factory(kafka: KafkaSettings) -> Iterator[Factory]:
    made: list[TopicTail] = []

    def make(topics: Sequence[str], apply: Callable[[Message], None], **options: Any) -> TopicTail:
        made.append(TopicTail(kafka, topics, apply, name="test", **options))
        made[-1].start()
        return made[-1]

    yield make
    for tail in made:
        tail.stop()


class View(list[bytes | None]):
    """The values seen, in order."""

    def apply(self, message: Message) -> None:
        self.append(message.value())


async def test_everything_written_before_the_question_has_been_applied(
    tail_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    topic, view = await topic_factory(partitions=3), View()
    tail = tail_factory([topic], view.apply)
    await tail.caught_up()
    assert view == []
    for count in range(1, 30):
        (ack,) = await producer.send([Record(topic, str(count).encode())])
        await tail.caught_up()
        assert len(view) == count
        assert tail.passed(topic, ack.partition, ack.offset)
        assert not tail.passed(topic, ack.partition, ack.offset + 1)


async def test_blocking_and_async_questions_agree(
    tail_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    topic, view = await topic_factory(), View()
    tail = tail_factory([topic], view.apply)
    await producer.send([Record(topic, b"1")])
    await asyncio.gather(asyncio.to_thread(tail.catch_up), *(tail.caught_up() for _ in range(20)))
    assert view == [b"1"]


async def test_waiting_for_a_turn_counts(
    tail_factory: Factory, topic_factory: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = tail_factory([await topic_factory()], View().apply)
    await tail.caught_up()
    asking = asyncio.Event()

    async def never(_admin: Admin, _partitions: object) -> dict[Any, int]:
        asking.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(Admin, "end_offsets", never)
    first = asyncio.ensure_future(tail.caught_up(60))
    await asking.wait()
    with pytest.raises(Unavailable, match="did not catch up"):
        await tail.caught_up(0.05)
    assert not first.done()
    first.cancel()


async def test_markers_and_aborted_records_do_not_keep_it_from_the_end(
    tail_factory: Factory, topic_factory: TopicFactory, kafka: KafkaSettings
) -> None:
    topic, view = await topic_factory(), View()
    tail = tail_factory([topic], view.apply)
    writer = TransactionalProducer(kafka, f"test-{uuid.uuid4()}", timeout=60)
    writer.start()
    for value in (b"1", b"2", b"3"):
        writer.begin()
        writer.produce(Record(topic, value))
        if value == b"2":
            writer._client.flush(60)
            writer.abort()
        else:
            writer.commit()
        await tail.caught_up()
    # Offsets: record and marker of each of the three transactions.
    await tail.wait_past(topic, 0, 5)
    assert view == [b"1", b"3"]
    writer.close()


async def test_the_marker_after_the_last_record_of_one_writer_is_not_waited_for(
    tail_factory: Factory, topic_factory: TopicFactory, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backbone.kafka.tail._IDLE_FETCH", 30_000)
    topic, view, other = await topic_factory(), View(), View()
    tail, without = tail_factory([topic], view.apply, one_writer=True), tail_factory([topic], other.apply)
    writer = TransactionalProducer(kafka, f"test-{uuid.uuid4()}", timeout=60)
    writer.start()
    end = 0
    for count in range(1, 4):
        writer.begin()
        for number in range(count):
            writer.produce(Record(topic, str(number).encode()))
        writer.commit()
        end += count
        await tail.wait_past(topic, 0, end - 1, 20)
        assert view[-count:] == [str(number).encode() for number in range(count)]
        # A position is that after a record; the end is that after its marker.
        assert not tail.passed(topic, 0, end)
        await tail.caught_up(20)
        end += 1
    with pytest.raises(Unavailable, match="did not catch up"):
        await without.caught_up(1)
    assert other == view
    writer.close()


async def test_an_open_transaction_is_no_part_of_the_end(
    tail_factory: Factory, producer: Producer, topic_factory: TopicFactory, kafka: KafkaSettings
) -> None:
    topic, view = await topic_factory(), View()
    writer = TransactionalProducer(kafka, f"test-{uuid.uuid4()}", timeout=60)
    writer.start()
    writer.begin()
    writer.produce(Record(topic, b"open"))
    writer._client.flush(60)
    (ack,) = await producer.send([Record(topic, b"behind it")])
    tail = tail_factory([topic], view.apply)
    await tail.caught_up()
    assert view == []
    with pytest.raises(Unavailable, match="did not catch up"):
        await tail.wait_past(topic, 0, ack.offset, 0.2)
    writer.commit()
    await tail.wait_past(topic, 0, ack.offset)
    assert view == [b"open", b"behind it"]
    writer.close()


async def test_a_record_that_cannot_be_applied_is_reported_and_passed(
    tail_factory: Factory, producer: Producer, topic_factory: TopicFactory
) -> None:
    topic = await topic_factory()
    good: list[bytes | None] = []
    bad: list[tuple[int | None, str]] = []

    def apply(message: Message) -> None:
        if message.value() == b"corrupt":
            raise CorruptRecord("not what it should be")
        if message.value() == b"surprise":
            raise KeyError("x")
        good.append(message.value())

    tail = tail_factory([topic], apply, on_corrupt=lambda message, error: bad.append((message.offset(), str(error))))
    await producer.send([Record(topic, value) for value in (b"1", b"corrupt", b"surprise", b"2")])
    await tail.caught_up()
    assert good == [b"1", b"2"]
    assert bad == [(1, "not what it should be"), (2, "cannot be applied: KeyError('x')")]


async def test_a_topic_may_come_into_being_later(tail_factory: Factory, producer: Producer, admin: Admin) -> None:
    topic, view = f"test-{uuid.uuid4()}", View()
    tail = tail_factory([topic], view.apply)
    with pytest.raises(Unavailable):
        await tail.caught_up(0.3)
    await admin.ensure_topics([TopicSpec(topic, 1)])
    await producer.send([Record(topic, b"1")])
    await tail.caught_up()
    assert view == [b"1"]


@pytest.mark.parametrize("error", [Unavailable("consume: fatal"), RuntimeError("nobody thought of this")])
async def test_it_reads_on_where_it_stood_when_its_consumer_fails_for_good(
    tail_factory: Factory,
    producer: Producer,
    topic_factory: TopicFactory,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    topic, view = await topic_factory(), View()
    tail = tail_factory([topic], view.apply)
    await producer.send([Record(topic, b"1")])
    await tail.caught_up()
    pauses: list[float] = []
    paused = threading.Event()
    failing = [True]
    consume, assign = BatchConsumer.consume, BatchConsumer.assign

    def consume_or_fail(consumer: BatchConsumer, count: int, timeout: float) -> list[Message]:
        if failing:
            raise error
        return consume(consumer, count, timeout)

    def assign_or_fail(consumer: BatchConsumer, offsets: Mapping[Partition, int]) -> None:
        if len(pauses) == 5:
            raise RuntimeError("no consumer to be had")
        assign(consumer, offsets)

    def note_pause(seconds: float) -> bool:
        pauses.append(seconds)
        paused.set()
        if len(pauses) == 9:
            failing.clear()
        return False

    monkeypatch.setattr(tail._stopping, "wait", note_pause)
    monkeypatch.setattr(BatchConsumer, "consume", consume_or_fail)
    monkeypatch.setattr(BatchConsumer, "assign", assign_or_fail)
    assert await asyncio.to_thread(paused.wait, 60)
    await producer.send([Record(topic, b"2")])
    await tail.caught_up()
    assert view == [b"1", b"2"]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


async def test_who_waits_is_told_when_it_stops(tail_factory: Factory, topic_factory: TopicFactory) -> None:
    topic, view = await topic_factory(), View()
    tail = tail_factory([topic], view.apply)
    await tail.caught_up()
    waiting = asyncio.ensure_future(tail.wait_past(topic, 0, 10))
    await asyncio.sleep(0)
    await asyncio.to_thread(tail.stop)
    with pytest.raises(Unavailable, match="stopped"):
        await waiting
    with pytest.raises(Unavailable):
        await tail.caught_up()


async def test_what_is_committed_behind_an_open_transaction_is_waited_for(
    kafka: KafkaSettings, tail_factory: Factory, topic_factory: TopicFactory
) -> None:
    topic, view = await topic_factory(partitions=1), View()
    tail = tail_factory([topic], view.apply)
    await tail.caught_up()
    hanging = TransactionalProducer(kafka, f"hanging-{uuid.uuid4()}")
    own = TransactionalProducer(kafka, f"own-{uuid.uuid4()}")
    try:
        for producer in (hanging, own):
            producer.start()
            producer.begin()
            producer.produce(Record(topic, b"mine" if producer is own else b"open"))
            producer._client.flush(10)
        own.commit()

        with pytest.raises(Unavailable):
            await asyncio.to_thread(tail.catch_up, 0.5, written=True)
        assert view == []
        hanging.abort()
        await asyncio.to_thread(tail.catch_up, written=True)
        assert view == [b"mine"]
    finally:
        hanging.close()
        own.close()
