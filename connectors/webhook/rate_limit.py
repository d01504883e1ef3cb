"""The rate limit of one endpoint: a token bucket, kept by the worker that owns the endpoint's partition.

All deliveries of an endpoint are on one partition, retries included, so one bucket sees every request. It keeps one
number, the time at which it will be full again (the generic cell rate algorithm), and starts no timer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.model.endpoint import RateLimit

_ROUNDING = 1e-6
"""Seconds by which a token may be early: sums of floats are not exact."""


class TokenBucket:
    """Allows at most ``per_second * t + burst`` requests in any ``t`` seconds.

    Args:
        limit: tokens per second, and the most that the bucket holds.
        empty_at: when it was empty, in seconds of the clock. A new owner of a partition does not know what the former
            one has sent until then.
        clock: monotonic seconds. It goes on while this process is stalled, unlike the clock of the queue.
    """

    def __init__(self, limit: RateLimit, empty_at: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._full_at = float("-inf")
        self.empty(empty_at)

    def empty(self, at: float) -> None:
        """Count no token from before ``at``."""
        self._full_at = max(self._full_at, at + self.limit.burst / self.limit.per_second)

    def change(self, limit: RateLimit) -> None:
        """Apply another limit from now on; the tokens stay, as far as they fit."""
        tokens, self.limit = min(self.tokens(), limit.burst), limit
        self._full_at = self._clock() + (limit.burst - tokens) / limit.per_second

    def tokens(self) -> float:
        """The tokens that there are now; negative after ``charge``."""
        missing = (self._full_at - self._clock()) * self.limit.per_second
        return self.limit.burst - max(0.0, missing)

    def allowance(self, seconds: float) -> int:
        """Most requests of the next ``seconds``, made as soon as each is allowed; 0 or less is none."""
        return int(self.tokens() + (seconds + _ROUNDING) * self.limit.per_second)

    def take(self) -> bool:
        """Take a token; return False if there is none."""
        if self.wait() > _ROUNDING:
            return False
        self.charge()
        return True

    def charge(self) -> None:
        """Count one request, even if there is no token: later ones wait for it."""
        self._full_at = max(self._full_at, self._clock()) + 1 / self.limit.per_second

    def give_back(self) -> None:
        """Return a token: nothing was sent."""
        self._full_at -= 1 / self.limit.per_second

    def wait(self, ahead: int = 0, later: float = 0.0) -> float:
        """Seconds from ``later`` (seconds from now) until the token after the ``ahead`` next ones."""
        begins = self._clock() + later
        return max(0.0, max(self._full_at, begins) - begins + (ahead + 1 - self.limit.burst) / self.limit.per_second)

    @property
    def is_full(self) -> bool:
        """Whether a new bucket would not have more tokens."""
        return self._clock() >= self._full_at
