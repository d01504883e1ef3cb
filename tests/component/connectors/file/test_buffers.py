"""File sinks killed and stopped at random under load: the files of a chain, one after the other, are the topic."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
from typing import TYPE_CHECKING, Self

import pytest

from backbone.kafka.consumer import BatchConsumer
from schemas.model import topics
from tests.component.connectors.file.file_sinks import ChainKey, FileRoom
from tests.component.connectors.post_office import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.file.file_sinks import Sink
    from tests.component.connectors.post_office import PostOffice

KILLS = 20
_QUICK_ROUNDS = 200
SINKS = 3
ENDPOINTS = 6
PUBLISHERS = ("client-1", "client-2")
CUT = {"HEADRACE_FILE_MAX_EVENTS": "60", "HEADRACE_FILE_MAX_AGE": "0.4"}


class Crowd:
    """Sinks that share the work; one that was killed is started again."""

    def __init__(self, room: FileRoom, chance: random.Random) -> None:
        self._room = room
        self._chance = chance
        self._open = contextlib.ExitStack()
        self.sinks: list[Sink] = []

    def __enter__(self) -> Self:
        for _ in range(SINKS):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        self.sinks.append(self._open.enter_context(self._room.sink(**CUT)))

    async def kill_one(self) -> None:
        sink = self.sinks.pop(self._chance.randrange(len(self.sinks)))
        await sink.is_ready()
        await asyncio.sleep(self._chance.random())
        sink.end(signal.SIGKILL)
        self._start()

    async def stop_one(self, seconds: float) -> None:
        """Hold a sink for longer than its session lasts: it goes on with partitions that are another's by then."""
        sink = self._chance.choice(self.sinks)
        await sink.is_ready()
        sink.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        # Nothing happens should it have been killed meanwhile.
        sink.process.send_signal(signal.SIGCONT)


@pytest.fixture
def room(office: PostOffice, tmp_path: Path) -> FileRoom:
    consumer = BatchConsumer(office.settings, group=None)
    try:
        began = consumer.end_offsets(consumer.partitions_of([topics.FILE_DELIVERIES]))
    finally:
        consumer.close()
    return FileRoom(office, tmp_path, began)


async def publish(room: FileRoom, endpoints: list[Endpoint]) -> None:
    """Deliveries for all endpoints from all publishers, about eight hundred a second for a minute, then two hundred.

    On a machine that starts sinks slowly the kills take longer: what it has to write would grow with that.
    """
    for rounds in itertools.count():
        for endpoint in endpoints:
            for publisher in PUBLISHERS:
                await room.deliver(endpoint, random.randrange(1, 40), publisher)
        await asyncio.sleep(0.3 if rounds < _QUICK_ROUNDS else 1.0)


async def take(room: FileRoom, endpoints: list[Endpoint]) -> None:
    """Subscribers take their files, most of the time."""
    while True:
        await asyncio.sleep(0.5)
        for endpoint in endpoints:
            for name in room.files.names(endpoint.id, 10)[: random.randrange(10)]:
                room.take(endpoint, name)


@contextlib.asynccontextmanager
async def going_on(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    yield
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(ended, asyncio.CancelledError), ended


def filed(room: FileRoom, endpoints: list[Endpoint]) -> dict[ChainKey, list[int]]:
    """What is in files now, after what was taken before."""
    for endpoint in endpoints:
        for name in sorted(room.files.names(endpoint.id, 1_000_000)):
            room.take(endpoint, name)
    return room.taken


@pytest.mark.timeout(600)
async def test_files_equal_the_topic_whatever_happens_to_the_sinks(room: FileRoom) -> None:
    chance = random.Random(20261121)
    endpoints = [await room.endpoint() for _ in range(ENDPOINTS)]
    with Crowd(room, chance) as crowd:
        # Every second subscriber takes its files while it goes on.
        async with going_on(publish(room, endpoints), take(room, endpoints[::2])):
            held = None
            for number in range(KILLS):
                await crowd.kill_one()
                if number % 10 == 5:
                    held = asyncio.create_task(crowd.stop_one(8.0))
            if held is not None:
                await held
        routed = room.routed({endpoint.id for endpoint in endpoints})
        events = sum(len(offsets) for offsets in routed.values())

        def all_filed() -> bool:
            return sum(len(offsets) for offsets in filed(room, endpoints).values()) >= events

        await until(all_filed, f"all of {events} events are in files", 120)
    assert events > 10_000
    assert dict(filed(room, endpoints)) == dict(routed)
