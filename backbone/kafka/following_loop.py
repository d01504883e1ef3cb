"""The loop of a reader that has the same partitions of another topic as a member of a group has.

Topics with as many partitions are not always given to the members of a group alike. So only one of them is read by the
group, and whoever has a partition of it reads that of the other as well, and commits for a group that has no members.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from backbone.kafka.consumer_loop import PAUSE
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.kafka.consumer_loop import Member
    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_IDLE = 0.1
"""Seconds between two looks while there is nothing to read, or no room for it."""

_FETCHED_AHEAD = 16_384
"""KiB: they may wait for long, because others go first."""


class FollowingLoop:
    """Polls the partitions that it is told to follow, on the thread that calls ``run``.

    Args:
        settings: how to reach Kafka.
        group: its offsets are committed for it; nobody joins it.
        topic: to read.
        member: does the work. Its ``joining`` and ``read_again`` are not called.
        has_room: whether more may be read now.
        batch: most records of a poll.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topic: str,
        member: Member,
        has_room: Callable[[], bool],
        batch: int,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topic = topic
        self._member = member
        self._has_room = has_room
        self._batch = batch
        self._on_stall = on_stall
        self._changed = threading.Condition()
        self._wanted: set[int] = set()
        self._followed: dict[Partition, int] = {}
        self._running = False

    def follow(self, numbers: Iterable[int]) -> None:
        """Read these partitions soon; from any thread."""
        with self._changed:
            self._wanted.update(numbers)

    def leave(self, numbers: Iterable[int], seconds: float) -> None:
        """Give these partitions up, and wait at most ``seconds`` until that is done; from any other thread."""
        gone = set(numbers)
        with self._changed:
            self._wanted -= gone

            def is_left() -> bool:
                return not self._running or not any(number in gone for _, number in self._followed)

            if not self._changed.wait_for(is_left, seconds):
                log.warning("replays were not given up in time", extra={"partitions": sorted(gone)})

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set."""
        self._running = True
        try:
            while not stopping.is_set():
                try:
                    self._serve(stopping)
                except Exception as error:  # noqa: BLE001  # the member decides
                    self._member.failed(error)
                    stopping.wait(PAUSE)
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _serve(self, stopping: threading.Event) -> None:
        overrides: dict[str, Any] = {"group.protocol": "classic", "queued.max.messages.kbytes": _FETCHED_AHEAD}
        consumer = BatchConsumer(self._settings, group=self._group, on_stall=self._on_stall, **overrides)
        try:
            while not stopping.is_set():
                self._apply(consumer)
                if not self._followed or not self._has_room():
                    self._member.handle(consumer, ())
                    stopping.wait(_IDLE)
                    continue
                records = consumer.consume(self._batch, _IDLE)
                self._followed |= {(record.topic(), record.partition()): record.offset() + 1 for record in records}
                self._member.handle(consumer, records)
        finally:
            self._release(consumer, list(self._followed))
            consumer.close()

    def _apply(self, consumer: BatchConsumer) -> None:
        """Read what is wanted, and nothing else."""
        with self._changed:
            wanted = {(self._topic, number) for number in self._wanted}
        if wanted == self._followed.keys():
            return
        self._release(consumer, [each for each in self._followed if each not in wanted])
        added = [each for each in wanted if each not in self._followed]
        committed = consumer.committed(added) if added else {}
        if added:
            self._member.assigned(added)
        self._followed |= {each: BEGINNING if offset is None else offset for each, offset in committed.items()}
        consumer.assign(self._followed)

    def _release(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:
        try:
            if partitions:
                self._member.revoked(consumer, partitions)
        except HeadraceError as error:
            log.warning("replays are read again by their next owner", extra={"error": str(error)})
        finally:
            with self._changed:
                for partition in partitions:
                    self._followed.pop(partition, None)
                    # It says nothing of what is there when the partition comes back.
                    consumer.ends.pop(partition, None)
                self._changed.notify_all()
