"""The worker's loop over a consumer that the test controls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.settings import KafkaSettings
from connectors import worker as worker_module
from connectors.worker import Worker
from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from backbone.kafka.records import Partition
    from connectors.offsets import PartitionProgress

PARTITION = ("deliveries.webhook", 0)


class Delivery:
    """A consumed record."""

    def __init__(self, offset: int, value: bytes = b"event") -> None:
        self._offset, self._value = offset, value

    def topic(self) -> str:
        return PARTITION[0]

    def partition(self) -> int:
        return PARTITION[1]

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value


class Consumer:
    """Hands out what is in its log; ``trouble`` makes it one that no further call gets to work."""

    def __init__(self, log: Log, on_assigned: Callable[..., None], on_revoked: Callable[..., None]) -> None:
        self._log, self._on_assigned, self._on_revoked = log, on_assigned, on_revoked
        self._assigned = False
        self._position = log.committed
        self.ends: dict[Partition, int] = {}
        self.trouble = False
        self.closed = False
        log.consumers.append(self)

    def subscribe(self, topics: list[str]) -> None:
        assert topics == [PARTITION[0]]

    def consume(self, count: int, _timeout: float) -> list[Any]:
        if self.trouble:
            raise Unavailable("fatal")
        if not self._assigned:
            self._assigned = True
            self._on_assigned([PARTITION])
        self._log.polls += 1
        found = [each for each in self._log.records if each.offset() >= self._position][:count]
        if found:
            self._position = found[-1].offset() + 1
        elif self._log.end:
            self.ends[PARTITION] = self._log.end
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        if self.trouble:
            raise Unavailable("fatal")
        self._log.committed = offsets[PARTITION]

    def close(self) -> None:
        self.closed = True
        if self._assigned and not self.trouble:
            self._on_revoked([PARTITION])


class Log:
    """One partition, and everybody who reads it."""

    def __init__(self) -> None:
        self.records: list[Delivery] = []
        self.end = 0
        self.committed = 0
        self.polls = 0
        self.consumers: list[Consumer] = []


class Handler:
    """Finishes what it is told to."""

    def __init__(self) -> None:
        self.accepted: list[tuple[int, PartitionProgress]] = []
        self.finishes = True
        self.ticks = 0

    @property
    def pending(self) -> int:
        return 0

    def accept(self, message: Any, progress: PartitionProgress) -> None:
        self.accepted.append((message.offset(), progress))
        if self.finishes:
            progress.finish(message.offset())

    def tick(self) -> None:
        self.ticks += 1

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        del parts, seconds


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()

    def consumer(_settings: Any, *, group: str, on_assigned: Any, on_revoked: Any, on_stall: Any) -> Consumer:
        assert on_stall is None
        assert group == "g"
        return Consumer(made, on_assigned, on_revoked)

    monkeypatch.setattr(worker_module, "BatchConsumer", consumer)
    monkeypatch.setattr(worker_module, "_AGAIN", 0.01)
    monkeypatch.setattr(worker_module, "_COMMIT_EVERY", 0.0)
    return made


@contextlib.asynccontextmanager
async def running(handler: Handler, max_bytes: int = 10**9) -> AsyncIterator[None]:
    worker = Worker(
        KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        topic=PARTITION[0],
        group="g",
        handler=handler,
        max_pending=100,
        max_bytes=max_bytes,
        drain=0.0,
    )
    stopping = asyncio.Event()
    task = asyncio.create_task(worker.run(stopping, lambda: None))
    yield
    stopping.set()
    await task


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_a_consumer_that_failed_for_good_is_replaced_and_what_was_unfinished_comes_again(log: Log) -> None:
    handler = Handler()
    log.records = [Delivery(0), Delivery(1)]
    async with running(handler):
        await until(lambda: log.committed == 2)
        handler.finishes = False
        log.records.append(Delivery(2))
        await until(lambda: len(handler.accepted) == 3)
        log.consumers[0].trouble = True
        await until(lambda: len(handler.accepted) == 4)
        assert [progress.revoked for _, progress in handler.accepted] == [True, True, True, False]
        handler.finishes = True
    assert [offset for offset, _ in handler.accepted] == [0, 1, 2, 2]
    assert log.consumers[0].closed


async def test_the_end_past_the_last_record_is_committed(log: Log) -> None:
    log.records = [Delivery(0)]
    log.end = 2
    async with running(Handler()):
        await until(lambda: log.committed == 2)


async def test_no_more_is_read_while_too_many_bytes_are_under_way(log: Log) -> None:
    handler = Handler()
    handler.finishes = False
    log.records = [Delivery(0, b"x" * 100)]
    async with running(handler, max_bytes=100):
        await until(lambda: len(handler.accepted) == 1)
        polls = log.polls
        log.records.append(Delivery(1))
        looks = handler.ticks
        await until(lambda: handler.ticks > looks + 3)
        assert log.polls == polls
        ((offset, progress),) = handler.accepted
        progress.finish(offset)
        await until(lambda: len(handler.accepted) == 2)
