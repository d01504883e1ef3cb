"""When a partition of the group counts as unread, and when not."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from backbone.kafka import group_watch
from backbone.kafka.group_watch import ASK_EVERY, GroupWatch
from backbone.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from backbone.kafka.records import Partition

P, Q = ("t", 0), ("t", 1)


class Broker:
    """Stands for the admin client: answers at once, or later, or not."""

    def __init__(self) -> None:
        self.gives: set[Partition] = set()
        self.questions: list[Future[Any]] = []
        self.answers_at_once = True

    def describe_consumer_groups(self, groups: list[str], *, request_timeout: float) -> dict[str, Future[Any]]:
        assert request_timeout > 0
        future: Future[Any] = Future()
        self.questions.append(future)
        if self.answers_at_once:
            self.answer()
        return dict.fromkeys(groups, future)

    def answer(self) -> None:
        def member(name: str, partitions: set[Partition]) -> SimpleNamespace:
            entries = [TopicPartition(*partition) for partition in partitions]
            return SimpleNamespace(member_id=name, assignment=SimpleNamespace(topic_partitions=entries))

        members = [member("me", self.gives), member("another", {("t", 7)})]
        self.questions[-1].set_result(SimpleNamespace(members=members))


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.broker = Broker()
        self.reads: set[Partition] = set()
        monkeypatch.setattr(group_watch, "AdminClient", lambda _config: self.broker)
        self.watch = GroupWatch(KafkaSettings(), "g", lambda: self.now)

    def look(self) -> list[Partition]:
        self.now += ASK_EVERY
        return self.ask() + self.ask()

    def ask(self) -> list[Partition]:
        return self.watch.unread(lambda: "me", lambda: self.reads)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_partition_that_stays_unread_for_three_looks_is_reported(world: World) -> None:
    world.broker.gives, world.reads = {P, Q}, {P}
    assert [world.look() for _ in range(3)] == [[], [], [Q]]


def test_partitions_that_are_on_their_way_are_not_reported(world: World) -> None:
    found = []
    for gives, reads in [({P}, set()), ({P}, set()), ({Q}, set()), ({Q}, set()), ({P}, set()), ({P}, {P})]:
        world.broker.gives, world.reads = gives, reads
        found += world.look()
    assert found == []


def test_what_a_member_still_reads_and_another_will_get_is_not_reported(world: World) -> None:
    world.broker.gives, world.reads = {P}, {P, Q}
    assert [world.look() for _ in range(4)] == [[]] * 4


def test_no_question_is_asked_before_its_time_or_beside_an_open_one(world: World) -> None:
    world.broker.answers_at_once = False
    world.ask()
    assert world.broker.questions == []
    for _ in range(4):
        world.look()
    assert len(world.broker.questions) == 1


def test_verdicts_take_longer_after_each_replacement_until_all_is_read(world: World) -> None:
    world.broker.gives = {P}
    for _ in range(3):
        world.look()
    world.watch.replaced()
    before = len(world.broker.questions)
    world.look()
    assert len(world.broker.questions) == before
    world.look()
    assert len(world.broker.questions) == before + 1
    world.reads = {P}
    world.look()
    world.look()
    before = len(world.broker.questions)
    world.look()
    assert len(world.broker.questions) == before + 1


def test_a_broker_that_fails_to_answer_proves_nothing(world: World) -> None:
    world.broker.gives = {P}
    world.look()
    world.look()
    world.broker.answers_at_once = False
    world.look()
    world.broker.questions[-1].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    assert world.ask() == []
    world.broker.answers_at_once = True
    assert [world.look() for _ in range(2)] == [[], []]
    assert world.look() == [P]


def test_it_is_said_once_that_the_broker_refuses_to_describe_groups(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.broker.answers_at_once = False
    world.look()
    world.broker.questions[-1].set_exception(KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)))
    for _ in range(5):
        world.look()
    assert len(world.broker.questions) == 1
    assert len(caplog.records) == 1


PROGRAM = """
from backbone.kafka import group_watch
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.settings import KafkaSettings

group_watch.ASK_EVERY, group_watch._TIMEOUT = 0.0, 1.0
consumer = BatchConsumer(KafkaSettings(bootstrap_servers="127.0.0.1:1"), group="g")
consumer.subscribe(["t"])
consumer.consume(1, 0.1)
assert consumer._group_watch._answer is not None
consumer.close()
"""


def test_a_process_ends_that_closes_a_consumer_with_a_question_open() -> None:
    assert subprocess.run([sys.executable, "-c", PROGRAM], timeout=30, check=False).returncode == 0
