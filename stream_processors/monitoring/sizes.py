"""Sizes of partitions, and how topics have grown over up to a day."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stream_processors.monitoring.rates import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition

_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
_LEAST = 10 * _MINUTE
"""Microseconds that a topic must have been watched before its growth says anything."""

_APART = 30 * _MINUTE
"""Microseconds between two samples that are kept."""


class Sizes:
    """Of all partitions, in bytes."""

    def __init__(self) -> None:
        self._latest: Mapping[Partition, int] = {}
        self._at = 0
        self._topics: dict[str, int] = {}
        self._samples: deque[tuple[int, dict[str, int]]] = deque()

    def note(self, at: int, sizes: Mapping[Partition, int]) -> None:
        """Take in the sizes at an instant, microseconds since the epoch."""
        self._latest, self._at, self._topics = sizes, at, {}
        for (topic, _), size in sizes.items():
            self._topics[topic] = self._topics.get(topic, 0) + size
        if not self._samples or at - self._samples[-1][0] >= _APART:
            self._samples.append((at, self._topics))
        while self._samples[0][0] < at - _DAY:
            self._samples.popleft()

    def of(self, partition: Partition) -> int | None:
        """Bytes; None: not known."""
        return self._latest.get(partition)

    def growth_per_day(self, topic: str) -> float | None:
        """Bytes that a topic grows in a day; None until it has been watched for ten minutes."""
        for at, sizes in self._samples:
            if topic in sizes and topic in self._topics:
                if self._at - at < _LEAST:
                    return None
                return rounded((self._topics[topic] - sizes[topic]) * _DAY / (self._at - at))
        return None
