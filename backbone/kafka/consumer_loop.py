"""The loop of a member of a consumer group: poll, handle the batch, go on. Joins, failures and revocations are here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from schemas.model.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds after a failure before the loop goes on."""


class ReadAgain(HeadraceError):
    """Raised by ``Member.handle``: go on at the committed offsets at once, without a pause."""


class Member:
    """The work of one member of a group. The loop calls every method on its own thread."""

    def joining(self) -> None:
        """Called before a consumer is built: nothing is assigned, and nothing of an earlier consumer counts."""

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:
        """Take the records of one poll; also called without any, ten times a second.

        Raises:
            ReadAgain, Unavailable: the loop calls ``read_again`` before the next batch.
        """
        raise NotImplementedError

    def assigned(self, partitions: list[Partition]) -> None:
        """Called inside a poll: these partitions were added; none of their records is fetched yet."""

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:
        """Called inside a poll, or at the end: these partitions are about to go to another member.

        Once the consumer has failed they may have gone already, and are named twice.
        """

    def read_again(self, consumer: BatchConsumer) -> None:
        """Go on at the committed offsets after ``handle`` failed."""

    def failed(self, error: Exception) -> None:
        """Log a failure, or raise it again to end the loop."""
        if not isinstance(error, Unavailable):
            raise error
        log.warning("begins again: %s", error)

    def leaving(self, consumer: BatchConsumer) -> None:
        """Called once the loop is told to stop, while the member still has its partitions."""

    def left(self) -> None:
        """Called after the consumer is closed."""


class ConsumerLoop:
    """Polls as a member of a group, on the thread that calls ``run``.

    A consumer that fails is replaced. When only the handling of a batch fails, the member stays in the group and reads
    again from the committed offsets: if it left and the leave did not arrive, nobody would have its partitions for a
    whole session.

    Args:
        settings: how to reach Kafka.
        group: the consumer group.
        topics: to read.
        member: does the work.
        batch: most records of a poll.
        wait: seconds that a poll waits for a first record, and so the loop's longest round.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topics: Sequence[str],
        member: Member,
        batch: int,
        wait: float = 0.1,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._member = member
        self._batch = batch
        self._wait = wait
        self._on_stall = on_stall
        self._assigned: dict[Partition, None] = {}

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set, then leave the group.

        Raises:
            Exception: what ``Member.failed`` raised.
        """
        while not stopping.is_set():
            try:
                self._serve(stopping)
            except Exception as error:  # noqa: BLE001  # the member decides
                self._member.failed(error)
                stopping.wait(PAUSE)

    def _serve(self, stopping: threading.Event) -> None:
        self._member.joining()
        consumer = BatchConsumer(
            self._settings,
            group=self._group,
            on_assigned=self._on_assigned,
            on_revoked=lambda partitions: self._on_revoked(consumer, partitions),
            on_stall=self._on_stall,
        )
        try:
            consumer.subscribe(self._topics)
            self._poll(consumer, stopping)
            self._member.leaving(consumer)
        except BaseException:
            # A consumer that failed may tell of no revocation.
            if self._assigned:
                self._on_revoked(consumer, list(self._assigned))
            raise
        finally:
            consumer.close()
            self._assigned.clear()
            self._member.left()

    def _poll(self, consumer: BatchConsumer, stopping: threading.Event) -> None:
        reads_again = False
        while not stopping.is_set():
            records = consumer.consume(self._batch, self._wait)
            try:
                if reads_again:
                    self._member.read_again(consumer)
                    reads_again = False
                    continue
                self._member.handle(consumer, records)
            except ReadAgain:
                reads_again = True
            except Unavailable as error:
                reads_again = True
                self._member.failed(error)
                stopping.wait(PAUSE)

    def _on_assigned(self, partitions: list[Partition]) -> None:
        self._assigned.update(dict.fromkeys(partitions))
        self._member.assigned(partitions)

    def _on_revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:
        self._member.revoked(consumer, partitions)
        for partition in partitions:
            self._assigned.pop(partition, None)


def resume_at(consumer: BatchConsumer, committed: Mapping[Partition, int | None]) -> None:
    """Read partitions on from their committed offsets, paused ones too; from the beginning where there is none.

    Raises:
        Unavailable: the consumer cannot go there.
    """
    consumer.seek({each: BEGINNING if offset is None else offset for each, offset in committed.items()})
    consumer.resume(committed)
