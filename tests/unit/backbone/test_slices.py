"""Long work on one event loop: one slice a round, and the workspaces take turns."""

from __future__ import annotations

import asyncio
import itertools
import time

from backbone.slices import Slices
from backbone.workspace_queue import WORKSPACE
from tests.support.heartbeat import heartbeat

STEP = 0.002


async def work(slices: Slices, workspace: str, steps: int, done: list[str] | None = None) -> None:
    """So many steps, each of which takes as long as a slice."""
    WORKSPACE.set(workspace)
    long = slices.begin()
    for _ in range(steps):
        await long.pause()
        ends = time.perf_counter() + STEP
        while time.perf_counter() < ends:
            pass
        if done is not None:
            done.append(workspace)


async def test_what_is_short_never_waits() -> None:
    async with heartbeat() as beats:
        await work(Slices(60), "a", 5)
    assert beats.rounds <= 1


async def test_others_have_their_turn_between_two_slices() -> None:
    async with heartbeat() as beats:
        await work(Slices(STEP), "a", 50)
    assert beats.rounds >= 49


async def test_one_slice_a_round_however_many_wait() -> None:
    slices = Slices(STEP)
    async with heartbeat() as beats:
        await asyncio.gather(*(work(slices, "a", 10) for _ in range(10)))
    # The first slice of each has no turn to wait for.
    assert beats.rounds >= 90


async def test_a_workspace_with_little_work_does_not_wait_for_all_of_another() -> None:
    slices, done = Slices(STEP), list[str]()
    await asyncio.gather(*(work(slices, "much", 20, done) for _ in range(20)), work(slices, "little", 5, done))
    assert "little" in done
    assert done.index("little") < 25
    last = len(done) - 1 - done[::-1].index("little")
    assert last < 50, "it had every other slice"


async def test_who_gives_up_while_waiting_holds_up_nobody() -> None:
    slices = Slices(STEP)
    given_up = [asyncio.create_task(work(slices, "a", 100)) for _ in range(5)]
    other = asyncio.create_task(work(slices, "b", 10))
    await asyncio.sleep(0)
    for each in given_up:
        each.cancel()
    await asyncio.wait_for(other, 10)


async def test_after_work_that_could_not_be_cut_others_have_as_long_to_themselves() -> None:
    slices = Slices(STEP)
    ended: list[float] = []

    async def uncut() -> None:
        await slices.turn()
        ends = time.thread_time() + 0.08
        while time.thread_time() < ends:
            pass
        ended.append(time.perf_counter())

    async with heartbeat() as beats:
        await asyncio.gather(*(uncut() for _ in range(3)))
    assert min(after - before for before, after in itertools.pairwise(ended)) >= 0.15
    assert beats.rounds >= 100


def test_a_loop_that_ends_during_a_rest_takes_no_turn_from_the_next() -> None:
    slices = Slices(STEP)

    async def uncut() -> None:
        await slices.turn()
        ends = time.thread_time() + 10 * STEP
        while time.thread_time() < ends:
            pass

    asyncio.run(uncut())
    asyncio.run(asyncio.wait_for(slices.turn(), 10))
