"""Writes ``channel-positions``, on the one node to which the consumer group assigns the topic's only partition."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

from backbone.kafka.consumer_loop import ConsumerLoop, Member
from backbone.kafka.outbox import Outbox
from backbone.kafka.transaction import TransactionalProducer
from connectors.websocket.positions import position_records
from schemas.model import topics
from schemas.model.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings
    from connectors.websocket.hub import Hub, Snapshot
    from connectors.websocket.metrics import RealtimeMetrics

log = logging.getLogger(__name__)

GROUP = "headrace-realtime-positions"
_TRANSACTIONAL_ID = "headrace-realtime-positions"
_POLL = 0.2
"""Seconds."""


class PositionWriter(Member):
    """Writes the marks of the channels that changed, every few seconds, each time in one transaction.

    Two nodes that both think they were elected do no harm: starting one's producer fences the other's.

    Args:
        settings: how to reach Kafka.
        hub: has the positions.
        interval: seconds between two writes.
        metrics: of this process.
    """

    def __init__(self, settings: KafkaSettings, hub: Hub, *, interval: float, metrics: RealtimeMetrics) -> None:
        self._hub = hub
        self._interval = interval
        self._metrics = metrics
        self._is_elected = False
        self._due = 0.0
        self._outbox = Outbox(
            lambda: TransactionalProducer(settings, _TRANSACTIONAL_ID, writes_to=[topics.CHANNEL_POSITIONS])
        )
        self._written: dict[int, int] = {}
        consumer_loop = ConsumerLoop(
            settings,
            group=GROUP,
            topics=[topics.CHANNEL_POSITIONS],
            member=self,
            batch=1_000,
            wait=_POLL,
            on_stall=metrics.consumers_replaced.inc,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=consumer_loop.run, args=[self._stopping], name="realtime-positions", daemon=True
        )

    def start(self) -> None:
        """Stand for election. Call it on the hub's event loop, once the hub has caught up."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Write once more, if elected, and resign."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def joining(self) -> None:
        """Stand for election."""
        self._due = time.monotonic()

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:  # noqa: ARG002  # Member's
        """Write when it is time; the records were read when the node started, and are polled for the group's sake."""
        if self._is_elected and time.monotonic() >= self._due:
            self._write()
            self._due = time.monotonic() + self._interval

    def assigned(self, partitions: list[Partition]) -> None:
        """Elected: the topic has one partition."""
        self._is_elected = self._is_elected or bool(partitions)
        log.info("elected to write channel positions")

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:  # noqa: ARG002  # Member's
        """Another node is elected."""
        if partitions:
            self._resign()

    def failed(self, error: Exception) -> None:
        """Stand for election again, whatever it was: nobody would notice that the thread has ended."""
        if isinstance(error, Unavailable):
            log.warning("cannot stand for election: %s", error)
        else:
            log.error("writing channel positions failed", exc_info=error)

    def leaving(self, consumer: BatchConsumer) -> None:  # noqa: ARG002  # Member's
        """Write once more."""
        if self._is_elected:
            self._write()

    def left(self) -> None:
        """Not elected any more."""
        self._resign()

    def _resign(self) -> None:
        self._is_elected = False
        self._outbox.close()

    def _write(self) -> None:
        snapshot: Snapshot = asyncio.run_coroutine_threadsafe(self._snapshot(), self._loop).result()
        if snapshot.nexts == self._written and not snapshot.marks:
            return
        try:
            self._outbox.write(position_records(*snapshot))
        except Exception as error:  # whatever it was: without these marks a later position would be wrong
            unforeseen = not isinstance(error, HeadraceError)
            log.warning("channel positions were not written: %s", error, exc_info=unforeseen)
            self._metrics.positions.labels("failed").inc()
            self._loop.call_soon_threadsafe(self._hub.not_written, snapshot)
        else:
            self._written = dict(snapshot.nexts)
            self._metrics.positions.labels("written").inc()

    async def _snapshot(self) -> Snapshot:
        return self._hub.snapshot()
