"""Sets poison aside for an agent that has no transaction of its own to do it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.records import dead_letter
from schemas.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import Message, Record
    from backbone.kafka.transaction import TransactionalProducer


class DeadLetters:
    """Collects the poison of a batch and moves it to ``dead-letters``, all of it or nothing; one thread at a time.

    Args:
        new_producer: builds the producer, when the first poison comes and again after a failure.
    """

    def __init__(self, new_producer: Callable[[], TransactionalProducer]) -> None:
        self._new_producer = new_producer
        self._producer: TransactionalProducer | None = None
        self._collected: list[Record] = []

    def add(self, message: Message, reason: str) -> None:
        """Collect a poison record."""
        self._collected.append(dead_letter(message, reason=reason))

    def forget(self) -> None:
        """Drop what was collected: its batch is handled again."""
        self._collected.clear()

    def write(self) -> int:
        """Write what was collected; returns how many records it was.

        Raises:
            Unavailable: Kafka cannot take it now; it is still collected.
        """
        if not self._collected:
            return 0
        try:
            if self._producer is None:
                self._producer = self._new_producer()
                self._producer.start()
            self._producer.begin()
            for record in self._collected:
                self._producer.produce(record)
            self._producer.commit()
        except HeadraceError:
            # Poison is rare enough to begin anew, whatever it was.
            self.close()
            raise
        count = len(self._collected)
        self._collected.clear()
        return count

    def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
