"""Reads all of ``deliveries.websocket`` on a thread and hands it to the hub, batch by batch."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.retrying import retry_blocking
from connectors.websocket.positions import load_positions
from schemas.model import topics
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings
    from connectors.websocket.hub import Hub
    from connectors.websocket.positions import PartitionStart, Positions
    from connectors.websocket.rendering import PublicationRenderer

log = logging.getLogger(__name__)

_BATCH = 2_000
_FETCHED_AHEAD = 8_192
"""KiB fetched ahead, and so the most that a batch holds: later records wait until it is rendered and sent."""
_POLL = 0.2
_TOPIC = topics.WEBSOCKET_DELIVERIES


class LogReader:
    """Reads every partition on every node, without a consumer group: no rebalance can interrupt it.

    It sees only committed records, so all nodes count the same.

    Args:
        settings: how to reach Kafka.
        hub: numbers and sends what is read.
        renderer: prepares the schemas of records before they are rendered.
        rebuild_records: records of each partition that are read again before the known position, to have a history.
        on_stall: see ``BatchConsumer``; for counting.

    Attributes:
        failure: raises if reading ended without ``stop``; start the process again.
    """

    failure: asyncio.Future[None]

    def __init__(
        self,
        settings: KafkaSettings,
        hub: Hub,
        renderer: PublicationRenderer,
        *,
        rebuild_records: int,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._renderer = renderer
        self._rebuild = rebuild_records
        self._on_stall = on_stall
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="realtime-log", daemon=True)

    async def start(self) -> None:
        """Begin to read as soon as Kafka answers; return once the log is read to the end that it had then."""
        self._loop = asyncio.get_running_loop()
        self._caught_up: asyncio.Future[None] = self._loop.create_future()
        self.failure: asyncio.Future[None] = self._loop.create_future()
        options: dict[str, Any] = {"queued.max.messages.kbytes": _FETCHED_AHEAD}
        self._consumer = BatchConsumer(self._settings, group=None, on_stall=self._on_stall, **options)
        self._thread.start()
        await self._caught_up

    async def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            retry_blocking(self._stopping, self._begin)
            while not self._stopping.is_set():
                self._step()
        except HeadraceError as error:
            log.warning("realtime deliveries cannot be read: %s", error)
            self._fail(error)
        except Exception as error:
            log.exception("reading realtime deliveries failed")
            self._fail(error)
        finally:
            self._consumer.close()

    def _begin(self) -> None:
        positions = load_positions(self._settings)
        topic_id = Admin(self._settings).topic_id_now(_TOPIC)
        partitions = self._consumer.partitions_of([_TOPIC])
        bounds = self._consumer.watermarks(partitions)
        starts, epochs = {}, {}
        for partition, (first, end) in bounds.items():
            number = partition[1]
            epochs[number], begin = start_of(topic_id, number, first, positions.starts.get(number))
            starts[partition] = max(first, begin - self._rebuild)
            log.info(
                "counting a partition",
                extra={"partition": number, "epoch": epochs[number], "from": starts[partition], "end": end},
            )
        self._ends = {partition: end for partition, (_, end) in bounds.items()}
        self._passed = dict(starts)
        self._call(self._take_over(positions, epochs))
        self._consumer.assign(starts)

    async def _take_over(self, positions: Positions, epochs: dict[int, str]) -> None:
        known = {key: mark for key, mark in positions.marks.items() if _same(epochs, positions, key[0])}
        self._hub.begin(type(positions)(positions.starts, known), epochs)

    def _step(self) -> None:
        messages = self._consumer.consume(_BATCH, _POLL)
        if messages:
            # These records are not read again: while Kafka is away they wait here for their schemas.
            retry_blocking(self._stopping, lambda: self._renderer.prepare(messages))
        passed = self._advance(messages)
        if messages or passed:
            nexts = {partition: self._passed[topic, partition] for topic, partition in passed}
            self._call(self._hub.publish(messages, nexts))
        if self._ends and all(self._passed[partition] >= end for partition, end in self._ends.items()):
            self._ends = {}
            self._loop.call_soon_threadsafe(self._is_caught_up)

    def _advance(self, messages: list[ConsumedRecord]) -> set[Partition]:
        passed = self._consumer.passed(messages)
        changed = {partition for partition, offset in passed.items() if offset > self._passed[partition]}
        for partition in changed:
            self._passed[partition] = passed[partition]
        return changed

    def _call(self, coroutine: object) -> None:
        """Run it on the event loop and wait: one batch at a time is in flight."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()  # type: ignore[arg-type]  # a coroutine of None

    def _is_caught_up(self) -> None:
        self._hub.settle()
        if not self._caught_up.done():
            self._caught_up.set_result(None)

    def _fail(self, error: Exception) -> None:
        def tell() -> None:
            told = self.failure if self._caught_up.done() else self._caught_up
            if not told.done():
                told.set_exception(error)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tell)


def start_of(topic_id: str, partition: int, first: int, known: PartitionStart | None) -> tuple[str, int]:
    """The epoch of a partition and the log offset to count it from.

    A new epoch begins with the first remaining record if records expired before a node counted them, or if nothing is
    known. Otherwise an old position of a client would look as if nothing had been missed.

    Args:
        topic_id: of ``deliveries.websocket``.
        partition: its number.
        first: log offset of the first record that it has.
        known: the partition's start in ``channel-positions``.
    """
    prefix = f"{topic_id}.{partition}"
    if known is not None and known.epoch.startswith(f"{prefix}.") and known.next >= first:
        return known.epoch, known.next
    return f"{prefix}.{first}", first


def _same(epochs: dict[int, str], positions: Positions, partition: int) -> bool:
    return positions.starts[partition].epoch == epochs.get(partition)
