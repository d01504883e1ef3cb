"""Which offsets may be committed while deliveries finish in any order."""

from __future__ import annotations

from collections import OrderedDict


class PartitionProgress:
    """One assigned partition: offsets that were handed out, and those that are finished.

    What may be committed is the lowest unfinished offset, so that a crash repeats deliveries but never skips one.

    Attributes:
        bytes: of the values of what is handed out and not finished.
        closing: the partition is about to go to another worker: no new try is made.
        revoked: it has gone; what finishes now is not committed here.
    """

    def __init__(self) -> None:
        self._unfinished: OrderedDict[int, int] = OrderedDict()
        self._next: int | None = None
        self._committed: int | None = None
        self.bytes = 0
        self.closing = False
        self.revoked = False

    def start(self, offset: int, size: int = 0) -> None:
        """Hand out an offset, with so many bytes; they come in ascending order."""
        self._unfinished[offset] = size
        self.bytes += size
        self._next = offset + 1

    def passed(self, end: int) -> None:
        """All records before this offset were handed out: what else is there is a commit marker, which is no record."""
        self._next = max(end, self._next or 0)

    def finish(self, offset: int) -> None:
        """Everything that becomes of this record is in Kafka."""
        self.bytes -= self._unfinished.pop(offset, 0)

    @property
    def unfinished(self) -> int:
        """How many offsets are handed out and not finished."""
        return len(self._unfinished)

    def committable(self) -> int | None:
        """The next offset to commit, or None if that has not moved since ``committed`` was told."""
        lowest = next(iter(self._unfinished), self._next)
        return None if lowest == self._committed else lowest

    def committed(self, offset: int) -> None:
        """This offset is committed."""
        self._committed = offset
