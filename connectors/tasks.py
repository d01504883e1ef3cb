"""The work that a handler has under way, by the partition that it is for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from connectors.offsets import PartitionProgress

log = logging.getLogger(__name__)


class Tasks:
    """Started, waited for, and abandoned together."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], PartitionProgress] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, progress: PartitionProgress, work: Coroutine[None, None, None]) -> None:
        """Run it beside the others."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = progress
        task.add_done_callback(self._ended)

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Wait at most ``seconds`` for what these partitions have under way."""
        under_way = [task for task, progress in self._tasks.items() if progress in parts]
        if under_way and seconds > 0:
            await asyncio.wait(under_way, timeout=seconds)

    async def close(self) -> None:
        """Abandon what is still under way: its offset is not committed, so that it is done again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery failed in our own code; its offset stays uncommitted", exc_info=task.exception())
