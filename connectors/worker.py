"""The loop of a connector that reads ``deliveries.*``: poll, hand out, commit what is finished."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from backbone.kafka.consumer import BatchConsumer
from connectors.offsets import PartitionProgress
from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from backbone.kafka.records import Message, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCH = 500
_WAIT = 0.1
"""Seconds that a poll waits for a first message, and so the loop's longest round."""

_COMMIT_EVERY = 0.5
"""Seconds: what a crash repeats is what finished since the last commit."""

_AGAIN = 1.0
"""Seconds before a consumer that failed is replaced."""

_LAG = 0.02
"""Seconds that one turn of a busy event loop takes."""

_JOIN = 5.0
"""Seconds after which a worker without partitions counts as a spare one, ready to take over."""


class Handler(Protocol):
    """What a connector does with the deliveries that the worker hands to it."""

    @property
    def pending(self) -> int:
        """Deliveries accepted and not finished."""

    def accept(self, message: Message, progress: PartitionProgress) -> None:
        """Take one delivery; call ``progress.finish`` once all that becomes of it is in Kafka. Never raises."""

    def tick(self) -> None:
        """Called in every round of the loop."""

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Hand on what these partitions still queue, and wait at most ``seconds`` for what is under way."""


class Worker:
    """Reads one topic as a member of a consumer group and commits the lowest unfinished offset of each partition.

    All calls to the consumer are made on one thread; the deliveries live on the event loop.

    Args:
        settings: how to reach Kafka.
        topic: ``deliveries.webhook`` or its like.
        group: the consumer group.
        handler: does the work.
        max_pending: polls no more while the handler has this many deliveries,
        max_bytes: or their values have so many bytes.
        drain: seconds to wait for deliveries under way when a partition is taken away or the worker stops.
        on_stall: see ``BatchConsumer``; for counting.
    """

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
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._handler = handler
        self._max_pending = max_pending
        self._max_bytes = max_bytes
        self._drain = drain
        self._on_stall = on_stall
        self._progress: dict[Partition, PartitionProgress] = {}
        self._committed_at = 0.0

    async def run(self, stopping: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Work until ``stopping`` is set; then finish what is under way, commit, and leave the group.

        ``on_ready`` is called once partitions are assigned, or it is clear that there are none to be had.
        """
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer") as self._thread:
            self._consumer = await self._on_thread(self._join)
            joined = time.monotonic()
            is_ready = False
            try:
                while not stopping.is_set():
                    if not is_ready and (self._progress or time.monotonic() - joined > _JOIN):
                        is_ready = True
                        on_ready()
                    for message in await self._poll():
                        self._hand_out(message)
                    self._pass_ends()
                    self._handler.tick()
                    await self._commit()
                    await self._wait_for_room(stopping)
            finally:
                await self._leave()

    def _join(self) -> BatchConsumer:
        consumer = BatchConsumer(
            self._settings,
            group=self._group,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_stall=self._on_stall,
        )
        consumer.subscribe([self._topic])
        return consumer

    async def _poll(self) -> Sequence[Message]:
        try:
            return await self._on_thread(self._next_batch)
        except Unavailable:
            log.exception("cannot read deliveries, joining again")
            await asyncio.sleep(_AGAIN)
            await self._on_thread(self._rejoin)
            return []

    def _rejoin(self) -> None:
        """In place of a consumer that no further call gets to work: the deliveries that it gave us come again."""
        if self._progress:
            self._revoked(list(self._progress))
        self._consumer.close()
        self._consumer = self._join()

    def _next_batch(self) -> list[Message]:
        return self._consumer.consume(_BATCH, _WAIT)

    def _hand_out(self, message: Message) -> None:
        partition = (str(message.topic()), int(message.partition() or 0))
        progress = self._progress.get(partition)
        if progress is None:
            return  # it was taken away in the very poll that returned the message
        progress.start(int(message.offset() or 0), len(message.value() or b""))
        self._handler.accept(message, progress)

    def _pass_ends(self) -> None:
        """Where an end was met, the offset after it is committed, or the group would seem to lag behind for ever."""
        for partition, end in self._consumer.ends.items():
            if partition in self._progress:
                self._progress[partition].passed(end)

    async def _commit(self) -> None:
        now = time.monotonic()
        if now - self._committed_at < _COMMIT_EVERY:
            return
        self._committed_at = now
        offsets = self._committable(self._progress)
        if offsets:
            await self._on_thread(lambda: self._commit_now(offsets))

    def _committable(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        found = {}
        for partition in partitions:
            progress = self._progress.get(partition)
            offset = progress.committable() if progress else None
            if offset is not None:
                found[partition] = offset
        return found

    def _commit_now(self, offsets: dict[Partition, int]) -> None:
        """On the consumer's thread. An offset that could not be committed is offered again in the next round."""
        try:
            self._consumer.commit(offsets)
        except Unavailable as error:
            log.warning("offsets not committed: %s", error)
            return
        for partition, offset in offsets.items():
            if partition in self._progress:
                self._progress[partition].committed(offset)

    async def _wait_for_room(self, stopping: asyncio.Event) -> None:
        """Poll no more than this process can work off: what stays in Kafka takes none of its memory and turns."""
        while not stopping.is_set():
            began = time.monotonic()
            await asyncio.sleep(0)
            lag = time.monotonic() - began
            held = sum(progress.bytes for progress in self._progress.values())
            if lag < _LAG and self._handler.pending < self._max_pending and held < self._max_bytes:
                return
            self._handler.tick()
            await asyncio.sleep(_LAG)

    def _assigned(self, partitions: list[Partition]) -> None:
        """On the consumer's thread, inside a poll."""
        for partition in partitions:
            self._progress[partition] = PartitionProgress()

    def _revoked(self, partitions: list[Partition]) -> None:
        """On the consumer's thread, inside a poll: the next owner begins where this commit leaves off."""
        offsets = asyncio.run_coroutine_threadsafe(self._release(partitions), self._loop).result()
        if offsets:
            self._commit_now(offsets)
        for partition in partitions:
            self._progress.pop(partition, None)

    async def _release(self, partitions: list[Partition]) -> dict[Partition, int]:
        parts = [self._progress[partition] for partition in partitions if partition in self._progress]
        for progress in parts:
            progress.closing = True
        await self._handler.drain(parts, self._drain)
        for progress in parts:
            progress.revoked = True
        return self._committable(partitions)

    async def _leave(self) -> None:
        await self._on_thread(self._consumer.close)

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, call)
