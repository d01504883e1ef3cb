"""The rate of a run: how many deliveries it may write now."""

from __future__ import annotations


class Pace:
    """A token bucket that holds a second's deliveries, and one at least.

    Args:
        rate: deliveries per second; None for no limit.
        now: seconds on the caller's clock.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._tokens = 1.0
        self._filled_at = now

    def room(self, now: float, most: int) -> int:
        """The number of deliveries that may be written now, at most ``most``."""
        if self._rate is None:
            return most
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return min(most, int(self._tokens))

    def wait(self, now: float) -> float:
        """Seconds until there is room for a delivery; 0 if there is."""
        if self._rate is None or self.room(now, 1):
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def spend(self, count: int) -> None:
        """Take note of deliveries that were written."""
        if self._rate is not None:
            self._tokens -= count
