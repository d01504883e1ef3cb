"""Work on threads beside an event loop, which needs the interpreter too: one thread at a time, and half of the time.

A thread that works has the interpreter for 5 ms before the loop gets it back, and a loop that answers a request asks
for it several times. Several such threads would keep it from the loop for most of the time.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_SECONDS = 0.004
"""Of work, after which a thread pauses."""


class ThreadTurns:
    """One for all threads of a process that do such work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def begin(self) -> ThreadWork:
        """Return one thread's work, of which each part is done in a ``with`` block."""
        return ThreadWork(self.lock)


class ThreadWork:
    """Parts of a thread's work: no other thread works meanwhile, and a pause follows, as long as the work was."""

    __slots__ = ("_began", "_lock", "_worked")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._worked = 0.0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._began = time.thread_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worked += time.thread_time() - self._began
        self._lock.release()
        if self._worked >= _SECONDS:
            time.sleep(self._worked)
            self._worked = 0.0
