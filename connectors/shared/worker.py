"""The worker of a connector that reads ``deliveries.*``: accept deliveries, commit what is finished."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from backbone.kafka.commits import Commits
from backbone.kafka.consumer_loop import ConsumerLoop, Member
from backbone.kafka.records import header_list, place_of
from backbone.shared_room import SharedRoom
from connectors.shared.offsets import PartitionProgress
from schemas.model.delivery import WORKSPACE_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.delivery import Headers

T = TypeVar("T")

_LAG = 0.02
"""Seconds that one turn of a busy event loop takes."""

_JOIN = 5.0
"""Seconds after which a worker without partitions counts as a spare one, ready to take over."""


class Loop(Protocol):
    """Polls for the worker."""

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set."""


class Handler(Protocol):
    """The part of a connector that takes the deliveries of its worker. Everything is called on the event loop."""

    @property
    def pending(self) -> int:
        """Deliveries accepted and not finished."""

    def accept(self, message: ConsumedRecord, headers: Headers, progress: PartitionProgress, *, crowded: bool) -> None:
        """Take one delivery; call ``progress.finish`` once its outcome is in Kafka. Never raises.

        Args:
            message: as it was consumed.
            headers: the record's: reading them from it makes a new list each time.
            progress: of its partition.
            crowded: it is to wait elsewhere: its workspace has its share of this process's room.
        """

    def tick(self) -> None:
        """Called in every round of the loop."""

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Hand on the waiting deliveries of these partitions, and wait at most ``seconds`` for those in flight."""


class Companion(Protocol):
    """Reads the same partitions of another topic; called on the worker's own thread."""

    def follow(self, numbers: list[int]) -> None:
        """Read these partitions from now on."""

    def leave(self, numbers: list[int]) -> None:
        """Give these partitions up; returns once their next owner may read them."""


class Worker(Member):
    """Reads one topic as a member of a consumer group and commits the lowest unfinished offset of each partition.

    The consumer lives on a thread of its own, the deliveries on the event loop.

    Args:
        settings: how to reach Kafka.
        topic: ``deliveries.webhook`` or its like.
        group: the consumer group.
        handler: takes the deliveries.
        max_pending: polls no more while the handler has this many deliveries,
        max_bytes: or their values have so many bytes. Workspaces share both (``SharedRoom``), so that the deliveries of
            one do not keep the others' from being polled.
        drain: seconds to wait for deliveries in flight when a partition is taken away or the worker stops.
        companion: is told of the partitions that this worker has.
        on_stall: see ``BatchConsumer``; for counting.
    """

    BATCH = 500
    """Most records of a poll."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        topic: str,
        group: str,
        handler: Handler,
        max_pending: int,
        max_bytes: int,
        drain: float,
        companion: Companion | None = None,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._companion = companion
        self._handler = handler
        self._max_pending = max_pending
        self._max_bytes = max_bytes
        self._drain = drain
        self._progress: dict[Partition, PartitionProgress] = {}
        self._commits = Commits(self._progress)
        self._consumer_loop: Loop = ConsumerLoop(
            settings, group=group, topics=[topic], member=self, batch=self.BATCH, on_stall=on_stall
        )

    async def run(self, stopping: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Work until ``stopping`` is set; then finish the deliveries in flight, commit, and leave the group.

        ``on_ready`` is called once partitions are assigned, or it is clear that there are none to be had.
        """
        self._loop = asyncio.get_running_loop()
        self._stopping, self._on_ready = stopping, on_ready
        self._joined_at, self._is_ready = time.monotonic(), False
        ended = threading.Event()
        watch = asyncio.ensure_future(_set_after(stopping, ended))
        thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer")
        try:
            await self._loop.run_in_executor(thread, self._consumer_loop.run, ended)
        finally:
            ended.set()
            watch.cancel()
            # The thread may still need this event loop.
            thread.shutdown(wait=False)

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:
        """Have the event loop accept a batch, and wait until there is room for the next one."""
        offsets = self._on_event_loop(self._accept(records, consumer.ends))
        if offsets:
            self._commits.commit(consumer, offsets)
            self._on_event_loop(self._wait_for_room())

    async def _accept(self, records: Sequence[ConsumedRecord], ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Hand records to the handler; return the offsets to commit now. Without any, room was waited for."""
        pending, held = self._rooms()
        for record in records:
            progress = self._progress.get(place_of(record))
            if progress is None:
                continue  # the partition was taken away in the very poll that returned the record
            headers = header_list(record)
            workspace, size = _workspace_of(headers), len(record.value() or b"")
            crowded = not (pending.has_for(workspace, 1) and held.has_for(workspace, size))
            if not crowded:
                pending.take(workspace, 1)
                held.take(workspace, size)
            progress.start(record.offset(), size, workspace)
            self._handler.accept(record, headers, progress, crowded=crowded)
        # Where an end was met, the offset after it is committed, or the group would seem to lag behind for ever.
        for partition, end in ends.items():
            if partition in self._progress:
                self._progress[partition].passed(end)
        self._handler.tick()
        if not self._is_ready and (self._progress or time.monotonic() - self._joined_at > _JOIN):
            self._is_ready = True
            self._on_ready()
        offsets = self._commits.offsets(self._progress) if self._commits.due() else {}
        if not offsets:
            await self._wait_for_room()
        return offsets

    def _rooms(self) -> tuple[SharedRoom, SharedRoom]:
        """What each workspace has here: deliveries, and bytes of their values."""
        pending, held = SharedRoom(self._max_pending), SharedRoom(self._max_bytes)
        for progress in self._progress.values():
            for workspace, records in progress.records_of.items():
                pending.take(workspace, records)
                held.take(workspace, progress.bytes_of[workspace])
        return pending, held

    async def _wait_for_room(self) -> None:
        """Poll no more than this process can work off: what stays in Kafka takes none of its memory and turns."""
        while not self._stopping.is_set():
            began = time.monotonic()
            await asyncio.sleep(0)
            lag = time.monotonic() - began
            if lag < _LAG and self.has_room():
                return
            self._handler.tick()
            await asyncio.sleep(_LAG)

    def has_room(self) -> bool:
        """Whether more deliveries may be taken; from any thread."""
        held = sum(progress.bytes for progress in list(self._progress.values()))
        return self._handler.pending < self._max_pending and held < self._max_bytes

    def assigned(self, partitions: list[Partition]) -> None:
        """Begin to count what is finished."""
        for partition in partitions:
            self._progress[partition] = PartitionProgress()
        if self._companion is not None:
            self._companion.follow([number for _, number in partitions])

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:
        """Commit what is finished: the next owner begins where this commit leaves off."""
        offsets = self._on_event_loop(self._release(partitions))
        if offsets:
            self._commits.commit(consumer, offsets)
        for partition in partitions:
            self._progress.pop(partition, None)
        if self._companion is not None:
            self._companion.leave([number for _, number in partitions])

    async def _release(self, partitions: list[Partition]) -> dict[Partition, int]:
        parts = [self._progress[partition] for partition in partitions if partition in self._progress]
        for progress in parts:
            progress.closing = True
        await self._handler.drain(parts, self._drain)
        for progress in parts:
            progress.revoked = True
        return self._commits.offsets(partitions)

    def _on_event_loop(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _workspace_of(headers: Headers) -> str:
    for name, value in headers:
        if name == WORKSPACE_HEADER:
            return value.decode(errors="replace")
    return ""


async def _set_after(stopping: asyncio.Event, ended: threading.Event) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await stopping.wait()
        ended.set()
