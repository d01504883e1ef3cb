"""Whose events are routed next."""

from __future__ import annotations

import time

import pytest

import stream_processors.turns as turns_module
from stream_processors.turns import Turns
from tests.unit.stream_processors.doubles import FakeMessage


def events(workspace: str, count: int, *, first: int = 0, size: int = 0) -> list[FakeMessage]:
    topic = f"events.{workspace}.n.c"
    return [FakeMessage(first + number, topic=topic, value=b"x" * size) for number in range(count)]


def test_without_a_limit_all_come_and_each_workspaces_in_order() -> None:
    turns = Turns()
    turns.add([*events("a", 3), *events("b", 2), *events("a", 2, first=3)])
    found = [(each.topic(), each.offset()) for each in turns.turn(None)]
    assert [offset for topic, offset in found if topic == "events.a.n.c"] == [0, 1, 2, 3, 4]
    assert [offset for topic, offset in found if topic == "events.b.n.c"] == [0, 1]
    assert not turns


def test_a_workspace_whose_events_take_long_does_not_keep_the_others_waiting() -> None:
    turns = Turns()
    turns.add(events("slow", 100))
    for _ in turns.turn(0.01):
        time.sleep(0.02)
    turns.add([*events("slow", 100, first=100), *events("quick", 1)])
    first = next(turns.turn(0.01))
    assert first.topic() == "events.quick.n.c"


def test_one_that_comes_back_is_not_owed_for_the_time_that_it_did_not_use() -> None:
    turns = Turns()
    turns.add(events("busy", 1_000))
    for _ in turns.turn(0.03):
        time.sleep(0.005)
    turns.add(events("newcomer", 1_000))
    served = set()
    for message in turns.turn(0.1):
        served.add(message.topic())
        time.sleep(0.005)
    assert served == {"events.busy.n.c", "events.newcomer.n.c"}


@pytest.mark.parametrize("size", [0, 2_000])
def test_partitions_of_which_much_waits_are_named(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "_HOLD_EVENTS", 5)
    monkeypatch.setattr(turns_module, "_HOLD_BYTES", 10_000)
    turns = Turns()
    turns.add([*events("many", 5 if size else 6, size=size), *events("few", 4, size=1)])
    assert turns.overfull() == ({("events.many.n.c", 0)} if not size else set())
    turns.add(events("many", 1, first=6, size=size))
    assert turns.overfull() == {("events.many.n.c", 0)}
