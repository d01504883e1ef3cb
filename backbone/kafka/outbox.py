"""Writes lists of records, each as a whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.kafka.records import Record
    from backbone.kafka.transaction import TransactionalProducer


class Outbox:
    """Writes in transactions, from one thread at a time. Connects for the first records, and again after a failure.

    Args:
        new_producer: builds the producer, which is not started yet.
    """

    def __init__(self, new_producer: Callable[[], TransactionalProducer]) -> None:
        self._new_producer = new_producer
        self._producer: TransactionalProducer | None = None

    def write(self, records: Iterable[Record]) -> None:
        """Return once Kafka has all of them.

        Raises:
            HeadraceError: none of them is written, or the outcome is open (``Fenced``).
        """
        try:
            if self._producer is None:
                self._producer = self._new_producer()
                self._producer.start()
            self._producer.begin()
            for record in records:
                self._producer.produce(record)
            self._producer.commit()
        except BaseException:
            # A new producer settles whatever this one left open.
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; later records connect again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
