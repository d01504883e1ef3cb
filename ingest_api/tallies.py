"""Counts of a hot path, kept in plain numbers and handed to Prometheus once a round of the event loop.

Its own counters take a lock and check their arguments at each call, eight calls a request: a tenth of what a single
publish costs. A busy loop answers many requests in one round.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any

from prometheus_client import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Series = tuple[Any, ...]
    """A metric and its labels."""


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_all(self, counts: Sequence[int], total: float) -> None:
        """Add observations: how many are in each bucket, and the sum of all."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


class Times:
    """Observations for one histogram.

    Args:
        bounds: upper bounds of its buckets, without the infinite one.
    """

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, seconds: float) -> None:
        """Take in one observation."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Tallies:
    """Counts and times since they were last handed over. For one thread.

    Args:
        bounds: of all times.
        hand_over: is given the counts and the times; called in the next round of the event loop, and by ``flush``.
    """

    def __init__(
        self, bounds: Sequence[float], hand_over: Callable[[Counter[Series], dict[Series, Times]], None]
    ) -> None:
        self._bounds = bounds
        self._hand_over = hand_over
        self._counts: Counter[Series] = Counter()
        self._times: dict[Series, Times] = {}
        self._is_due = False

    def count(self, what: Series, number: int = 1) -> None:
        """Count something."""
        self._counts[what] += number
        if not self._is_due:
            self._begin()

    def time(self, what: Series, seconds: float) -> None:
        """Take in how long something took."""
        times = self._times.get(what)
        if times is None:
            times = self._times[what] = Times(self._bounds)
        times.note(seconds)

    def flush(self) -> None:
        """Hand over what was counted."""
        counts, self._counts = self._counts, Counter()
        times, self._times = self._times, {}
        self._is_due = False
        self._hand_over(counts, times)

    def _begin(self) -> None:
        with contextlib.suppress(RuntimeError):  # without a loop only ``flush`` hands over
            asyncio.get_running_loop().call_soon(self.flush)
            self._is_due = True
