"""Long work on the event loop, in slices: nobody else waits for more than one of them.

A batch of ten thousand events is half a second of work, and everybody's requests share one event loop. So whoever has
much to do pauses every few milliseconds. Between two looks at the sockets the loop runs one slice, however many
requests have more to do, and the workspaces take turns. Some work cannot be cut, such as reading a document: after a
slice that took much longer, no other begins for as long, up to a tenth of a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from backbone.workspace_queue import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

SECONDS = 0.004
"""Of one slice. A single publish takes some six rounds of the event loop, so it waits for as many slices."""

_OVERRUN = 3
"""So many times the length of a slice is too long."""

_LONGEST_REST = 0.1
"""Seconds."""

_AT_ONCE = 50
"""Small things that are made between two looks at the clock."""

_clock = time.perf_counter
_worked = time.thread_time
"""Does not count the time in which the loop had no processor."""


class Slices:
    """Gives long work its turns, in one event loop after another.

    Args:
        seconds: of one slice.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gives = False
        self._started = 0.0

    def begin(self) -> LongWork:
        """Work that begins with a slice now."""
        return LongWork(self)

    async def turn(self) -> None:
        """Wait until the loop has looked at the sockets, and those who waited longer have had a slice."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # A loop that ended in a rest will not give the next turn.
            self._loop, self._gives, self._waiting = loop, False, {}
        if not self._gives:
            self._gives = True
            loop.call_soon(self._give)
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(WORKSPACE.get(), deque()).append(turn)
        await turn

    def _give(self) -> None:
        """Give one slice, which runs in the next round of the loop, and look at it after that round."""
        while self._waiting:
            workspace = next(iter(self._waiting))
            turns = self._waiting.pop(workspace)
            turn = turns.popleft()
            if turns:
                self._waiting[workspace] = turns  # behind the others
            if not turn.done():
                loop = asyncio.get_running_loop()
                loop.call_soon(self._note_start)
                turn.set_result(None)
                loop.call_soon(self._rest)
                return
        self._gives = False

    def _note_start(self) -> None:
        self._started = _worked()

    def _rest(self) -> None:
        """Give the next slice in the next round, or after a pause if the last one took too long."""
        took = _worked() - self._started
        loop = asyncio.get_running_loop()
        if took > _OVERRUN * self.seconds:
            loop.call_later(min(took, _LONGEST_REST), self._give)
        else:
            loop.call_soon(self._give)


class LongWork:
    """One request's work, which asks at every step whether its slice is over."""

    __slots__ = ("_ends", "_slices")

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._ends = _clock() + slices.seconds

    async def each(self, things: Sequence[T], make: Callable[[T], R]) -> list[R]:
        """Apply to each thing what takes some microseconds, without a look at the clock each time."""
        made: list[R] = []
        for begin in range(0, len(things), _AT_ONCE):
            await self.pause()
            made += map(make, things[begin : begin + _AT_ONCE])
        return made

    async def pause(self) -> None:
        """Let others have their turn if the slice is over; else return at once."""
        if _clock() >= self._ends:
            await self._slices.turn()
            self._ends = _clock() + self._slices.seconds
