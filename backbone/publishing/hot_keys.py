"""The most frequent keys of the events that this process publishes, of a sample, in bounded memory."""

from __future__ import annotations

import random
from typing import NamedTuple

ONE_OF = 16
"""Of so many events, about one is counted: what it costs must not be seen in the throughput."""

MOST_KEYS = 64
MOST_TYPES = 1_000

_DECAY = 0.9
"""By which counts shrink with each ``fade``, so that a key that is hot no more is forgotten."""

_LEAST = 0.5
"""A type whose counts add up to less is forgotten."""


class KeyShares(NamedTuple):
    """The keys of one topic: how many events were counted, and those of the most frequent keys."""

    counted: float
    keys: list[tuple[bytes, float]]


class SpaceSaving:
    """Counts what is frequent with a bounded number of counters (Metwally, Agrawal, El Abbadi: Space-Saving, 2005).

    A count is never too low, and too high by at most ``total`` / ``capacity``.

    Args:
        capacity: counters.
        by: the partition key whose values are counted.

    Attributes:
        total: of all that was counted.
    """

    def __init__(self, capacity: int, by: str | None = None) -> None:
        self.by = by
        self._capacity = capacity
        self._counts: dict[bytes, float] = {}
        self.total = 0.0

    def add(self, key: bytes) -> None:
        """Count one more."""
        self.total += 1
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < self._capacity:
            counts[key] = 1.0
        else:
            rarest = min(counts, key=counts.__getitem__)
            counts[key] = counts.pop(rarest) + 1

    def fade(self, factor: float) -> None:
        """Multiply all counts."""
        self.total *= factor
        self._counts = {key: count * factor for key, count in self._counts.items()}

    def top(self, most: int) -> list[tuple[bytes, float]]:
        """The most frequent with their counts."""
        return sorted(self._counts.items(), key=lambda each: -each[1])[:most]


class HotKeys:
    """The keys of events by topic. For the event loop's thread."""

    def __init__(self) -> None:
        self._left = 1
        self._random = random.Random()  # it only chooses a sample
        self._sketches: dict[str, SpaceSaving] = {}

    def note(self, topic: str, key: bytes, by: str | None = None) -> None:
        """Take in the key of an event; most are passed over.

        Args:
            topic: of the event.
            key: of the event.
            by: the topic's partition key; with another one than before, counting begins again.
        """
        self._left -= 1
        if self._left:
            return
        # Not every sixteenth: producers that take turns would be seen as one.
        self._left = self._random.randrange(1, 2 * ONE_OF)
        sketch = self._sketches.get(topic)
        if sketch is None and len(self._sketches) >= MOST_TYPES:
            return
        if sketch is None or sketch.by != by:
            sketch = self._sketches[topic] = SpaceSaving(MOST_KEYS, by)
        sketch.add(key)

    def fade(self) -> None:
        """Let older events count less; call it at equal intervals."""
        for sketch in self._sketches.values():
            sketch.fade(_DECAY)
        self._sketches = {topic: sketch for topic, sketch in self._sketches.items() if sketch.total >= _LEAST}

    def shares(self, most: int) -> dict[str, KeyShares]:
        """The most frequent keys of each topic."""
        return {topic: KeyShares(sketch.total, sketch.top(most)) for topic, sketch in self._sketches.items()}
