"""The awaitable producer: a batch of records in, one future of their places out.

Everything happens on the event loop: ``produce()``, and a look every millisecond for acknowledgements while there are
any to come. A thread that waits for them would be woken at once, but fights the loop for the interpreter (ADR 0007).
What is sent while earlier records wait for their acknowledgement gathers for a few milliseconds: who sends one record
at a time does not wait, and many who do share requests to Kafka.

A caller waits a few seconds; its record stays in flight for ``delivery_timeout``, two minutes by default. A timeout of
librdkafka's own would make it write younger records again under a new epoch, although the broker has appended them.
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

from backbone.kafka.failures import is_of_new_partition, kafka_error, not_delivered, not_taken
from backbone.kafka.queue_room import QueueRoom
from backbone.kafka.records import Ack
from backbone.kafka.sent_batch import SentBatch
from backbone.workspace_queue import WORKSPACE
from schemas.model.errors import NotAcknowledged, PayloadTooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Message, Record
    from backbone.kafka.sent_batch import Refusal
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.errors import HeadraceError

log = logging.getLogger(__name__)

MAX_RECORD_BYTES = 1_000_000
"""Of a record's value."""

MAX_HEADER_BYTES = 512 * 1024
"""Of key and headers, beside the value; a topic's ``max.message.bytes`` has room for both."""

_POLL_BUSY, _POLL_IDLE = 0.001, 0.1
"""Seconds between two looks for what librdkafka has to tell: while records are under way, and for errors otherwise."""

_GATHER = 0.005
"""Seconds between two hand-overs to librdkafka while records are under way."""

_AT_ONCE = 500
"""Records of large batches that are handed over in one turn of the loop: a millisecond or two."""

_LEARN = 2.0
"""Seconds that a question for a topic's partitions may take."""

_FLUSH = 3.0
"""Seconds that a client gets to finish when it is closed."""

_LAST_CHANCE = 2.0
"""Seconds that a client which is replaced gets for records of partitions that still answer."""

LIBRDKAFKA_TIMEOUT_AFTER = 15.0
"""Seconds between our delivery timeout and librdkafka's own, which must not be reached."""

OPEN = "Kafka has not acknowledged it yet; it may still be written"


