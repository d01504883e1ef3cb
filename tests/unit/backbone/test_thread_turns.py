"""Threads beside an event loop work one at a time, and rest as long as they worked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from backbone.thread_turns import ThreadTurns

PARTS, PART = 20, 0.01


def test_threads_work_one_at_a_time_and_pause_as_long() -> None:
    turns, at_once, most = ThreadTurns(), 0, 0
    counting = threading.Lock()

    def work(parts: int) -> float:
        nonlocal at_once, most
        began, mine = time.monotonic(), turns.begin()
        for _ in range(parts):
            with mine:
                with counting:
                    at_once += 1
                    most = max(most, at_once)
                ends = time.thread_time() + PART
                while time.thread_time() < ends:
                    pass
                with counting:
                    at_once -= 1
        return time.monotonic() - began

    assert work(PARTS) >= 2 * PARTS * PART
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [PARTS // 2] * 4))
    assert most == 1


def test_what_failed_lets_others_work() -> None:
    turns = ThreadTurns()
    with pytest.raises(ZeroDivisionError), turns.begin():
        _ = 1 / 0
    assert not turns.lock.locked()
