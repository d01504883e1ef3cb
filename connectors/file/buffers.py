"""The lines that the file sink has read and not published yet, chain by chain and partition by partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.event_files import Chain, publisher_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.event_files import EventFiles
    from schemas.model.batched_attempts import Settled


class ChainBuffer:
    """The lines of a chain that are in no file yet.

    Attributes:
        chain: the chain.
        published: offset of its last record in a file; -1 when there is none.
        lines: in offset order; ``first`` and ``last`` are the offsets of their ends, ``size`` is their bytes.
        deliveries: of the lines.
        appended_at: when Kafka took the first line's record, milliseconds since the epoch.
        opened_at: when this process read the first line's record, monotonic seconds.
    """

    __slots__ = ("appended_at", "chain", "deliveries", "first", "last", "lines", "opened_at", "published", "size")

    def __init__(self, chain: Chain, published: int) -> None:
        self.chain = chain
        self.published = published
        self.clear()

    def clear(self) -> None:
        """Drop all lines."""
        self.lines: list[bytes] = []
        self.deliveries: list[Settled] = []
        self.first = self.last = self.size = self.appended_at = 0
        self.opened_at = 0.0

    def add(self, offset: int, line: bytes, delivery: Settled, *, appended_at: int, now: float) -> None:
        """Add the line of the next record."""
        if not self.lines:
            self.first, self.appended_at, self.opened_at = offset, appended_at, now
        self.lines.append(line)
        self.deliveries.append(delivery)
        self.last = offset
        self.size += len(line)


class PartitionBuffers:
    """The chains of one assigned partition of ``deliveries.file``.

    Args:
        number: of the partition.
        files: tells how far the chains of an endpoint are published, when its first record comes.
    """

    def __init__(self, number: int, files: EventFiles) -> None:
        self._number = number
        self._files = files
        self._chains: dict[tuple[str, str], ChainBuffer] = {}
        self._published: dict[str, dict[str, int]] = {}
        # In the order of their first offsets: a chain is opened by the record that was just read.
        self._open: dict[Chain, ChainBuffer] = {}
        self._position: int | None = None
        self._committed: int | None = None

    def chain(self, endpoint: str, publisher: str) -> ChainBuffer:
        """The chain of an endpoint and a publisher.

        Raises:
            StorageUnavailable: the storage does not tell how far the chain is published.
        """
        found = self._chains.get((endpoint, publisher))
        if found is None:
            known = self._published.get(endpoint)
            if known is None:
                known = self._published[endpoint] = self._files.last_offsets(endpoint, self._number)
            chain = Chain(endpoint, publisher, self._number)
            found = ChainBuffer(chain, known.get(publisher_key(publisher), -1))
            self._chains[endpoint, publisher] = found
        return found

    def add(
        self, chain: ChainBuffer, offset: int, line: bytes, delivery: Settled, *, appended_at: int, now: float
    ) -> None:
        """Add the line of the record at ``offset``."""
        chain.add(offset, line, delivery, appended_at=appended_at, now=now)
        self._open[chain.chain] = chain

    def passed(self, offset: int) -> None:
        """Take note that the record at ``offset`` is in a chain, or belongs in none."""
        self._position = offset + 1

    def settle(self, chain: ChainBuffer) -> None:
        """Take note that the lines of a chain are in a file."""
        chain.published = chain.last
        chain.clear()
        del self._open[chain.chain]

    @property
    def position(self) -> int:
        """The next offset to pass; -1 at first."""
        return -1 if self._position is None else self._position

    def open(self) -> Iterator[ChainBuffer]:
        """The chains that hold lines, in the order of their first offsets."""
        return iter(tuple(self._open.values()))

    def committable(self) -> int | None:
        """The next offset to commit, which is that of the first record in no file; None if it has not moved."""
        held = next(iter(self._open.values()), None)
        lowest = self._position if held is None else held.first
        return None if lowest == self._committed else lowest

    def committed(self, offset: int) -> None:
        """Take note that this offset is committed."""
        self._committed = offset
