"""When a partition of the group counts as lost, and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka import group_description, group_watch
from backbone.kafka.group_description import GroupQuestion
from backbone.kafka.group_watch import LOOK_EVERY, GroupWatch
from backbone.kafka.settings import KafkaSettings
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.kafka.records import Partition

P, Q = ("t", 0), ("t", 1)
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class World:
    """A member of a group of two partitions, and a broker that says whose they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.reads = [P]
        self.given: dict[str, set[Partition]] = {"me": {P}, "another": {Q}}
        self.offsets: dict[Partition, int | None] = {P: 5, Q: 5}
        self.ends = {P: 9, Q: 9}
        self.questions = 0
        self.answers = True
        self.is_away = False
        monkeypatch.setattr(group_watch, "GroupQuestion", self._question)
        self.watch = GroupWatch(NOWHERE, "g", lambda: self.now)

    def _question(self, _settings: KafkaSettings, _group: str) -> World:
        self.questions += 1
        return self

    def is_over(self) -> bool:
        return self.answers

    def drop(self) -> None:
        pass

    def member_id(self) -> str:
        return "me"

    def assignment(self) -> list[Partition]:
        return self.reads

    def partitions_of(self, given: Iterable[str] | str, timeout: float | None = None) -> object:
        """Both a member's question by topics and the answer about a member."""
        return [P, Q] if timeout else self.given[str(given)]

    def committed(self, partitions: Iterable[Partition], _timeout: float) -> dict[Partition, int | None]:
        if self.is_away:
            raise Unavailable("away")
        return {partition: self.offsets[partition] for partition in partitions}

    def known_ends(self, partitions: Iterable[Partition], _timeout: float) -> dict[Partition, int]:
        return {partition: self.ends[partition] for partition in partitions}

    def looks(self, count: int) -> list[Partition]:
        found = []
        for _ in range(count):
            self.now += LOOK_EVERY
            found += self.watch.unread(self, ["t"])
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_partition_is_lost_that_stands_still_and_is_this_members(world: World) -> None:
    world.given = {"me": {P, Q}}
    assert world.looks(3) == []
    assert world.looks(1) == [Q]


def test_a_partition_nobody_ever_committed_is_lost_too(world: World) -> None:
    world.given, world.offsets = {"me": {P, Q}}, {P: 5, Q: None}
    assert world.looks(4) == [Q]


def test_the_partition_of_a_slow_member_is_not_lost_and_is_asked_about_ever_more_rarely(world: World) -> None:
    assert world.looks(40) == []
    assert 1 < world.questions < 8


def test_no_question_is_asked_while_offsets_move(world: World) -> None:
    for offset in range(6, 16):
        world.looks(1)
        world.offsets[Q], world.ends[Q] = offset, offset + 3
    assert world.questions == 0


def test_no_question_is_asked_once_everything_is_read(world: World) -> None:
    world.offsets[Q] = world.ends[Q]
    world.looks(10)
    assert world.questions == 0


def test_a_partition_that_has_arrived_by_the_time_of_the_answer_is_not_lost(world: World) -> None:
    world.given = {"me": {P, Q}}
    world.looks(3)
    world.reads = [P, Q]
    assert world.looks(10) == []


def test_while_kafka_is_away_nothing_is_concluded(world: World) -> None:
    world.is_away = True
    assert world.looks(10) == []
    assert world.questions == 0


def test_a_machine_that_starts_no_process_stops_no_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(group_watch, "GroupQuestion", refuse)
    assert world.looks(10) == []


def test_one_question_is_open_at_a_time(world: World) -> None:
    world.answers = False
    world.looks(10)
    assert world.questions == 1


def test_a_question_ends_where_there_is_no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_description, "_PATIENCE", 0.2)
    question = GroupQuestion(NOWHERE, "g")
    while not question.is_over():
        pass
    assert question.partitions_of("me") == set()
