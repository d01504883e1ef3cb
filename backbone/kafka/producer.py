"""The awaitable producer: a batch of records in, one future of their places out.

Everything happens on the event loop: ``produce()``, and a look every millisecond for acknowledgements while there are
any to come. A thread that waits for them would be woken at once, but fights the loop for the interpreter (ADR 0007).
What is sent while earlier records wait for their acknowledgement gathers for a few milliseconds: who sends one record
at a time does not wait, and many who do share requests to Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Client

from backbone.kafka.failures import failure, kafka_error
from backbone.kafka.records import Ack
from schemas.errors import NotAcknowledged, PayloadTooLarge, QueueFull, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Message, Record
    from backbone.kafka.settings import KafkaSettings
    from schemas.errors import HeadraceError

log = logging.getLogger(__name__)

MAX_RECORD_BYTES = 1_000_000
"""Of a record's value."""

MAX_HEADER_BYTES = 512 * 1024
"""Of key and headers, beside the value; a topic's ``max.message.bytes`` has room for both."""

_NO_ACK = Ack(-1, -1)

_POLL_BUSY, _POLL_IDLE = 0.001, 0.1
"""Seconds between two looks for what librdkafka has to tell: while records are under way, and for errors otherwise."""

_GATHER = 0.005
"""Seconds between two hand-overs to librdkafka while records are under way."""

_LEARN = 2.0
"""Seconds that a question for a topic's partitions may take."""

_FLUSH = 5.0
"""Seconds; above ``message.timeout.ms``, by which every record has been acknowledged or has failed."""


class _Batch:
    """The records of one ``send``."""

    __slots__ = ("acks", "error", "future", "sent", "settled", "size")

    def __init__(self, future: asyncio.Future[list[Ack]], count: int, size: int) -> None:
        self.future = future
        self.acks: list[Ack] = [_NO_ACK] * count
        self.sent = count
        self.settled = 0
        self.size = size
        self.error: HeadraceError | None = None


