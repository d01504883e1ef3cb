"""Whose events are routed next."""

from __future__ import annotations

import time

import pytest

import stream_processors.routing.turns as turns_module
from stream_processors.routing.turns import Turns
from tests.support.consumed_messages import FakeMessage


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


def served_slowly(turns: Turns) -> None:
    """One event of each; that of ``slow`` takes 20 ms."""
    for workspace, seconds in (("quick", 0.0), ("slow", 0.02)):
        turns.add(events(workspace, 1))
        for _ in turns.turn(None):
            time.sleep(seconds)


@pytest.mark.parametrize("order", [("quick", "slow"), ("slow", "quick")])
def test_one_whose_last_event_took_long_comes_after_others_when_it_has_the_next(order: tuple[str, str]) -> None:
    turns = Turns()
    served_slowly(turns)
    turns.add([each for workspace in order for each in events(workspace, 1)])
    assert [each.topic() for each in turns.turn(None)] == ["events.quick.n.c", "events.slow.n.c"]


def test_nobody_waits_for_long_because_of_what_it_used_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "_REMEMBERED", 0.001)
    turns = Turns()
    served_slowly(turns)
    turns.add([*events("quick", 10), *events("slow", 1)])
    served = []
    for message in turns.turn(None):
        served.append(message.topic())
        time.sleep(0.015)
        turns.charge(message, 0.015)
        if len(served) == 1:
            break
    assert served == ["events.quick.n.c"]
    assert next(turns.turn(0.0)).topic() == "events.slow.n.c"


@pytest.mark.parametrize("size", [0, 2_000])
def test_partitions_of_which_much_waits_are_named(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "_HOLD_EVENTS", 5)
    monkeypatch.setattr(turns_module, "_HOLD_BYTES", 10_000)
    turns = Turns()
    turns.add([*events("many", 5 if size else 6, size=size), *events("few", 4, size=1)])
    assert turns.overfull() == ({("events.many.n.c", 0)} if not size else set())
    turns.add(events("many", 1, first=6, size=size))
    assert turns.overfull() == {("events.many.n.c", 0)}


def test_what_comes_beside_leftovers_has_a_turn_of_its_own() -> None:
    turns = Turns()
    turns.add(events("busy", 100))
    for _ in turns.turn(0.0):
        time.sleep(0.001)
    turns.add([*events("busy", 100, first=100), *events("quick", 2), *events("other", 1)])
    assert sorted(each.topic() for each in turns.turn(60.0)) == ["events.other.n.c", *["events.quick.n.c"] * 2]
    assert {each.topic() for each in turns.turn(60.0)} == {"events.busy.n.c"}
    assert not turns
