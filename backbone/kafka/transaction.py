"""A Kafka transaction: records and consumer offsets become visible together or not at all."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Producer as Client

from backbone.kafka.calls import CallHangs, CallThread
from backbone.kafka.connection_watch import DEBUG, ConnectionWatch
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.failures import failure, kafka_error
from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES
from backbone.kafka.records import Record
from schemas.model.errors import Fenced, PayloadTooLarge, TransactionAborted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import Message, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_QUEUE_POLL = 0.05
"""Seconds to wait for room in the client's queue before trying again."""

_ABORT_SECONDS = 2.0
"""For the abort after a failure. What it leaves open, the next producer aborts as soon as Kafka answers."""

_OVERTIME = 2.0
"""Seconds for librdkafka to keep its own timeout, after which a call is taken to hang."""

_AROUND_RECORD = 1_024
"""Bytes, more than Kafka counts around a record. What the client takes the topic must take: its refusal would come with
the commit, and not say of which record."""


class TransactionalProducer:
    """One transaction at a time, used from one thread.

    ``start`` fences every other producer with the same transactional id. From then on each method either does its work
    or leaves no transaction open: it raises ``TransactionAborted`` after it has aborted, or ``Fenced`` when this
    producer is done and can only be closed. Whether the last commit of a fenced producer took is settled once the next
    producer with the same id has started.

    A connection that breaks may leave a request behind that Kafka handles later, in the middle of the next transaction
    (ADR 0002). So the next one begins with a new epoch, under which Kafka refuses requests of before. Taking the id
    again would also take it from whoever has fenced this producer meanwhile. So where the id is a lock, the producer is
    done then: its holder takes a new one, and reads again what it decides on.

    Args:
        settings: how to reach Kafka.
        transactional_id: the lock; at most one producer holds it.
        timeout: seconds, both for each call and for the broker to abort a transaction whose holder died.
        writes_to: the topics whose partitions ``start`` frees of what an earlier holder left hanging.
        is_lock: what is written depends on what was read since ``start``, so that nobody else may have written since.
        overrides: further librdkafka properties.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        *,
        timeout: float = 10.0,
        writes_to: Sequence[str] = (),
        is_lock: bool = False,
        **overrides: Any,
    ) -> None:
        self._timeout = timeout
        self._writes_to = tuple(writes_to)
        self._is_lock = is_lock
        self._open = False
        self._rejected: KafkaError | None = None
        self._id = transactional_id
        self._is_done = False
        milliseconds = int(timeout * 1_000)
        asked = settings.options.get("debug")
        self._tells_debug = bool(asked)
        self._config = settings.client_config(
            **{
                "transactional.id": transactional_id,
                "transaction.timeout.ms": milliseconds,
                "message.timeout.ms": milliseconds,
                "message.max.bytes": MAX_RECORD_BYTES + 2 * MAX_HEADER_BYTES - _AROUND_RECORD,
                "linger.ms": 5,
                # A commit is answered before its markers are written, and until they are the broker turns the next
                # transaction away; librdkafka then waits this long, 100 ms by default.
                "retry.backoff.ms": 2,
                "retry.backoff.max.ms": 100,
                # Commit reports success for all; only what went wrong is worth a callback.
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
                "debug": f"{DEBUG},{asked}" if asked else DEBUG,
                **overrides,
            }
        )
        self._connect()

    def _connect(self) -> None:
        self._calls = CallThread(f"transactions-{self._id}")
        self._connections = ConnectionWatch(tells_debug=self._tells_debug)
        self._client = Client({**self._config, "logger": self._connections})

    def start(self) -> None:
        """Take the transactional id: fence its holders, and finish or abort what they left open.

        Raises:
            Unavailable: Kafka does not answer; it may be called again.
            Fenced: another producer took the id in the meantime.
        """
        self._take_id()
        if self._writes_to:
            self.end_hanging()

    def end_hanging(self, offsets: Mapping[Partition, int] | None = None, consumer: BatchConsumer | Any = None) -> None:
        """End what the broker lost sight of: a transaction that it counts as aborted, and that is open in partitions.

        Kafka leaves one when a broker that is just starting aborts a transaction and its markers are not written. Its
        timeout passed long ago, so nothing else ends it: readers of committed records stop before it, and committed
        offsets are not told. The markers of a later transaction of the same id end it, so this aborts one that has a
        record in each partition. Nobody sees the record.

        Args:
            offsets: of one partition or more of a consumer group whose offsets are not told.
            consumer: see ``send_offsets``.

        Raises:
            Unavailable: Kafka does not answer; it may be called again.
            Fenced: another producer took the id in the meantime.
        """
        self.begin()
        for topic, partition in self._partitions():
            self.produce(Record(topic, b"", b"", partition=partition))
        try:
            unsent = self._client.flush(self._timeout)
        except (KafkaException, SystemError) as error:
            # The Python client raises SystemError for a producer that is fenced meanwhile.
            self._open, self._is_done = False, True
            raise Fenced(f"flush: {error}") from error
        if unsent:
            raise self._give_up("flush", KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # librdkafka's name
        if offsets:
            # A refusal comes after the broker has taken up the group, whose offsets the abort then frees.
            with contextlib.suppress(TransactionAborted):
                self.send_offsets(offsets, consumer)
        self.abort()

    def _partitions(self) -> list[Partition]:
        try:
            there = self._client.list_topics(timeout=self._timeout).topics
        except KafkaException as exception:
            raise self._give_up("list topics", kafka_error(exception)) from exception
        return [(topic, number) for topic in self._writes_to if topic in there for number in there[topic].partitions]

    def _take_id(self) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._call(self._client.init_transactions, max(0.1, deadline - time.monotonic()))
            except KafkaException as exception:
                error = kafka_error(exception)
                if error.fatal():
                    raise Fenced(error.str()) from exception
                if not error.retriable() or time.monotonic() >= deadline:
                    raise failure(error, "init transactions") from exception
            else:
                # What broke while it connected asked for the id at most, and Kafka gives that to the last who asks.
                self._client.poll(0)
                self._connections.has_broken = False
                return

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            Fenced: a connection broke, and the id is a lock, or cannot be taken again.
        """
        self._client.poll(0)
        if self._connections.has_broken:
            if self._is_lock:
                self._is_done = True
                raise Fenced("a connection broke: others may have had the lock since")
            self._renew()
        self._rejected = None
        self._do("begin", lambda _: self._client.begin_transaction())
        self._open = True

    def _renew(self) -> None:
        """Take the id again, and with it a new epoch; whoever took it in the meantime is fenced.

        Raises:
            Fenced: Kafka does not answer, or another producer takes the id at the same time.
        """
        log.info("kafka producer: a connection broke; the next transaction has a new epoch", extra={"id": self._id})
        self._leave_behind()
        self._is_done = True
        self._connect()
        try:
            self._take_id()
        except (Fenced, Unavailable) as error:
            raise Fenced(f"a new epoch: {error}") from error
        self._is_done = False

    def produce(self, record: Record) -> None:
        """Add a record; waits while the client's queue is full.

        Raises:
            PayloadTooLarge: this record is over the client's limit; the transaction is still open.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._client.produce(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    headers=record.headers,  # type: ignore[arg-type]  # the stub's list type is invariant
                )
            except BufferError as full:
                if time.monotonic() >= deadline:
                    raise self._give_up("the queue stays full", KafkaError(KafkaError.REQUEST_TIMED_OUT)) from full
                self._client.poll(_QUEUE_POLL)
            except KafkaException as exception:
                error = kafka_error(exception)
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise failure(error, "produce") from exception
                raise self._give_up("produce", error) from exception
            else:
                return

    def send_offsets(
        self,
        offsets: Mapping[Partition, int],
        consumer: BatchConsumer | Any,
        metadata: Mapping[Partition, str] = MappingProxyType({}),
    ) -> None:
        """Add the next offsets of a consumer group, which move when the transaction commits.

        Args:
            offsets: the next offset to read of each partition.
            consumer: the group's consumer, or what its ``group_metadata()`` returned when the batch was fetched.
            metadata: text to store beside the offsets of some partitions, at most 4,096 bytes (Kafka's default).
        """
        member = consumer.group_metadata() if isinstance(consumer, BatchConsumer) else consumer
        positions = [
            TopicPartition(*partition, offset, metadata[partition])
            if partition in metadata
            else TopicPartition(*partition, offset)
            for partition, offset in offsets.items()
        ]
        if positions:
            self._do("send offsets", lambda left: self._client.send_offsets_to_transaction(positions, member, left))

    def commit(self) -> None:
        """Make it visible, all of it.

        Raises:
            PayloadTooLarge: a topic does not take a record's size; aborted.
        """
        self._do("commit", self._client.commit_transaction)
        self._open = False

    def abort(self, timeout: float | None = None) -> None:
        """Discard the open transaction; harmless when there is none.

        Args:
            timeout: seconds; the producer's own by default.

        Raises:
            Fenced: it could not be aborted; the next producer's ``start`` does it.
        """
        if not self._open:
            return
        self._open = False
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            try:
                self._call(self._client.abort_transaction, max(0.1, deadline - time.monotonic()))
            except KafkaException as exception:
                error = kafka_error(exception)
                if not error.retriable() or time.monotonic() >= deadline:
                    self._is_done = True
                    raise Fenced(f"abort: {error.str()}") from exception
            else:
                return

    def close(self) -> None:
        """Abort what is open and leave. A closed producer cannot be used again."""
        # What a fenced producer left open is aborted by whoever took over, or by the broker in time.
        with contextlib.suppress(Fenced):
            self.abort()
        if self._is_done:
            self._leave_behind()
            return
        self._calls.finish()
        _close(self._client)

    def _leave_behind(self) -> None:
        """Close without waiting for what did not come, perhaps for ever. The next producer fences this one."""
        self._calls.finish(functools.partial(_close, self._client))

    def _do(self, doing: str, call: Callable[[float], None]) -> None:
        """Call, and again while librdkafka says that it may be retried and there is time."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._call(call, max(0.1, deadline - time.monotonic()))
            except KafkaException as exception:
                error = kafka_error(exception)
                if not error.retriable() or time.monotonic() >= deadline:
                    raise self._give_up(doing, error) from exception
            else:
                return

    def _call(self, call: Callable[[float], None], seconds: float) -> None:
        """Call with a timeout.

        Raises:
            Fenced: the call hangs; this producer is of no more use.
        """
        try:
            self._calls.run(lambda: call(seconds), seconds + _OVERTIME)
        except CallHangs as error:
            self._open, self._is_done = False, True
            log.error("kafka producer: a call does not return; its client is left behind", exc_info=error)  # noqa: TRY400  # one line says it
            raise Fenced(f"a call into librdkafka hangs: {error}") from error

    def _give_up(self, doing: str, error: KafkaError) -> TransactionAborted | PayloadTooLarge:
        """Abort, and say what to raise."""
        if error.fatal() or (doing == "commit" and not error.txn_requires_abort()):
            # A commit that was sent and not answered can be neither repeated for ever nor aborted.
            self._open, self._is_done = False, True
            return Fenced(f"{doing}: {error.str()} ({error.name()})")
        self.abort(_ABORT_SECONDS)
        rejected = failure(self._rejected or error, doing)
        if isinstance(rejected, (PayloadTooLarge, TransactionAborted)):
            return rejected
        return TransactionAborted(str(rejected))

    def _delivered(self, error: KafkaError | None, message: Message) -> None:  # noqa: ARG002  # librdkafka's signature
        # What was merely purged with an aborted transaction says nothing.
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self._rejected = error


def _close(client: Client) -> None:
    # Closing aborts once more, and raises or warns where that cannot be: after a fencing, that is to be expected.
    with warnings.catch_warnings(), contextlib.suppress(KafkaException):
        warnings.simplefilter("ignore", RuntimeWarning)
        client.close()
