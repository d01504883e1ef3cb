"""What the file sink holds between a record read and a file published: open chains, partition by partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.files import Chain, publisher_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.files import EventFiles
    from schemas.settlement import Settled


class OpenChain:
    """The lines of a chain that are in no file yet.

    Attributes:
        chain: which one.
        published: offset up to which its records are in files; -1 when none is.
        lines: in offset order; ``first`` and ``last`` are the offsets of their ends, ``size`` is their bytes.
        deliveries: that the lines are of.
        appended_at: when Kafka took the first of them, milliseconds since the epoch.
        opened_at: when this process read the first of them, seconds of the monotonic clock.
    """

    __slots__ = ("appended_at", "chain", "deliveries", "first", "last", "lines", "opened_at", "published", "size")

    def __init__(self, chain: Chain, published: int) -> None:
        self.chain = chain
        self.published = published
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        self.lines: list[bytes] = []
        self.deliveries: list[Settled] = []
        self.first = self.last = self.size = self.appended_at = 0
        self.opened_at = 0.0

    def add(self, offset: int, line: bytes, delivery: Settled, *, appended_at: int, now: float) -> None:
        """Take the line of the next record."""
        if not self.lines:
            self.first, self.appended_at, self.opened_at = offset, appended_at, now
        self.lines.append(line)
        self.deliveries.append(delivery)
        self.last = offset
        self.size += len(line)


class PartitionChains:
    """The chains of one assigned partition.

    Args:
        number: of the partition of ``deliveries.file``.
        files: asked, when an endpoint's first record comes, how far its chains have been published.
    """

    def __init__(self, number: int, files: EventFiles) -> None:
        self._number = number
        self._files = files
        self._chains: dict[tuple[str, str], OpenChain] = {}
        self._published: dict[str, dict[str, int]] = {}
        # In the order of their first offsets: a chain is opened by the record that was just read.
        self._open: dict[Chain, OpenChain] = {}
        self._position: int | None = None
        self._committed: int | None = None

    def chain(self, endpoint: str, publisher: str) -> OpenChain:
        """The chain of an endpoint and a publisher.

        Raises:
            StorageUnavailable: it cannot be seen how far the chain has been published.
        """
        found = self._chains.get((endpoint, publisher))
        if found is None:
            known = self._published.get(endpoint)
            if known is None:
                known = self._published[endpoint] = self._files.last_offsets(endpoint, self._number)
            chain = Chain(endpoint, publisher, self._number)
            found = OpenChain(chain, known.get(publisher_key(publisher), -1))
            self._chains[endpoint, publisher] = found
        return found

    def add(
        self, chain: OpenChain, offset: int, line: bytes, delivery: Settled, *, appended_at: int, now: float
    ) -> None:
        """Take the line of the record at ``offset``."""
        chain.add(offset, line, delivery, appended_at=appended_at, now=now)
        self._open[chain.chain] = chain

    def passed(self, offset: int) -> None:
        """What is at ``offset`` is in a chain, or needs to be in none."""
        self._position = offset + 1

    def settle(self, chain: OpenChain) -> None:
        """What the chain held is in a file."""
        chain.published = chain.last
        chain.clear()
        del self._open[chain.chain]

    @property
    def position(self) -> int:
        """The offset after what was passed last; -1 at first."""
        return -1 if self._position is None else self._position

    def open(self) -> Iterator[OpenChain]:
        """The chains that hold lines, in the order of their first offsets."""
        return iter(tuple(self._open.values()))

    def committable(self) -> int | None:
        """The next offset to commit: of the first record that is in no file; None if that has not moved."""
        held = next(iter(self._open.values()), None)
        lowest = self._position if held is None else held.first
        return None if lowest == self._committed else lowest

    def committed(self, offset: int) -> None:
        """This offset is committed."""
        self._committed = offset
