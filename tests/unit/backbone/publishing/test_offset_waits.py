"""Waits for a tail: each for the partitions of its own records, and no longer than its deadline."""

from __future__ import annotations

import asyncio
import threading

import pytest

from backbone.publishing.offset_waits import OffsetWaits
from schemas.model.errors import NotWritten


class Tail:
    """How far each partition was read."""

    def __init__(self) -> None:
        self.passed: dict[int, int] = {}
        self.waits = OffsetWaits(lambda partition, offset: self.passed.get(partition, -1) >= offset)

    def read(self, partition: int, offset: int, *keys: bytes) -> None:
        """As the tail's thread does."""

        def apply() -> None:
            self.waits.note(keys)
            self.passed[partition] = offset
            self.waits.advance()

        thread = threading.Thread(target=apply)
        thread.start()
        thread.join()


async def test_a_partition_that_is_out_of_reach_holds_up_only_waits_for_it() -> None:
    tail = Tail()
    deadline = asyncio.get_running_loop().time() + 0.2
    blocked, free, both = (tail.waits.wait(deadline) for _ in range(3))
    for wait, partitions in ((blocked, [0]), (free, [1]), (both, [0, 1])):
        for partition in partitions:
            wait.expect()
            tail.waits.passed(wait, partition, 5)
    tail.read(1, 4)
    await asyncio.sleep(0)
    assert not free.future.done()
    tail.read(1, 5)
    await free.future
    for wait in (blocked, both):
        with pytest.raises(NotWritten):
            await wait.future


async def test_what_was_read_already_is_not_waited_for() -> None:
    tail = Tail()
    tail.read(2, 9)
    wait = tail.waits.wait(asyncio.get_running_loop().time() + 60)
    wait.expect()
    tail.waits.passed(wait, 2, 9)
    await asyncio.wait_for(wait.future, 1)


async def test_who_waits_for_a_key_is_told_of_it_and_of_no_other() -> None:
    tail = Tail()
    waiting = asyncio.create_task(tail.waits.changed([b"a", b"b"], 60))
    await asyncio.sleep(0)
    tail.read(0, 1, b"c")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    tail.read(0, 2, b"b")
    await asyncio.wait_for(waiting, 60)
    assert not tail.waits._keys
