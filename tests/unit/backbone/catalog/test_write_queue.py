from __future__ import annotations

import threading

from backbone.catalog.write_queue import WriteQueue


def test_workspaces_take_turns() -> None:
    waiting: WriteQueue[str] = WriteQueue()
    for number in range(5):
        waiting.put("busy", f"b{number}")
    waiting.put("other", "o0")
    assert waiting.take(3) == [("busy", "b0"), ("other", "o0"), ("busy", "b1")]
    waiting.put("other", "o1")
    assert waiting.take(2) == [("busy", "b2"), ("other", "o1")]


def test_what_is_put_back_comes_before_the_rest_of_its_workspace() -> None:
    waiting: WriteQueue[int] = WriteQueue()
    for number in range(5):
        waiting.put("a", number)
    waiting.put_back(waiting.take(4)[1:])
    assert waiting.take(9) == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]


def test_what_was_put_back_has_its_turn_first() -> None:
    waiting: WriteQueue[str] = WriteQueue()
    for number in range(3):
        waiting.put("busy", f"b{number}")
    waiting.put("other", "o0")
    waiting.put_back(waiting.take(9)[1:])
    assert waiting.take(1) == [("other", "o0")]


def test_taking_waits_for_an_item_and_ends_when_the_queue_is_closed_and_empty() -> None:
    waiting: WriteQueue[int] = WriteQueue()
    taken: list[list[tuple[str, int]]] = []

    def take() -> None:
        while found := waiting.take(1):
            taken.append(found)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    waiting.put("a", 1)
    waiting.put("a", 2)
    waiting.close()
    thread.join(30)
    assert not thread.is_alive()
    assert taken == [[("a", 1)], [("a", 2)]]
