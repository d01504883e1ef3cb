"""The worker's loop over a consumer that the test controls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka import commits, consumer_loop
from backbone.kafka.settings import KafkaSettings
from connectors.shared.worker import Worker
from schemas.model.errors import Unavailable
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from backbone.kafka.records import Partition
    from connectors.shared.offsets import PartitionProgress

PARTITION = ("deliveries.webhook", 0)


def delivery(offset: int, value: bytes = b"event", workspace: str = "w") -> ConsumedMessage:
    headers = [("ce_id", b"1"), ("hr_workspace", workspace.encode())]
    return ConsumedMessage(PARTITION[0], value, offset=offset, headers=headers)


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
        self.records: list[ConsumedMessage] = []
        self.end = 0
        self.committed = 0
        self.polls = 0
        self.consumers: list[Consumer] = []


class Handler:
    """Finishes what it is told to."""

    def __init__(self) -> None:
        self.accepted: list[tuple[int, PartitionProgress]] = []
        self.crowded: list[bool] = []
        self.finishes = True
        self.ticks = 0

    @property
    def pending(self) -> int:
        return 0

    def accept(self, message: Any, headers: object, progress: PartitionProgress, *, crowded: bool) -> None:
        del headers
        self.accepted.append((message.offset(), progress))
        self.crowded.append(crowded)
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

    monkeypatch.setattr(consumer_loop, "BatchConsumer", consumer)
    monkeypatch.setattr(consumer_loop, "PAUSE", 0.01)
    monkeypatch.setattr(commits, "COMMIT_EVERY", 0.0)
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
    log.records = [delivery(0), delivery(1)]
    async with running(handler):
        await until(lambda: log.committed == 2)
        handler.finishes = False
        log.records.append(delivery(2))
        await until(lambda: len(handler.accepted) == 3)
        log.consumers[0].trouble = True
        await until(lambda: len(handler.accepted) == 4)
        assert [progress.revoked for _, progress in handler.accepted] == [True, True, True, False]
        handler.finishes = True
    assert [offset for offset, _ in handler.accepted] == [0, 1, 2, 2]
    assert log.consumers[0].closed


async def test_the_end_past_the_last_record_is_committed(log: Log) -> None:
    log.records = [delivery(0)]
    log.end = 2
    async with running(Handler()):
        await until(lambda: log.committed == 2)


async def test_no_more_is_read_while_too_many_bytes_are_under_way(log: Log) -> None:
    handler = Handler()
    handler.finishes = False
    log.records = [delivery(0, b"x" * 100)]
    async with running(handler, max_bytes=100):
        await until(lambda: len(handler.accepted) == 1)
        polls = log.polls
        log.records.append(delivery(1))
        looks = handler.ticks
        await until(lambda: handler.ticks > looks + 3)
        assert log.polls == polls
        ((offset, progress),) = handler.accepted
        progress.finish(offset)
        await until(lambda: len(handler.accepted) == 2)


@pytest.mark.parametrize(("size", "max_bytes"), [(1, 10**9), (1_000, 100_000)], ids=["number", "bytes"])
async def test_the_deliveries_of_one_workspace_leave_room_for_those_of_others(
    log: Log, size: int, max_bytes: int
) -> None:
    handler = Handler()
    handler.finishes = False
    value = b"x" * size
    log.records = [delivery(offset, value, "busy") for offset in range(90)]
    async with running(handler, max_bytes):
        await until(lambda: len(handler.accepted) == 90)
        assert handler.crowded == [False] * 80 + [True] * 10
        # What is put off is finished at once.
        for offset, progress in handler.accepted[80:]:
            progress.finish(offset)
        log.records += [delivery(90 + number, value, "quiet") for number in range(10)]
        log.records.append(delivery(100, value, "busy"))
        await until(lambda: len(handler.accepted) == 101)
        assert handler.crowded[90:] == [False] * 10 + [True]
        handler.accepted[0][1].finish(0)
        log.records.append(delivery(101, value, "late"))
        await until(lambda: len(handler.accepted) == 102)
        assert handler.crowded[101:] == [False]
