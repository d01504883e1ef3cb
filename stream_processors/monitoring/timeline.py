"""When the record at an offset was appended, as far as the partition's past ends tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backbone.kafka.records import Partition

_MOST = 32
"""Ends that are remembered of a partition: past it, every second of the older half is forgotten."""


class Bracket(NamedTuple):
    """A record was appended after ``after`` and not after ``until``, microseconds since the epoch.

    ``after`` is None for a record that is older than what was seen of its partition.
    """

    after: int | None
    until: int


class _End(NamedTuple):
    offset: int
    first_seen: int
    last_seen: int


class Timelines:
    """The past ends of partitions."""

    def __init__(self) -> None:
        self._ends: dict[Partition, list[_End]] = {}

    def note(self, at: int, ends: Mapping[Partition, int]) -> None:
        """Take in where partitions end at an instant, microseconds since the epoch."""
        for partition, offset in ends.items():
            known = self._ends.setdefault(partition, [])
            if known and known[-1].offset > offset:
                known.clear()  # the topic was made anew
            if known and known[-1].offset == offset:
                known[-1] = known[-1]._replace(last_seen=at)
                continue
            known.append(_End(offset, at, at))
            if len(known) > _MOST:
                del known[1 : _MOST // 2 : 2]

    def keep(self, partitions: Iterable[Partition]) -> None:
        """Forget all other partitions."""
        kept = set(partitions)
        self._ends = {partition: ends for partition, ends in self._ends.items() if partition in kept}

    def bracket(self, partition: Partition, offset: int) -> Bracket | None:
        """When the record at an offset was appended; None: it is not there yet, or nothing is known."""
        after: int | None = None
        for end in self._ends.get(partition, ()):
            if end.offset > offset:
                return Bracket(after, end.first_seen)
            after = end.last_seen
        return None
