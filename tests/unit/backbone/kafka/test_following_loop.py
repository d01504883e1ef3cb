"""A reader of the partitions that another topic's owner has: it reads on at commits, and gives up when told."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import backbone.kafka.following_loop as following_module
from backbone.kafka.following_loop import FollowingLoop
from backbone.kafka.settings import KafkaSettings
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from backbone.kafka.records import Partition

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1")
TOPIC = "deliveries.webhook.replay"


class Message:
    def __init__(self, number: int, offset: int) -> None:
        self._number, self._offset = number, offset

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._number

    def offset(self) -> int:
        return self._offset


class Kafka:
    """Partitions with so many records, and what is committed; a consumer of it is itself."""

    def __init__(self) -> None:
        self.ends: dict[Partition, int] = {}
        self.commits: dict[Partition, int] = {}
        self.lengths = dict.fromkeys(range(4), 10)
        self.assigned: dict[Partition, int] = {}
        self.failures = 0

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        return {each: self.commits.get(each) for each in partitions}

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        self.assigned = {each: max(0, offset) for each, offset in offsets.items()}

    def consume(self, _count: int, _timeout: float) -> list[Message]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("not now")
        found = []
        for (topic, number), offset in self.assigned.items():
            if offset < self.lengths[number]:
                found.append(Message(number, offset))
                self.assigned[topic, number] = offset + 1
        time.sleep(0.001)
        return found

    def close(self) -> None:
        self.assigned = {}


class Member:
    """Commits what it has read of a partition when that is taken away."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self.read: list[tuple[int, int]] = []
        self.failed_with: list[Exception] = []

    def assigned(self, _partitions: list[Partition]) -> None:
        pass

    def handle(self, _consumer: Any, records: Sequence[Message]) -> None:
        self.read += [(each.partition(), each.offset()) for each in records]

    def revoked(self, _consumer: Any, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._kafka.commits[partition] = sum(number == partition[1] for number, _ in self.read)

    def failed(self, error: Exception) -> None:
        self.failed_with.append(error)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka()
    monkeypatch.setattr(following_module, "BatchConsumer", lambda *_, **__: made)
    monkeypatch.setattr(following_module, "PAUSE", 0.01)
    monkeypatch.setattr(following_module, "_IDLE", 0.01)
    return made


class Running:
    """A loop on its thread."""

    def __init__(self, kafka: Kafka) -> None:
        self.member, self.room = Member(kafka), True
        self.loop = FollowingLoop(
            SETTINGS,
            group="g",
            topic=TOPIC,
            member=self.member,  # type: ignore[arg-type]  # a double
            has_room=lambda: self.room,
            batch=10,
        )
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.loop.run, args=[self.stopping])
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(10)


@pytest.fixture
def running(kafka: Kafka) -> Iterator[Running]:
    made = Running(kafka)
    yield made
    made.stop()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_it_reads_what_it_follows_and_the_next_owner_goes_on_where_it_left(kafka: Kafka, running: Running) -> None:
    running.loop.follow([0, 1])
    until(lambda: len(running.member.read) == 20)

    running.loop.leave([1], 10)
    assert kafka.commits == {(TOPIC, 1): 10}
    kafka.lengths |= {0: 12, 1: 12}
    until(lambda: (0, 11) in running.member.read)
    running.loop.follow([1])
    until(lambda: (1, 11) in running.member.read)

    assert sorted(running.member.read) == [(number, offset) for number in (0, 1) for offset in range(12)]


def test_live_deliveries_go_first_and_leaving_does_not_wait_for_room(
    kafka: Kafka, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.room = False
    running.loop.follow([2])
    until(lambda: (TOPIC, 2) in kafka.assigned)
    running.loop.leave([2], 60)

    assert caplog.messages == []  # it tells when it has waited in vain
    assert running.member.read == []
    assert kafka.commits == {(TOPIC, 2): 0}


def test_a_failure_gives_everything_up_and_reads_on_at_the_commits(kafka: Kafka, running: Running) -> None:
    running.loop.follow([3])
    until(lambda: len(running.member.read) >= 3)
    kafka.failures = 1
    until(lambda: len(running.member.failed_with) == 1)
    until(lambda: len(running.member.read) == 10)

    assert running.member.read == [(3, offset) for offset in range(10)]


def test_nobody_waits_for_a_loop_that_has_ended(
    kafka: Kafka, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.loop.follow([0])
    until(lambda: len(running.member.read) == 10)
    running.stop()
    assert kafka.commits == {(TOPIC, 0): 10}

    running.loop.leave([0], 10)
    assert caplog.messages == []  # it tells when it has waited in vain
