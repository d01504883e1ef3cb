"""What the hopper moves in one transaction, out of what it holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from backbone.kafka import consumer_loop
from backbone.kafka.producer import MAX_RECORD_BYTES
from backbone.kafka.records import Message, Record
from backbone.kafka.settings import KafkaSettings
from connectors.webhook import retry_scheduler as retries
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.retry_scheduler import RetryScheduler, Tier
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.errors import Fenced, PayloadTooLarge, TransactionAborted, Unavailable

if TYPE_CHECKING:
    from backbone.kafka.records import Partition

TIER = topics.RETRY_TIERS[5]
BACKLOG, OTHER = (TIER, 0), (topics.RETRY_TIERS[30], 1)
NOW_MS = timestamps.now() // 1_000


def waited(
    partition: Partition,
    offset: int,
    *,
    due: int,
    endpoint: str = "hook",
    key: bytes = b"hook",
    value: bytes = b"event",
) -> Message:
    """A record that has been on its tier for an hour."""
    delivery = Delivery(
        id=f"d{offset}",
        event="e1",
        endpoint=endpoint,
        workspace="acme",
        source=SourceOffset("events.acme.shop.order", 0, offset),
        subscriptions=(),
        routed_at=NOW_MS * 1_000,
        due=due,
    )
    return Message(
        topic=partition[0],
        partition=partition[1],
        offset=offset,
        key=key,
        value=value,
        headers=list(delivery.to_headers()),
        timestamp=(2, NOW_MS - 3_600_000),
    )


class World:
    """A hopper, and the transactions that it commits."""

    def __init__(self) -> None:
        self.moved: list[Record] = []
        self.offsets: dict[Partition, int] = {}
        self.hopper = RetryScheduler(
            KafkaSettings(bootstrap_servers="127.0.0.1:1"),
            transactional_id="h",
            metrics=WebhookMetrics(CollectorRegistry()),
        )
        self.hopper._producer = self  # type: ignore[assignment]  # as much of it as is used
        self.hopper.assigned([BACKLOG, OTHER])

    def hold(self, partition: Partition, *messages: Message) -> None:
        for message in messages:
            self.hopper._tiers[partition].hold(message)

    def move(self) -> list[Record]:
        """One transaction."""
        self.moved = []
        self.hopper._move_ripe(self)  # type: ignore[arg-type]  # as above
        return self.moved

    def begin(self) -> None:
        pass

    def produce(self, record: Record) -> None:
        headers = sum(len(name) + len(value) for name, value in record.headers or [])
        if len(record.value or b"") + len(record.key or b"") + headers > 2 * MAX_RECORD_BYTES:
            raise PayloadTooLarge("too large")
        self.moved.append(record)

    def send_offsets(self, offsets: dict[Partition, int], _: Any) -> None:
        self.offsets |= offsets

    def commit(self) -> None:
        pass


@pytest.fixture
def world() -> World:
    return World()


def test_nobody_waits_behind_the_backlog_of_another_partition(world: World) -> None:
    world.hold(BACKLOG, *(waited(BACKLOG, offset, due=NOW_MS) for offset in range(12_000)))
    world.hold(OTHER, *(waited(OTHER, offset, endpoint="other", due=NOW_MS) for offset in range(200)))

    assert [record.key for record in world.move()].count(b"other") == 200
    assert len(world.moved) == retries._MOVES
    first = [dict(record.headers or [])["hr_delivery"] for record in world.moved if record.key == b"hook"]
    assert first == [b"d%d" % offset for offset in range(4_800)]
    assert world.offsets == {BACKLOG: 4_800, OTHER: 200}


def test_a_transaction_has_no_more_bytes_than_it_has_time_for(world: World) -> None:
    large = b"x" * 900_000
    world.hold(BACKLOG, *(waited(BACKLOG, offset, value=large, due=NOW_MS) for offset in range(60)))
    world.hold(OTHER, waited(OTHER, 0, endpoint="other", due=NOW_MS))

    rounds = []
    while moved := world.move():
        rounds.append(len(moved))
        assert sum(len(record.value or b"") for record in moved) < retries._MOVED_BYTES + 2_000_000
        assert (b"other" in [record.key for record in moved]) == (len(rounds) == 1)
    assert sum(rounds) == 61
    assert world.offsets == {BACKLOG: 60, OTHER: 1}


@pytest.mark.parametrize("left", [0, 3_600_000])
@pytest.mark.parametrize(("endpoint", "key"), [("hook", b"k" * 3_000_000), ("h" * 3_000_000, b"hook")])
def test_what_only_compression_made_small_does_not_stop_retries(
    world: World, left: int, endpoint: str, key: bytes
) -> None:
    due = int(time.time() * 1_000) + left
    world.hold(BACKLOG, waited(BACKLOG, 0, endpoint=endpoint, key=key, due=due))

    (moved,) = world.move()

    assert (moved.topic == topics.DEAD_LETTERS) == (endpoint != "hook")
    assert world.offsets == {BACKLOG: 1}


def test_a_record_from_the_future_waits_no_longer_than_others() -> None:
    tier = Tier(TIER)
    now = time.time()
    early = Message(topic=TIER, partition=0, offset=0, timestamp=(2, int((now + 86_400) * 1_000)))
    tier.hold(early)

    assert tier.ripe(now + 4, 10, 1_000) == []
    assert tier.ripe(time.time() + 5, 10, 1_000) == [early]


class Broken:
    """A consumer and a producer; moves fail for a while."""

    def __init__(self, hopper: RetryScheduler, failures: list[Exception]) -> None:
        self.hopper, self.failures = hopper, failures
        self.log: list[str] = []
        self.position = 0

    def consumer(self, _settings: Any, **_callbacks: Any) -> Broken:
        self.log.append("join")
        self.hopper.assigned([BACKLOG])
        return self

    def producer(self, *_arguments: Any, **_options: Any) -> Broken:
        self.log.append("producer")
        return self

    def subscribe(self, _topics: list[str]) -> None: ...

    def start(self) -> None: ...

    def begin(self) -> None: ...

    def produce(self, _record: Record) -> None: ...

    def pause(self, _partitions: Any) -> None: ...

    def resume(self, _partitions: Any) -> None: ...

    def consume(self, _count: int, _timeout: float) -> list[Message]:
        found = [] if self.position else [waited(BACKLOG, 0, due=NOW_MS - 1)]
        self.position = 1
        return found

    def committed(self, partitions: Any) -> dict[Partition, int | None]:
        return dict.fromkeys(partitions)

    def seek(self, _offsets: Any) -> None:
        self.log.append("seek")
        self.position = 0

    def send_offsets(self, _offsets: Any, _consumer: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def commit(self) -> None:
        self.log.append("commit")
        self.hopper._stopping.set()

    def close(self) -> None:
        self.log.append("close")


@pytest.mark.parametrize(
    ("failure", "log"),
    [
        (TransactionAborted("timed out"), ["join", "producer", "seek", "commit"]),
        (Fenced("hangs"), ["join", "producer", "close", "producer", "seek", "commit"]),
        (Unavailable("no coordinator"), ["join", "producer", "seek", "commit"]),
    ],
)
def test_a_move_that_fails_is_made_again_by_the_same_member(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, log: list[str]
) -> None:
    """A consumer that leaves and whose leave does not arrive keeps its partitions from all for a whole session."""
    hopper = World().hopper
    hopper._producer = None
    broken = Broken(hopper, [failure])
    monkeypatch.setattr(consumer_loop, "BatchConsumer", broken.consumer)
    monkeypatch.setattr(retries, "TransactionalProducer", broken.producer)
    monkeypatch.setattr(consumer_loop, "PAUSE", 0.01)
    hopper.start()
    hopper._thread.join()
    assert broken.log == [*log, "close", "close"]
