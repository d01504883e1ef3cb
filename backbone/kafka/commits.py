"""When the offsets of a consumer group are committed, and which."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Partition

log = logging.getLogger(__name__)

COMMIT_EVERY = 0.5
"""Seconds: a crash repeats the work that was finished since the last commit."""


class Progress(Protocol):
    """One assigned partition: how far its records are finished."""

    def committable(self) -> int | None:
        """The next offset to commit, or None if it has not moved since ``committed`` was called."""

    def committed(self, offset: int) -> None:
        """Take note that this offset is committed."""


class Commits:
    """Commits the offsets that partitions offer.

    Args:
        parts: the assigned partitions, kept up to date by their owner.
    """

    def __init__(self, parts: Mapping[Partition, Progress]) -> None:
        self._parts = parts
        self._committed_at = 0.0

    def due(self) -> bool:
        """Whether it is time for the next commit; the answer is yes once every half second."""
        now = time.monotonic()
        if now - self._committed_at < COMMIT_EVERY:
            return False
        self._committed_at = now
        return True

    def offsets(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """What these partitions offer to commit."""
        offered = {each: self._parts[each].committable() for each in partitions if each in self._parts}
        return {partition: offset for partition, offset in offered.items() if offset is not None}

    def commit(self, consumer: BatchConsumer, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets, on the consumer's thread. Those that Kafka does not take are offered again."""
        try:
            consumer.commit(offsets)
        except Unavailable as error:
            log.warning("offsets not committed: %s", error)
            return
        for partition, offset in offsets.items():
            if partition in self._parts:
                self._parts[partition].committed(offset)
