"""Which offsets may be committed while deliveries finish in any order."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from typing import NamedTuple


class _Unfinished(NamedTuple):
    size: int
    workspace: str


class PartitionProgress:
    """One assigned partition: the offsets that were handed out, and those that are finished.

    The lowest unfinished offset may be committed, so that a crash repeats deliveries but never skips one.

    Attributes:
        assigned_at: when this process got the partition, in monotonic seconds.
        bytes: of the values that are handed out and not finished.
        records_of, bytes_of: the same by workspace, their number and their bytes.
        closing: the partition is about to go to another worker: no new try is made.
        revoked: the partition has gone: nothing is committed here any more.
    """

    def __init__(self) -> None:
        self._unfinished: OrderedDict[int, _Unfinished] = OrderedDict()
        self._next: int | None = None
        self._committed: int | None = None
        self.assigned_at = time.monotonic()
        self.bytes = 0
        self.records_of: Counter[str] = Counter()
        self.bytes_of: Counter[str] = Counter()
        self.closing = False
        self.revoked = False

    def start(self, offset: int, size: int = 0, workspace: str = "") -> None:
        """Hand out an offset with a value of ``size`` bytes; offsets come in ascending order."""
        self._unfinished[offset] = _Unfinished(size, workspace)
        self.bytes += size
        self.records_of[workspace] += 1
        self.bytes_of[workspace] += size
        self._next = offset + 1

    def passed(self, end: int) -> None:
        """Take note that all records before this offset were handed out; commit markers are no records."""
        self._next = max(end, self._next or 0)

    def finish(self, offset: int) -> None:
        """Take note that the outcome of this record is in Kafka."""
        record = self._unfinished.pop(offset, None)
        if record is not None:
            self.bytes -= record.size
            self.records_of[record.workspace] -= 1
            self.bytes_of[record.workspace] -= record.size
            if not self.records_of[record.workspace]:
                del self.records_of[record.workspace], self.bytes_of[record.workspace]

    @property
    def unfinished(self) -> int:
        """The number of offsets that are handed out and not finished."""
        return len(self._unfinished)

    def committable(self) -> int | None:
        """The next offset to commit, or None if it has not moved since ``committed``."""
        lowest = next(iter(self._unfinished), self._next)
        return None if lowest == self._committed else lowest

    def committed(self, offset: int) -> None:
        """Take note that this offset is committed."""
        self._committed = offset
