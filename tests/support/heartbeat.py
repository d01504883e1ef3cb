"""How an event loop is shared: its rounds while something long is under way, and the longest time that one took."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Heartbeat:
    """A neighbour that wants a turn in every round of the loop.

    Attributes:
        rounds: that it had.
        longest: seconds that it waited for one.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self.longest = 0.0

    async def beat(self) -> None:
        """Count, until it is cancelled."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.rounds += 1
            self.longest = max(self.longest, now - last)
            last = now


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """Beat beside what is in the with block."""
    beats = Heartbeat()
    task = asyncio.create_task(beats.beat())
    await asyncio.sleep(0)
    beats.rounds = 0
    try:
        yield beats
        await asyncio.sleep(0)  # what ran since the last beat counts too
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
