"""The clock that measures endpoints: it stands still while this process lags behind with its own work."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 0.005
"""Seconds between two looks."""

_MOST = 0.007
"""Longest time, in seconds, between two looks of a process that keeps up."""


class StallClock:
    """Monotonic seconds, less the time by which turns of the event loop were late.

    An overloaded process, right after its start for example, reads responses late. By this clock that does not count
    as latency of the endpoints. Use it from the event loop; it costs nothing while nobody reads it.

    Args:
        monotonic: seconds of a clock that never stands still.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._time = self._looked_at = monotonic()
        self._looking = False
        self._asked = False

    def now(self) -> float:
        """The time by this clock."""
        self._asked = True
        passed = self._monotonic() - self._looked_at
        if self._looking:
            return self._time + min(passed, _MOST)
        self._look_later(passed)
        return self._time

    def _look(self) -> None:
        self._looking = False
        if self._asked:
            self._asked = False
            self._look_later(min(self._monotonic() - self._looked_at, _MOST))

    def _look_later(self, passed: float) -> None:
        self._time += passed
        self._looked_at = self._monotonic()
        self._looking = True
        asyncio.get_running_loop().call_later(_EVERY, self._look)
