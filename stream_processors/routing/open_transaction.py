"""An open routing transaction: its records, its receipts, and its room for more."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from schemas.model import timestamps
from stream_processors.routing.deliveries import Tally

if TYPE_CHECKING:
    from backbone.kafka.alternating import AlternatingProducer
    from backbone.kafka.records import Partition, Record
    from stream_processors.routing.matching import MatchIndex
    from stream_processors.runtime.fault_injection import BeforeCommit

_WIDE_BYTES, _WIDE_DELIVERIES = 1024 * 1024, 256
"""Deliveries of one event: past either limit it may be divided, if other workspaces wait."""


class OpenTransaction:
    """A transaction; the constructor begins it.

    Args:
        producer: without an open transaction.
        index: finds the endpoints of an event.
        expected: see ``Tally``.
        size: most bytes of the deliveries' values.
        deliveries: most deliveries.
        ends: time limit in seconds of ``time.monotonic()``; None if there are no other workspaces.

    Attributes:
        ends: as above.
        routed_at: begin of the transaction, microseconds since the epoch.
        tally: the offsets that it accounts for.
        produced: records by topic.
    """

    __slots__ = ("_deliveries", "_producer", "_size", "ends", "index", "produced", "routed_at", "tally")

    def __init__(
        self,
        producer: AlternatingProducer,
        index: MatchIndex,
        expected: dict[Partition, int],
        *,
        size: int,
        deliveries: int,
        ends: float | None,
    ) -> None:
        self._producer = producer
        self.index = index
        self.tally = Tally(expected)
        self.produced: Counter[str] = Counter()
        self.routed_at = timestamps.now()
        self._size = size
        self._deliveries = deliveries
        self.ends = ends
        producer.begin()

    def use(self, size: int, deliveries: int = 1) -> None:
        """Take room for deliveries of an event of ``size`` bytes."""
        self._size -= size * deliveries
        self._deliveries -= deliveries

    def is_full(self) -> bool:
        """Whether to commit now."""
        return self.is_large() or (self.ends is not None and time.monotonic() > self.ends)

    def is_large(self) -> bool:
        """Whether the limit of bytes or deliveries is reached."""
        return self._size < 0 or self._deliveries <= 0

    def holds(self, size: int, deliveries: int) -> bool:
        """Whether the deliveries of an event of ``size`` bytes fit without dividing them."""
        if deliveries == 1:
            return True
        if self.ends is None:
            return deliveries * size <= max(self._size, _WIDE_BYTES)
        return deliveries <= _WIDE_DELIVERIES and deliveries * size <= _WIDE_BYTES

    def write(self, record: Record) -> None:
        """Add a record.

        Raises:
            PayloadTooLarge: see ``TransactionalProducer.produce``.
        """
        self._producer.produce(record)
        self.produced[record.topic] += 1

    def commit(self, membership: Any, before_commit: BeforeCommit) -> None:
        """Add receipts and offsets, and commit.

        Args:
            membership: see ``TransactionalProducer.send_offsets``.
            before_commit: the fault hook of the tests.
        """
        for receipt in self.tally.receipts(self.routed_at):
            self._producer.produce(receipt)
        self._producer.send_offsets(self.tally.offsets(), membership, self.tally.marks)
        before_commit()
        self._producer.commit()
        self.tally.settle()
