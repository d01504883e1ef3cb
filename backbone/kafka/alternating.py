"""Two transactional producers that take turns, so that no transaction waits for the end of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Partition, Record
    from backbone.kafka.transaction import TransactionalProducer


class AlternatingProducer:
    """One transaction at a time, with another transactional id than the last one.

    Kafka answers a commit before its markers are written, and until they are it turns the next transaction of the same
    id away (ADR 0035). A transaction of another id need not wait. It begins only after the last commit was answered, so
    the order of records and offsets is the order of the transactions. Used from one thread, with the errors of
    ``TransactionalProducer``.

    Args:
        first, second: two producers, neither of them a lock.
    """

    def __init__(self, first: TransactionalProducer, second: TransactionalProducer) -> None:
        self._next, self._current = first, second

    def start(self) -> None:
        """Fence the former holders of both ids, and end what they left open. One that cannot start is closed."""
        try:
            for producer in (self._next, self._current):
                producer.start()
        except BaseException:
            self.close()
            raise

    def end_hanging(self, offsets: Mapping[Partition, int], consumer: BatchConsumer) -> None:
        """End hanging transactions of both ids: only markers of the same id end one."""
        for producer in (self._next, self._current):
            producer.end_hanging(offsets, consumer)

    def begin(self) -> None:
        """Open a transaction, with the other producer than the last one."""
        self._next, self._current = self._current, self._next
        self._current.begin()

    def produce(self, record: Record) -> None:
        """Add a record to the open transaction."""
        self._current.produce(record)

    def send_offsets(self, offsets: Mapping[Partition, int], member: Any, metadata: Mapping[Partition, str]) -> None:
        """Add the next offsets of a consumer group to the open transaction."""
        self._current.send_offsets(offsets, member, metadata)

    def commit(self) -> None:
        """Commit the open transaction; returns when Kafka has decided it."""
        self._current.commit()

    def abort(self) -> None:
        """Discard the open transaction; harmless when there is none."""
        self._current.abort()

    def close(self) -> None:
        """Abort what is open, and close both."""
        for producer in (self._current, self._next):
            producer.close()