class Producer:
    """Produces with acks=all and idempotence, and never writes a record twice.

    The queue is bounded in records and in bytes, and for each workspace (``QueueRoom``). A batch that does not fit is
    refused whole. Records whose caller has given up still count until their outcome is known. When a record has no
    outcome after ``delivery_timeout``, the client is replaced: what it has in flight stays open, and is not sent again.
    Use it from the event loop on which ``start`` ran.

    Args:
        settings: how to reach Kafka.
        wait: seconds that a caller waits for its acknowledgement.
        max_records: bound of records that are not acknowledged yet.
        max_bytes: bound of their values' bytes.
        overrides: further librdkafka properties.

    Attributes:
        wait: see above.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        wait: float = 4.0,
        max_records: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        **overrides: Any,
    ) -> None:
        self._config = settings.client_config(
            **{
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": int((settings.delivery_timeout + LIBRDKAFKA_TIMEOUT_AFTER) * 1_000),
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
        self.wait = wait
        self._delivery_timeout = settings.delivery_timeout
        self._room = QueueRoom(max_records, max_bytes)
        self._failed = False
        # In the order of sending: those whose callers wait, and those that have waited long enough.
        self._awaited: deque[SentBatch] = deque()
        self._late: deque[SentBatch] = deque()
        self._acknowledged_at = 0.0
        self._retired: list[tuple[Client, float]] = []
        self._replaced_at = 0.0
        self._gathered: list[tuple[SentBatch, Sequence[Record]]] = []
        self._large: deque[tuple[SentBatch, Sequence[Record], int]] = deque()
        self._handed_over_at = 0.0
        self._finished: deque[SentBatch] = deque()
        self._running = False
        self._closing: set[asyncio.Future[None]] = set()
        self._learning: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Create the client; does not wait for a broker."""
        self._loop = asyncio.get_running_loop()
        self._client = Client(self._config)
        self._running = True
        self._poll()

    async def stop(self) -> None:
        """Wait a few seconds for what was sent, and close. Harmless when it was not started.

        What has no outcome by then fails as ``NotAcknowledged``, and is not sent any more.
        """
        if not self._running:
            return
        self._produce_gathered()
        self._running = False
        self._next_poll.cancel()
        await asyncio.gather(*self._learning)
        while self._large:
            self._produce_part()
        for client in (self._client, *(client for client, _ in self._retired)):
            self._close(client, _FLUSH)
        await asyncio.gather(*self._closing)
        self._settle_finished()
        for batch in (*self._awaited, *self._late):
            if not batch.is_settled:
                batch.error = NotAcknowledged(OPEN)
                self._settle(batch)

    @property
    def unacknowledged(self) -> int:
        """Records sent and neither acknowledged nor failed."""
        return self._room.records

    @property
    def stalled(self) -> float:
        """Seconds since Kafka last acknowledged anything, while something waits for it; else 0."""
        oldest = next((batch for batch in (*self._late, *self._awaited) if not batch.is_settled), None)
        return 0.0 if oldest is None else self._loop.time() - max(oldest.sent_at, self._acknowledged_at)

    @property
    def idle(self) -> float:
        """Seconds since the last acknowledgement."""
        return self._loop.time() - self._acknowledged_at

    def send(
        self, records: Sequence[Record], *, final: bool = False, refusal: Refusal | None = None
    ) -> asyncio.Future[list[Ack]]:
        """Send a batch; the future has one Ack per record, in order, when every in-sync replica has all of them.

        What is sent after a large batch may overtake it, for it is handed over in parts: await it where order matters.

        Args:
            records: of any topics.
            final: wait for the outcome as long as it takes, instead of ``wait`` seconds.
            refusal: asked just before records are handed to the client; what it returns is raised (on the future).

        Raises:
            QueueFull: the batch does not fit into the queue; nothing was sent.
            PayloadTooLarge: a value is too large; nothing was sent.
            NotAcknowledged: (on the future) the outcome is open: a record was not acknowledged in time.
            NotWritten: (on the future) nothing of it was sent.
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
        future: asyncio.Future[list[Ack]] = self._loop.create_future()
        if count:
            self._room.take(WORKSPACE.get(), count, size)
            batch = SentBatch(future, count, size, self._loop.time(), final=final, refusal=refusal)
            self._awaited.append(batch)
            self._gather(batch, records)
        else:
            future.set_result([])
        return future

    def _gather(self, batch: SentBatch, records: Sequence[Record]) -> None:
        """At the end of this turn of the loop when nothing is under way, else a few milliseconds after the last."""
        if not self._gathered:
            wait = self._handed_over_at + _GATHER - batch.sent_at if self._room.records > len(records) else 0.0
            if wait > 0:
                self._loop.call_later(wait, self._produce_gathered)
            else:
                self._loop.call_soon(self._produce_gathered)
        self._gathered.append((batch, records))

    def _produce_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._handed_over_at = self._loop.time()
        for batch, records in gathered:
            if len(records) <= _AT_ONCE:
                self._produce(batch, records)
            else:
                self._produce_later(batch, records, 0)
        if gathered and not self._polls_often:
            self._next_poll.cancel()
            self._poll_later()

    def _produce_later(self, batch: SentBatch, records: Sequence[Record], begin: int) -> None:
        """Go on with a large batch after others have had their turn."""
        if not self._large:
            self._loop.call_soon(self._produce_part)
        self._large.append((batch, records, begin))

    def _produce_part(self) -> None:
        if self._large:  # none is left once the producer was stopped
            batch, records, begin = self._large.popleft()
            if self._large:
                self._loop.call_soon(self._produce_part)
            self._produce(batch, records, begin)

    def _produce(self, batch: SentBatch, records: Sequence[Record], begin: int = 0, *, learned: bool = False) -> None:
        produce, delivered = self._client.produce, self._delivered
        end = begin + _AT_ONCE
        if batch.refusal is not None and (refused := batch.refusal(records)) is not None:
            self._refuse(batch, begin, refused)
            return
        for index, record in enumerate(records[begin:end], begin):
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
                if not learned and is_of_new_partition(error):
                    task = self._loop.create_task(self._learn(batch, records, index))
                    self._learning.add(task)
                    task.add_done_callback(self._learning.discard)
                    return
                self._refuse(batch, index, not_taken(error))
                return
        if end < len(records):
            self._produce_later(batch, records, end)

    def _refuse(self, batch: SentBatch, index: int, error: HeadraceError) -> None:
        """Send no more of a batch. The records before ``index`` are on their way; the last of them settles it."""
        batch.error = error
        if index:
            batch.error = NotAcknowledged(str(error))
            batch.error.__cause__ = error
        batch.sent = index
        if batch.settled == batch.sent:
            self._settle(batch)

    async def _learn(self, batch: SentBatch, records: Sequence[Record], index: int) -> None:
        """Ask how many partitions a topic has by now, and go on with the batch: the client itself asks in seconds."""
        with contextlib.suppress(KafkaException):  # it is then refused as it was
            await asyncio.to_thread(self._client.list_topics, records[index].topic, _LEARN)
        self._produce(batch, records, index, learned=True)

    def _delivered(self, batch: SentBatch, index: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            batch.acks[index] = Ack(message.partition(), message.offset())  # type: ignore[arg-type]  # both are set here
        else:
            batch.error = not_delivered(error)
        batch.settled += 1
        if batch.settled == batch.sent:
            self._finished.append(batch)

    def _poll(self) -> None:
        self._client.poll(0)
        for client, _ in self._retired:
            client.poll(0)
        self._settle_finished()
        now = self._loop.time()
        self._look_for_late(now)
        if self._failed:
            self._replace_client(last_chance=0.0)
        if self._retired:
            self._close_retired(now)
        self._poll_later()

    def _poll_later(self) -> None:
        self._polls_often = self._room.records > 0
        self._next_poll = self._loop.call_later(_POLL_BUSY if self._polls_often else _POLL_IDLE, self._poll)

    def _settle_finished(self) -> None:
        while self._finished:
            self._settle(self._finished.popleft())

    def _settle(self, batch: SentBatch) -> None:
        batch.is_settled = True
        self._room.give_back(batch.workspace, len(batch.acks), batch.size)
        if batch.error is None:
            self._acknowledged_at = self._loop.time()
        if batch.future.done():  # the caller gave up
            return
        if batch.error is None:
            batch.future.set_result(batch.acks)
        else:
            batch.future.set_exception(batch.error)

    def _look_for_late(self, now: float) -> None:
        """Answer callers that have waited long enough; replace the client when a record has no outcome in time."""
        awaited, late = self._awaited, self._late
        while awaited and (awaited[0].is_settled or awaited[0].sent_at + self.wait <= now):
            batch = awaited.popleft()
            if batch.is_settled:
                continue
            late.append(batch)
            if not batch.final and not batch.future.done():
                batch.future.set_exception(NotAcknowledged(OPEN))
        while late and late[0].is_settled:
            late.popleft()
        if late and self._replaced_at < late[0].sent_at <= now - self._delivery_timeout:
            log.warning("kafka producer: replaced, for a record has had no outcome for %g s", self._delivery_timeout)
            self._replace_client(last_chance=_LAST_CHANCE)

    def _on_error(self, error: KafkaError) -> None:
        # What passes is in the client's own log, which does not repeat it several times a second.
        if error.fatal():
            log.warning("kafka producer: %s", error.str(), extra={"code": error.name()})
            self._failed = True

    def _replace_client(self, last_chance: float) -> None:
        """Send with a new client from now on. The old one finishes what it can, and then sends nothing any more."""
        try:
            client = Client(self._config)
        except KafkaException as error:
            # For want of threads, say. The next look tries again.
            log.warning("kafka producer: no new client yet: %s", kafka_error(error).str())
            return
        self._replaced_at = self._loop.time()
        self._retired.append((self._client, self._replaced_at + last_chance))
        self._client = client
        self._failed = False

    def _close_retired(self, now: float) -> None:
        for retired in [each for each in self._retired if each[1] <= now]:
            self._retired.remove(retired)
            self._close(retired[0], 0.0)

    def _close(self, client: Client, flush: float) -> None:
        """Close a client on a thread: all of it may take a moment."""
        closing = self._loop.run_in_executor(None, _close, client, flush)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _close(client: Client, flush: float) -> None:
    """Let it finish, and purge what it could not: that has no outcome then, and is not sent again."""
    if flush:
        client.flush(flush)
    client.purge()
    client.flush(_FLUSH)
