"""How fast partitions grow, over about a minute."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition

_SPAN = 60_000_000
"""Microseconds that a rate looks back."""

_DIGITS = 3
"""That a rate is told with: what hardly changes is not written anew."""


class Rates:
    """The ends of partitions, and how fast they move."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, Mapping[Partition, int]]] = deque()

    def note(self, at: int, ends: Mapping[Partition, int]) -> None:
        """Take in where partitions end at an instant, microseconds since the epoch."""
        self._samples.append((at, ends))
        while self._samples[0][0] < at - _SPAN and self._samples[1][0] <= at - _SPAN:
            self._samples.popleft()

    def per_second(self, partition: Partition) -> float | None:
        """Records per second; None until the partition was seen twice."""
        now, ends = self._samples[-1]
        if partition not in ends:
            return None
        for at, before in self._samples:
            if partition in before and at < now:
                grown = ends[partition] - before[partition]
                return rounded(max(0, grown) / ((now - at) / 1e6))
        return None


def rounded(figure: float) -> float:
    """A figure with three digits."""
    return float(f"{figure:.{_DIGITS}g}")
