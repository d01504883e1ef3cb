"""The match index of the present catalog. The reader asks it for topics, the router for the endpoints of an event."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from stream_processors.routing.matching import MatchIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Partition
    from schemas.model.endpoint import BodyFormat
    from stream_processors.routing.socket_presence import OpenSocket, OpenSockets


class LiveIndex:
    """Builds a new ``MatchIndex`` when the catalog has changed; callable from any thread.

    Args:
        catalog: of this process.
        sockets: the open sockets; asked only if the catalog has endpoints that need them.
        skew: milliseconds by which the brokers' clocks may differ.
        unfiltered: see ``MatchIndex``.
    """

    def __init__(
        self, catalog: Catalog, sockets: OpenSockets, *, skew: int, unfiltered: Collection[BodyFormat]
    ) -> None:
        self._catalog = catalog
        self._sockets = sockets
        self._build = functools.partial(MatchIndex, skew=skew, unfiltered=unfiltered)
        self._lock = threading.Lock()
        self._version = -1
        self._open: dict[str, tuple[int, OpenSocket]] = {}
        self._index: MatchIndex | None = None

    def catch_up(self) -> None:
        """Learn of every socket whose handshake was answered before this call, if some endpoint needs it.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if self.current().has_unlinked:
            self._sockets.catch_up()

    def current(self) -> MatchIndex:
        """The index of the present catalog view and the known open sockets."""
        view = self._catalog.view
        with self._lock:
            # Read before the build: after a change in the middle of the build, the next call builds again.
            version = view.version
            index = self._index
            if index is None or version != self._version:
                index = self._build(view, index, sockets=self._open)
            sockets: dict[str, tuple[int, OpenSocket]] = {}
            if index.has_unlinked:
                self._sockets.start()
                sockets = self._sockets.current()
            if sockets != self._open:
                index = self._build(view, index, sockets=sockets)
            self._index, self._version, self._open = index, version, sockets
            return index

    def topics(self) -> frozenset[str]:
        """Topics with at least one live subscription."""
        return self.current().topics

    def start_offsets(self, consumer: BatchConsumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The offset at which the earliest subscription of each partition's topic begins; before it nothing can match.

        It is 0 for a partition that was added later, and the end for a partition without later records.
        """
        since = self.current().since
        times = {partition: since[partition[0]] for partition in partitions if partition[0] in since}
        starts = _offsets_at(consumer, times)
        later = [partition for partition in partitions if partition not in starts]
        if later:
            # The end is read before the time is looked up again, so that records appended in between are not skipped.
            ends = consumer.end_offsets(later)
            again = {partition: times[partition] for partition in later if partition in times}
            starts = starts | ends | _offsets_at(consumer, again)
        return starts


def _offsets_at(consumer: BatchConsumer, times: Mapping[Partition, int]) -> dict[Partition, int]:
    """The first offset at or after the time, of the partitions that have one."""
    if not times:
        return {}
    found = consumer.offsets_for_times(times)
    return {partition: offset for partition, offset in found.items() if offset is not None}
