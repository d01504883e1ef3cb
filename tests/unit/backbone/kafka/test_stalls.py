"""When silence is taken for a stall, and when not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from backbone.kafka import consumer as consumer_module
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.stalls import LOOK_EVERY, StallWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.kafka.records import Message, Partition

P, Q = ("t", 0), ("t", 1)
NOWHERE = "127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_look_is_due_every_few_seconds() -> None:
    clock = Clock()
    watch = StallWatch(clock)
    assert not watch.due()
    clock.now += LOOK_EVERY
    assert watch.due()
    assert not watch.due()


def test_a_partition_that_stays_behind_its_end_is_a_suspect_at_the_third_look() -> None:
    watch = StallWatch(Clock())
    looks = [watch.suspects({P: 5, Q: 9}, {P: end, Q: 9}) for end in (6, 6, 8, 9)]
    assert looks == [[], [], [P], [P]]


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([(5, 9), (5, 9), (6, 9), (6, 10), (7, 11), (7, 12)], id="it moves, however slowly"),
        pytest.param([(9, 9)] * 6, id="idle"),
        pytest.param([(5, 9), (5, 9), (5, None), (5, 9), (5, 9), (5, None)], id="no leader in between"),
        pytest.param([(5, 5)] * 6, id="a transaction is open: the last stable offset stays"),
        pytest.param([(5, 9), (5, 9), (None, 9), (5, 9), (5, 9)], id="paused in between"),
    ],
)
def test_other_partitions_are_no_suspects(looks: list[tuple[int | None, int | None]]) -> None:
    watch = StallWatch(Clock())
    for position, end in looks:
        positions = {} if position is None else {P: position}
        assert watch.suspects(positions, {} if end is None else {P: end}) == []


def test_what_was_found_empty_is_suspected_again_only_when_more_came() -> None:
    watch = StallWatch(Clock())
    assert [watch.suspects({P: 5}, {P: 7}) for _ in range(3)][-1] == [P]
    watch.cleared({P: 7})
    assert [watch.suspects({P: 5}, {P: 7}) for _ in range(4)] == [[]] * 4
    assert [watch.suspects({P: 5}, {P: 8}) for _ in range(3)][-1] == [P]
    watch.forget(P)
    assert watch.suspects({P: 5}, {P: 8}) == []


class FakeClient:
    """Hands out scripted messages; what else is asked of it is recorded."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.assigned: list[TopicPartition] = []
        self.subscribed: list[str] = []
        self.paused: set[tuple[str, int]] = set()
        self.positions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.closed = False

    def subscribe(self, topics: list[str], **_callbacks: Any) -> None:
        self.subscribed = topics

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def assignment(self) -> list[TopicPartition]:
        return self.assigned

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in partitions}

    def consume(self, _count: int, _timeout: float) -> list[Message]:
        return []

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [
            TopicPartition(p.topic, p.partition, self.positions.get((p.topic, p.partition), -1)) for p in partitions
        ]

    def offsets_for_times(self, partitions: list[TopicPartition], _timeout: float) -> list[TopicPartition]:
        if not self.ends:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return [TopicPartition(p.topic, p.partition, self.ends[p.topic, p.partition]) for p in partitions]

    def memberid(self) -> str:
        return "me"

    def close(self) -> None:
        self.closed = True


class World:
    """A consumer whose clients are fakes and whose clock is ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, group: str | None, *, records: bool) -> None:
        self.clients: list[FakeClient] = []
        self.clock = Clock()
        self.stalls = 0
        self.probes: list[Mapping[Partition, int]] = []

        def client(config: Mapping[str, Any]) -> FakeClient:
            self.clients.append(FakeClient(config))
            return self.clients[-1]

        def readable(_config: object, positions: Mapping[Partition, int]) -> dict[Partition, bool]:
            self.probes.append(dict(positions))
            return dict.fromkeys(positions, records)

        monkeypatch.setattr(consumer_module, "Client", client)
        monkeypatch.setattr(consumer_module, "readable", readable)
        monkeypatch.setattr(consumer_module, "StallWatch", lambda: StallWatch(self.clock))
        self.consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE), group=group, on_stall=self._stalled)

    def _stalled(self) -> None:
        self.stalls += 1

    def looks(self, count: int) -> None:
        for _ in range(count):
            self.clock.now += LOOK_EVERY
            self.consumer.consume(10, 0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def make(group: str | None = None, *, records: bool = True) -> World:
        return World(monkeypatch, group, records=records)

    return make


def test_a_consumer_that_gets_nothing_of_what_is_there_is_replaced_once(
    world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    it = world()
    it.consumer.assign({P: 3, Q: 0})
    it.consumer.pause([Q])
    first = it.clients[0]
    first.positions[P] = 7
    first.ends = {P: 9, Q: 9}
    it.looks(3)
    second = it.clients[1]
    assert (first.closed, it.stalls, it.probes) == (True, 1, [{P: 7}])
    assert [(each.topic, each.partition, each.offset) for each in second.assigned] == [("t", 0, 7), ("t", 1, 0)]
    assert second.paused == {Q}
    assert [(each.levelname, each.partitions) for each in caplog.records] == [("ERROR", "t/0")]  # type: ignore[attr-defined]  # extra
    second.ends = first.ends
    second.positions[P] = 9
    it.looks(4)
    assert (it.stalls, second.closed) == (1, False)


def test_a_member_of_a_group_joins_again(world: Callable[..., World]) -> None:
    it = world("g")
    it.consumer.subscribe(["t"])
    it.clients[0].assigned = [TopicPartition("t", 0)]
    it.clients[0].ends = {P: 9}
    it.consumer._begin(P, 7)
    it.looks(3)
    assert it.clients[0].closed
    assert it.clients[1].subscribed == ["t"]


def test_markers_and_aborted_records_are_no_stall(world: Callable[..., World]) -> None:
    it = world(records=False)
    it.consumer.assign({P: 7})
    it.clients[0].ends = {P: 9}
    it.looks(10)
    assert (it.stalls, it.probes) == (0, [{P: 7}])


def test_a_slow_handler_is_no_stall(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Records wait in the client while one batch is worked on for minutes."""
    it = world()
    it.consumer.assign({P: 7})
    client = it.clients[0]
    client.ends = {P: 9_000}
    found = [SimpleNamespace(error=lambda: None)] * 10
    monkeypatch.setattr(client, "consume", lambda count, _timeout: found[:count])
    it.looks(10)
    assert (it.stalls, it.probes) == (0, [])


def test_without_an_answer_nothing_is_concluded(world: Callable[..., World]) -> None:
    it = world()
    it.consumer.assign({P: 7})
    it.looks(4)
    assert (it.stalls, it.probes, len(it.clients)) == (0, [], 1)
