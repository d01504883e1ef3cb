"""An end to waiting for Kafka that costs a request next to nothing: one clock for all that wait, not a timer each.

A timer of its own costs a request about a tenth of all that it costs. All requests may wait equally long, so those that
wait stand in line by their deadlines, and one look at the head of the line now and then finds who is late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

_LOOK_EVERY = 0.1
"""Seconds: by so much a wait may be longer than allowed."""


class _Wait:
    __slots__ = ("deadline", "late", "over", "task")

    def __init__(self, task: asyncio.Task[object], deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.over = False
        self.late = False


class Patience:
    """Belongs to the event loop on which it is made.

    Args:
        seconds: that anything may take.
    """

    def __init__(self, seconds: float) -> None:
        # Kept: to ask for the running loop costs a system call before Python 3.12.
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._line: deque[_Wait] = deque()
        self._looking = False

    async def wait(self, waiting: Awaitable[T]) -> T:
        """What is awaited, unless it takes too long; it is then cancelled.

        Raises:
            Unavailable: it did.
        """
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("patience is for tasks")
        wait = _Wait(task, self._loop.time() + self._seconds)
        self._line.append(wait)
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_EVERY, self._look)
        before = task.cancelling()
        try:
            return await waiting
        except asyncio.CancelledError:
            # Cancelled by us and by nobody else: an error of this call, not the end of the task.
            if wait.late and task.uncancel() <= before:
                raise Unavailable("Kafka does not answer in time.") from None
            raise
        finally:
            wait.over = True

    def _look(self) -> None:
        now = self._loop.time()
        while self._line and (self._line[0].over or self._line[0].deadline <= now):
            wait = self._line.popleft()
            if not wait.over:
                wait.late = True
                wait.task.cancel()
        self._looking = bool(self._line)
        if self._looking:
            self._loop.call_later(_LOOK_EVERY, self._look)
