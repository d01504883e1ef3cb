"""Waits of the event loop for a tail that reads on a thread of its own: for offsets of its topic, and for keys.

The tail's thread wakes the loop at most once a batch, and only when something waits. All waits share one timer.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from schemas.model.errors import NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.model.errors import HeadraceError

_LOOK_EVERY = 0.1
"""Seconds: by so much a wait may be longer than allowed."""


class OffsetWait:
    """One caller that waits until the tail has passed every record that it expects."""

    __slots__ = ("deadline", "future", "left")

    def __init__(self, future: asyncio.Future[None], deadline: float) -> None:
        self.future = future
        self.deadline = deadline
        self.left = 0

    def expect(self, records: int = 1) -> None:
        """Wait for so many more records."""
        self.left += records

    def arrived(self) -> None:
        """One of the records was passed."""
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: HeadraceError) -> None:
        """Tell the caller, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)


class OffsetWaits:
    """The waits of one tail. ``note`` and ``advance`` are for the tail's thread, everything else for the loop.

    Args:
        has_passed: whether the tail has passed an offset of a partition.
    """

    def __init__(self, has_passed: Callable[[int, int], bool]) -> None:
        self._has_passed = has_passed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = itertools.count()
        self._offsets: defaultdict[int, list[tuple[int, int, OffsetWait]]] = defaultdict(list)
        self._line: deque[OffsetWait] = deque()
        self._keys: dict[bytes, set[asyncio.Future[None]]] = {}
        self._changed: deque[bytes] = deque()
        self._waiting = 0
        self._waking = False
        self._looking = False

    def wait(self, deadline: float) -> OffsetWait:
        """A new wait, which fails at the deadline (the loop's time)."""
        loop = self._loop = asyncio.get_running_loop()
        wait = OffsetWait(loop.create_future(), deadline)
        self._line.append(wait)
        if not self._looking:
            self._looking = True
            loop.call_later(_LOOK_EVERY, self._look)
        return wait

    def passed(self, wait: OffsetWait, partition: int, offset: int) -> None:
        """Let a wait know when the tail has passed an offset."""
        heapq.heappush(self._offsets[partition], (offset, next(self._numbers), wait))
        self._waiting += 1
        # Looked at after it was put in line: the tail may have passed it just before.
        if self._has_passed(partition, offset):
            self._wake()

    async def changed(self, keys: Sequence[bytes], seconds: float) -> None:
        """Wait until one of the keys was noted, at most some seconds."""
        loop = self._loop = asyncio.get_running_loop()
        noted = loop.create_future()
        for key in keys:
            self._keys.setdefault(key, set()).add(noted)
        self._waiting += 1
        try:
            await asyncio.wait([noted], timeout=seconds)
        finally:
            self._waiting -= 1
            for key in keys:
                futures = self._keys.get(key, set())
                futures.discard(noted)
                if not futures:
                    self._keys.pop(key, None)

    def note(self, keys: Sequence[bytes]) -> None:
        """Something became of these keys."""
        if self._waiting:
            self._changed.extend(key for key in keys if key in self._keys)

    def advance(self) -> None:
        """The tail has read on."""
        loop = self._loop
        if self._waiting and not self._waking and loop is not None and not loop.is_closed():
            self._waking = True
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._waking = False
        for partition, waits in self._offsets.items():
            while waits and self._has_passed(partition, waits[0][0]):
                heapq.heappop(waits)[2].arrived()
                self._waiting -= 1
        while self._changed:
            for future in self._keys.get(self._changed.popleft(), ()):
                if not future.done():
                    future.set_result(None)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        line = self._line
        while line and (line[0].future.done() or line[0].deadline <= now):
            line.popleft().fail(NotWritten("the claim was not acknowledged, or not read back, in time"))
        self._looking = bool(line)
        if self._looking:
            asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)
