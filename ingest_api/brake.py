"""Slows down refused credentials, so that a weak one cannot be guessed at the speed of the network."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 500
"""Refusals of one worker that are answered at once."""

PER_SECOND = 50
"""Refusals that are answered in a second after that."""

LONGEST = 2.0
"""Seconds that one answer waits at most: a client with a wrong key must still learn it in time."""


class Brake:
    """Counts refusals of one worker. Nobody with a valid credential waits.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_at = 0.0

    def delay(self) -> float:
        """Count a refusal; the seconds that its answer has to wait."""
        now = self._clock()
        self._free_at = max(self._free_at, now - BURST / PER_SECOND) + 1 / PER_SECOND
        return min(LONGEST, max(0.0, self._free_at - now))

    async def refused(self) -> None:
        """Count a refusal and wait."""
        delay = self.delay()
        if delay:
            await asyncio.sleep(delay)
