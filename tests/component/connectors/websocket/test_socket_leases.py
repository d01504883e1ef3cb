"""What a realtime node tells the router of its event-service sockets, on a real topic."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.tail import TopicTail
from backbone.kafka.topology import ensure_internal_topics
from families.event_service.delivery.leases import SocketLeases
from schemas.model import topics
from schemas.model.delivery import SOCKET, SocketKey
from schemas.model.errors import Unavailable
from stream_processors.routing.socket_presence import OpenSockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backbone.kafka.records import Ack, Message, Record
    from backbone.kafka.settings import KafkaSettings

WINDOW = 1.0


class Topic:
    """``endpoint-state`` as the router sees it, and the keys that are on it."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.sockets = OpenSockets(settings)
        self.keys: set[SocketKey] = set()
        self.openings: list[str] = []
        self.leases: Counter[str] = Counter()
        self._tail = TopicTail(settings, [topics.ENDPOINT_STATE], self._note, name="test")

    def _note(self, message: Message) -> None:
        key = SocketKey.parse((message.key() or b"").decode())
        if key is None:
            return
        if message.value() is None:
            self.keys.discard(key)
        else:
            self.keys.add(key)
            self.openings += [key.endpoint] if key.kind == SOCKET else []
            self.leases[key.endpoint] += key.kind != SOCKET

    async def read(self) -> None:
        await asyncio.gather(self._tail.caught_up(), asyncio.to_thread(self.sockets.catch_up))

    async def counts(self, endpoint: str) -> bool:
        await self.read()
        return endpoint in self.sockets.current()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Topic]:
        self._tail.start()
        try:
            yield self
        finally:
            await asyncio.to_thread(self._tail.stop)
            await asyncio.to_thread(self.sockets.stop)


@pytest.fixture
async def topic(kafka: KafkaSettings) -> AsyncIterator[Topic]:
    await ensure_internal_topics(Admin(kafka))
    async with Topic(kafka).following() as found:
        yield found


class HeldTombstones(Producer):
    """Does not send the tombstones of an endpoint before it may."""

    def __init__(self, settings: KafkaSettings, endpoint: str) -> None:
        super().__init__(settings)
        self._endpoint = endpoint
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    def send(self, records: Sequence[Record]) -> asyncio.Future[list[Ack]]:
        if any(each.value is None and (each.key or b"").startswith(self._endpoint.encode()) for each in records):
            self.asked.set()
            return asyncio.ensure_future(self._once_it_may(records))
        return super().send(records)

    async def _once_it_may(self, records: Sequence[Record]) -> list[Ack]:
        await self.may.wait()
        return await super().send(records)


@contextlib.asynccontextmanager
async def node(
    kafka: KafkaSettings, *, window: float = WINDOW, producer: Producer | None = None
) -> AsyncIterator[SocketLeases]:
    producer = producer or Producer(kafka)
    await producer.start()
    leases = SocketLeases(kafka, producer, node=str(uuid4()), window=window)
    leases.start()
    try:
        yield leases
    finally:
        await leases.stop()
        await producer.stop()


async def until(topic: Topic, endpoint: str, *, counts: bool) -> None:
    deadline = time.monotonic() + 30
    while await topic.counts(endpoint) != counts:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_socket_counts_once_it_may_be_answered_and_for_the_window_after_its_end(
    kafka: KafkaSettings, topic: Topic
) -> None:
    endpoint = str(uuid4())
    async with node(kafka) as leases:
        await leases.open(endpoint)
        await until(topic, endpoint, counts=True)
        first = topic.sockets.current()[endpoint]
        await asyncio.sleep(2 * WINDOW)
        await until(topic, endpoint, counts=True)
        assert topic.sockets.current()[endpoint] == first
        closed_at = time.time() * 1_000
        await leases.close(endpoint)
        await topic.read()
        assert first[1].covers(int(closed_at + WINDOW * 900))
        await until(topic, endpoint, counts=False)


async def test_a_client_that_comes_back_in_the_window_goes_on_with_the_same_lease(
    kafka: KafkaSettings, topic: Topic
) -> None:
    endpoint = str(uuid4())
    async with node(kafka, window=60) as leases:
        for _ in range(3):
            await leases.open(endpoint)
            await leases.close(endpoint)
        await topic.read()
        assert topic.openings.count(endpoint) == 1


async def test_what_ended_leaves_nothing_on_the_topic(kafka: KafkaSettings, topic: Topic) -> None:
    mine, theirs = str(uuid4()), str(uuid4())
    async with node(kafka) as stopped:
        await stopped.open(theirs)
    await until(topic, theirs, counts=False)
    await asyncio.sleep(WINDOW)
    async with node(kafka) as leases:
        await leases.open(mine)
        await leases.close(mine)
        deadline = time.monotonic() + 30
        while {mine, theirs} & {key.endpoint for key in topic.keys}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
            await topic.read()


async def test_a_socket_opened_while_what_ended_is_removed_counts_as_long_as_it_is_open(
    kafka: KafkaSettings, topic: Topic
) -> None:
    endpoint = str(uuid4())
    producer = HeldTombstones(kafka, endpoint)
    async with node(kafka, window=0.5, producer=producer) as leases:
        await leases.open(endpoint)
        await leases.close(endpoint)
        await asyncio.wait_for(producer.asked.wait(), 30)
        opening = asyncio.create_task(leases.open(endpoint))
        await asyncio.sleep(0)
        producer.may.set()
        await asyncio.wait_for(opening, 30)
        await topic.read()
        before = topic.leases[endpoint]
        deadline = time.monotonic() + 30
        while topic.leases[endpoint] < before + 3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
            await topic.read()
        await leases.close(endpoint)


async def test_a_socket_that_cannot_be_told_is_not_opened(kafka: KafkaSettings) -> None:
    producer = Producer(kafka)
    leases = SocketLeases(kafka, producer, node=str(uuid4()), window=WINDOW)
    with pytest.raises(Unavailable):
        await leases.open(str(uuid4()))
    await leases.close("never opened")
    await leases.stop()
