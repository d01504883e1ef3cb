"""One node of all writes ``channel-positions``, the one that Kafka's group gives the topic's only partition."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.transaction import TransactionalProducer
from connectors.websocket.positions import position_records
from schemas import topics
from schemas.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings
    from connectors.websocket.hub import Hub, Snapshot
    from connectors.websocket.metrics import RealtimeMetrics

log = logging.getLogger(__name__)

_GROUP = "headrace-realtime-positions"
_TRANSACTIONAL_ID = "headrace-realtime-positions"
_POLL = 0.2
_RETRY = 1.0


class PositionWriter:
    """Writes the marks of the channels that changed, every few seconds, each time in one transaction.

    Two nodes that both think they were elected do no harm: starting one's producer fences the other's.

    Args:
        settings: how to reach Kafka.
        hub: what is written.
        interval: seconds between two writes.
        metrics: of this process.
    """

    def __init__(self, settings: KafkaSettings, hub: Hub, *, interval: float, metrics: RealtimeMetrics) -> None:
        self._settings = settings
        self._hub = hub
        self._interval = interval
        self._metrics = metrics
        self._elected = False
        self._producer: TransactionalProducer | None = None
        self._written: dict[int, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="realtime-positions", daemon=True)

    def start(self) -> None:
        """Stand for election. Call it on the hub's event loop, once the hub has caught up."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Write once more, if elected, and resign."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._stopping.is_set():
            consumer = BatchConsumer(
                self._settings,
                group=_GROUP,
                on_assigned=self._on_assigned,
                on_revoked=self._on_revoked,
                on_stall=self._metrics.consumers_replaced.inc,
            )
            try:
                consumer.subscribe([topics.CHANNEL_POSITIONS])
                self._serve(consumer)
            except Unavailable as error:
                log.warning("cannot stand for election: %s", error)
                self._stopping.wait(_RETRY)
            except Exception:
                log.exception("writing channel positions failed")
                self._stopping.wait(_RETRY)
            finally:
                self._close()
                consumer.close()
                self._elected = False

    def _serve(self, consumer: BatchConsumer) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            # What is on the topic was read when the node started; polled for the sake of the group.
            consumer.consume(1_000, _POLL)
            if self._elected and time.monotonic() >= due:
                self._write()
                due = time.monotonic() + self._interval
        if self._elected:
            self._write()

    def _on_assigned(self, partitions: list[Partition]) -> None:
        self._elected = self._elected or bool(partitions)
        log.info("elected to write channel positions")

    def _on_revoked(self, partitions: list[Partition]) -> None:
        if partitions:
            self._elected = False
            self._close()

    def _write(self) -> None:
        snapshot: Snapshot = asyncio.run_coroutine_threadsafe(self._snapshot(), self._loop).result()
        if snapshot.nexts == self._written and not snapshot.marks:
            return
        try:
            if self._producer is None:
                self._producer = TransactionalProducer(
                    self._settings, _TRANSACTIONAL_ID, writes_to=[topics.CHANNEL_POSITIONS]
                )
                self._producer.start()
            self._producer.begin()
            for record in position_records(*snapshot):
                self._producer.produce(record)
            self._producer.commit()
        except Exception as error:  # whatever it was: without these marks a later position would be wrong
            unforeseen = not isinstance(error, HeadraceError)
            log.warning("channel positions were not written: %s", error, exc_info=unforeseen)
            self._metrics.positions.labels("failed").inc()
            self._loop.call_soon_threadsafe(self._hub.not_written, snapshot)
            self._close()
        else:
            self._written = dict(snapshot.nexts)
            self._metrics.positions.labels("written").inc()

    async def _snapshot(self) -> Snapshot:
        return self._hub.snapshot()

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
