"""The tasks that a handler has in flight, by their partition."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from connectors.shared.offsets import PartitionProgress

log = logging.getLogger(__name__)


class InFlight:
    """Tasks that are started, awaited and abandoned together."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], PartitionProgress] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, progress: PartitionProgress, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` as a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = progress
        task.add_done_callback(self._ended)

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Wait at most ``seconds`` for the tasks of these partitions."""
        tasks = [task for task, progress in self._tasks.items() if progress in parts]
        if tasks and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)

    async def close(self) -> None:
        """Cancel all tasks: their offsets are not committed, so that the work is done again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery failed in our own code; its offset stays uncommitted", exc_info=task.exception())
