"""Writes dead letters for an agent without transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.outbox import Outbox
from backbone.kafka.records import dead_letter

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord, Record
    from backbone.kafka.transaction import TransactionalProducer


class DeadLetters:
    """Collects the poison records of a batch and writes all of them to ``dead-letters``, or none; one thread at a time.

    Args:
        new_producer: builds the producer, for the first poison record and again after a failure.
    """

    def __init__(self, new_producer: Callable[[], TransactionalProducer]) -> None:
        self._outbox = Outbox(new_producer)
        self._collected: list[Record] = []

    def add(self, message: ConsumedRecord, reason: str) -> None:
        """Collect a poison record."""
        self._collected.append(dead_letter(message, reason=reason))

    def forget(self) -> None:
        """Drop the collected records: their batch is handled again."""
        self._collected.clear()

    def write(self) -> int:
        """Write the collected records; returns their number.

        Raises:
            Unavailable: Kafka cannot take them now; they are still collected.
        """
        if self._collected:
            self._outbox.write(self._collected)
        count = len(self._collected)
        self._collected.clear()
        return count

    def close(self) -> None:
        """Close the producer."""
        self._outbox.close()