class Producer:
    """Produces with acks=all and idempotence; what is not acknowledged within ``message.timeout.ms`` has failed.

    The queue is bounded in records and in bytes, and a batch that does not fit is refused whole. Use it from the event
    loop on which ``start`` ran.

    Args:
        settings: how to reach Kafka.
        max_records: bound of records that are not acknowledged yet.
        max_bytes: bound of their values' bytes.
        overrides: further librdkafka properties.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        max_records: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        **overrides: Any,
    ) -> None:
        self._config = settings.client_config(
            **{
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 4_000,
                # Enough for what is handed over at once to share a request. The gathering is done here, where it is
                # known whether anything is under way. librdkafka busily waits out the last millisecond of each linger.
                "linger.ms": 1,
                "message.max.bytes": MAX_RECORD_BYTES + MAX_HEADER_BYTES,
                # Both above our own bounds, which count a whole batch before its first record is queued.
                "queue.buffering.max.messages": max_records * 2,
                "queue.buffering.max.kbytes": max_bytes // 1024 * 8 + 1_024,
                "error_cb": self._on_error,
                **overrides,
            }
        )
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._records = 0
        self._bytes = 0
        self._failed = False
        self._gathered: list[tuple[_Batch, Sequence[Record]]] = []
        self._handed_over_at = 0.0
        self._finished: deque[_Batch] = deque()
        self._running = False
        self._purge: asyncio.Future[int] | None = None
        self._learning: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Create the client; does not wait for a broker."""
        self._loop = asyncio.get_running_loop()
        self._client = Client(self._config)
        self._running = True
        self._poll()

    async def stop(self) -> None:
        """Wait until what was sent is acknowledged or has failed, and close. Harmless when it was not started."""
        if self._running:
            self._produce_gathered()
            self._running = False
            self._next_poll.cancel()
            await asyncio.gather(*self._learning)
            if self._purge is not None:
                await self._purge
            await asyncio.to_thread(self._client.flush, _FLUSH)
            self._settle_finished()

    @property
    def unacknowledged(self) -> int:
        """Records sent and neither acknowledged nor failed."""
        return self._records

    def send(self, records: Sequence[Record]) -> asyncio.Future[list[Ack]]:
        """Send a batch; the future has one Ack per record, in order, when every in-sync replica has all of them.

        Raises:
            QueueFull: the batch does not fit into the queue; nothing was sent.
            PayloadTooLarge: a value is too large; nothing was sent.
            NotAcknowledged: (on the future) at least one record was not acknowledged in time.
            Unavailable: the producer is not running.
        """
        if not self._running:
            raise Unavailable("the producer is not running")
        count, size = len(records), 0
        for record in records:
            if record.value is not None:
                length = len(record.value)
                if length > MAX_RECORD_BYTES:
                    raise PayloadTooLarge(f"a record of {length} bytes; at most {MAX_RECORD_BYTES} are taken")
                size += length
        if self._records + count > self._max_records or self._bytes + size > self._max_bytes:
            raise QueueFull(f"{self._records} records of {self._bytes} bytes wait to be acknowledged")
        future: asyncio.Future[list[Ack]] = self._loop.create_future()
        if count:
            self._gather(_Batch(future, count, size), records)
            self._records += count
            self._bytes += size
        else:
            future.set_result([])
        return future

    def _gather(self, batch: _Batch, records: Sequence[Record]) -> None:
        """At the end of this turn of the loop when nothing is under way, else a few milliseconds after the last."""
        if not self._gathered:
            wait = self._handed_over_at + _GATHER - self._loop.time() if self._records else 0.0
            if wait > 0:
                self._loop.call_later(wait, self._produce_gathered)
            else:
                self._loop.call_soon(self._produce_gathered)
        self._gathered.append((batch, records))

    def _produce_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._handed_over_at = self._loop.time()
        for batch, records in gathered:
            self._produce(batch, records)
        if gathered and not self._polls_often:
            self._next_poll.cancel()
            self._poll_later()

    def _produce(self, batch: _Batch, records: Sequence[Record], begin: int = 0, *, learned: bool = False) -> None:
        produce, delivered = self._client.produce, self._delivered
        for index, record in enumerate(records[begin:] if begin else records, begin):
            try:
                produce(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    on_delivery=partial(delivered, batch, index),
                    headers=record.headers,  # type: ignore[arg-type]  # the stub's list type is invariant
                )
            except (KafkaException, BufferError) as error:
                if not learned and _is_of_new_partition(error):
                    task = self._loop.create_task(self._learn(batch, records, index))
                    self._learning.add(task)
                    task.add_done_callback(self._learning.discard)
                    return
                # The records before this one are on their way: the batch fails when the last of them is settled.
                batch.error = _failure(error)
                batch.sent = index
                if batch.settled == batch.sent:
                    self._settle(batch)
                return

    async def _learn(self, batch: _Batch, records: Sequence[Record], index: int) -> None:
        """Ask how many partitions a topic has by now, and go on with the batch: the client itself asks in seconds."""
        with contextlib.suppress(KafkaException):  # it is then refused as it was
            await asyncio.to_thread(self._client.list_topics, records[index].topic, _LEARN)
        self._produce(batch, records, index, learned=True)

    def _delivered(self, batch: _Batch, index: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            batch.acks[index] = Ack(message.partition(), message.offset())  # type: ignore[arg-type]  # both are set here
        else:
            batch.error = _failure(error)
        batch.settled += 1
        if batch.settled == batch.sent:
            self._finished.append(batch)

    def _poll(self) -> None:
        self._client.poll(0)
        self._settle_finished()
        if self._failed:
            self._replace_client()
        self._poll_later()

    def _poll_later(self) -> None:
        self._polls_often = self._records > 0
        self._next_poll = self._loop.call_later(_POLL_BUSY if self._polls_often else _POLL_IDLE, self._poll)

    def _settle_finished(self) -> None:
        while self._finished:
            self._settle(self._finished.popleft())

    def _settle(self, batch: _Batch) -> None:
        self._records -= len(batch.acks)
        self._bytes -= batch.size
        if batch.future.done():  # the caller was cancelled
            return
        if batch.error is None:
            batch.future.set_result(batch.acks)
        else:
            batch.future.set_exception(batch.error)

    def _on_error(self, error: KafkaError) -> None:
        # What passes is in the client's own log, which does not repeat it several times a second.
        if error.fatal():
            log.warning("kafka producer: %s", error.str(), extra={"code": error.name()})
            self._failed = True

    def _replace_client(self) -> None:
        """An idempotent producer that met a fatal error fails everything from then on; a new one starts afresh."""
        failed = self._client
        failed.purge()
        try:
            self._client = Client(self._config)
        except KafkaException as error:
            # For want of threads, say. The old one refuses what is sent meanwhile, and the next look tries again.
            log.warning("kafka producer: no new client yet: %s", kafka_error(error).str())
            return
        self._failed = False
        # Tells of every record that was purged, which may take a moment.
        self._purge = self._loop.run_in_executor(None, failed.flush, _FLUSH)


def _is_of_new_partition(error: KafkaException | BufferError) -> bool:
    """Whether the client knows of no such partition: its topic may have been grown a moment ago."""
    unknown = KafkaError._UNKNOWN_PARTITION  # noqa: SLF001  # librdkafka's name
    return isinstance(error, KafkaException) and kafka_error(error).code() == unknown


def _failure(error: KafkaError | KafkaException | BufferError) -> HeadraceError:
    if isinstance(error, BufferError):
        return QueueFull("librdkafka's queue is full")
    mapped = failure(error, "produce")
    return NotAcknowledged(str(mapped)) if isinstance(mapped, Unavailable) else mapped
