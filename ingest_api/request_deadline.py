"""Request deadlines. One shared timer serves all waiting requests.

A timer each costs about a tenth of a request's CPU time. All requests may take equally long, so those that wait stand
in line by their deadlines, and one look at the head of the line now and then finds who is late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_LOOK_EVERY = 0.1
"""Seconds: by so much a wait may be longer than allowed."""


class _Wait:
    __slots__ = ("deadline", "error", "held", "late", "over", "task")

    def __init__(self, task: asyncio.Task[object], deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.error: type[Unavailable] = Unavailable
        self.over = False
        self.late = False
        self.held = False


class Patience:
    """Belongs to the event loop on which it is made.

    Args:
        seconds: that a request may take.
    """

    def __init__(self, seconds: float) -> None:
        # Kept: to ask for the running loop costs a system call before Python 3.12.
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._line: deque[_Wait] = deque()
        self._waits: dict[asyncio.Task[object], _Wait] = {}
        self._looking = False

    async def wait(self, waiting: Awaitable[T], error: type[Unavailable] = Unavailable) -> T:
        """Await, within the deadline; what is awaited is cancelled at it.

        Within another wait of the same task, that one's deadline holds: a request has one, however often it waits.

        Raises:
            Unavailable: of the kind ``error``; the deadline has passed.
        """
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("patience is for tasks")
        outer = self._waits.get(task)
        if outer is not None:
            outer.error = error
            result = await waiting
            outer.error = Unavailable
            return result
        wait = self._waits[task] = _Wait(task, self._loop.time() + self._seconds)
        wait.error = error
        self._queue(wait)
        before = task.cancelling()
        try:
            return await waiting
        except asyncio.CancelledError:
            wait = self._waits[task]
            # Cancelled by us and by nobody else: an error of this call, not the end of the task.
            if wait.late and task.uncancel() <= before:
                raise wait.error("the request's deadline has passed") from None
            raise
        finally:
            self._waits.pop(task).over = True

    def without(self, receive: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """``receive``, for as long as the client takes; when it took long, the task's deadline begins again."""

        async def patiently() -> T:
            wait = self._waits.get(asyncio.current_task(self._loop))  # type: ignore[arg-type]  # in a task
            if wait is None:
                return await receive()
            wait.held = True
            began = self._loop.time()
            try:
                return await receive()
            finally:
                wait.held = False
                if self._loop.time() - began > _LOOK_EVERY:
                    self._begin_again(wait)

        return patiently

    def _begin_again(self, wait: _Wait) -> None:
        """Put a successor in line: the place of the wait itself is that of its old deadline."""
        wait.over = True
        again = self._waits[wait.task] = _Wait(wait.task, self._loop.time() + self._seconds)
        self._queue(again)

    def _queue(self, wait: _Wait) -> None:
        self._line.append(wait)
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_EVERY, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        while self._line and (self._line[0].over or self._line[0].held or self._line[0].deadline <= now):
            wait = self._line.popleft()
            if not wait.over and not wait.held:
                wait.late = True
                wait.task.cancel()
        self._looking = bool(self._line)
        if self._looking:
            self._loop.call_later(_LOOK_EVERY, self._look)
