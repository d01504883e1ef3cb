from __future__ import annotations

import threading

from backbone.workspace_queue import WorkspaceQueue


def test_workspaces_take_turns() -> None:
    waiting: WorkspaceQueue[str] = WorkspaceQueue()
    for number in range(5):
        waiting.put("busy", f"b{number}")
    waiting.put("other", "o0")
    assert waiting.take(3) == [("busy", "b0"), ("other", "o0"), ("busy", "b1")]
    waiting.put("other", "o1")
    assert waiting.take(2) == [("busy", "b2"), ("other", "o1")]


def test_what_is_put_back_comes_before_the_rest_of_its_workspace() -> None:
    waiting: WorkspaceQueue[int] = WorkspaceQueue()
    for number in range(5):
        waiting.put("a", number)
    waiting.put_back(waiting.take(4)[1:])
    assert waiting.take(9) == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]


def test_what_was_put_back_has_its_turn_first() -> None:
    waiting: WorkspaceQueue[str] = WorkspaceQueue()
    for number in range(3):
        waiting.put("busy", f"b{number}")
    waiting.put("other", "o0")
    waiting.put_back(waiting.take(9)[1:])
    assert waiting.take(1) == [("other", "o0")]


def test_taking_waits_for_an_item_and_ends_when_the_queue_is_closed_and_empty() -> None:
    waiting: WorkspaceQueue[int] = WorkspaceQueue()
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


def test_no_workspace_has_more_than_its_share_in_hand() -> None:
    waiting: WorkspaceQueue[int] = WorkspaceQueue(2)
    for number in range(4):
        waiting.put("busy", number)
    waiting.put("other", 0)
    assert waiting.take(9) == [("busy", 0), ("other", 0), ("busy", 1)]
    waiting.done("busy")
    assert waiting.take(9) == [("busy", 2)]
