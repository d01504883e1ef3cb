"""The match index of the catalog as it is now, shared by the reader (which topics?) and the router (who gets this?)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from stream_processors.matching import MatchIndex, unlinked_sockets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Partition
    from stream_processors.open_sockets import OpenSocket, OpenSockets


class LiveIndex:
    """Builds a ``MatchIndex`` when the catalog has changed since the last; callable from any thread.

    Args:
        catalog: of this process.
        sockets: which sockets are open; asked only when the catalog has endpoints that it matters for.
        skew: milliseconds by which the brokers' clocks may differ.
    """

    def __init__(self, catalog: Catalog, sockets: OpenSockets, *, skew: int) -> None:
        self._catalog = catalog
        self._sockets = sockets
        self._skew = skew
        self._lock = threading.Lock()
        self._version = -1
        self._open: dict[str, tuple[int, OpenSocket]] = {}
        self._has_unlinked = (-1, False)
        self._index: MatchIndex | None = None

    def catch_up(self) -> None:
        """Know of every socket whose handshake was answered before this call, if there are endpoints that need it.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if self._sockets_matter():
            self._sockets.catch_up()

    def current(self) -> MatchIndex:
        """The index of the present catalog view and the sockets that are known to be open."""
        view = self._catalog.view
        sockets: dict[str, tuple[int, OpenSocket]] = {}
        if self._sockets_matter():
            self._sockets.start()
            sockets = self._sockets.current()
        with self._lock:
            # Read before the build: a change in the middle of it makes the next call build again.
            version = view.version
            if self._index is None or version != self._version or sockets != self._open:
                self._index = MatchIndex(view, self._index, skew=self._skew, sockets=sockets)
                self._version, self._open = version, sockets
            return self._index

    def topics(self) -> frozenset[str]:
        """Topics with at least one live subscription."""
        return self.current().topics

    def start_offsets(self, consumer: BatchConsumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where the earliest subscription of each partition's topic begins, by time; before it nothing can match.

        A partition that was added to a topic after that begins at 0. Where nothing was appended since, it is the end.
        """
        since = self.current().since
        times = {partition: since[partition[0]] for partition in partitions if partition[0] in since}
        starts = _offsets_at(consumer, times)
        later = [partition for partition in partitions if partition not in starts]
        if later:
            # The end is asked for before the time is asked again: what is appended in between is not passed over.
            ends = consumer.end_offsets(later)
            again = {partition: times[partition] for partition in later if partition in times}
            starts = starts | ends | _offsets_at(consumer, again)
        return starts

    def _sockets_matter(self) -> bool:
        view = self._catalog.view
        version = view.version
        if version != self._has_unlinked[0]:
            self._has_unlinked = version, bool(unlinked_sockets(view))
        return self._has_unlinked[1]


def _offsets_at(consumer: BatchConsumer, times: Mapping[Partition, int]) -> dict[Partition, int]:
    """The first offset at or after a time, for the partitions that have one."""
    if not times:
        return {}
    found = consumer.offsets_for_times(times)
    return {partition: offset for partition, offset in found.items() if offset is not None}
