"""What librdkafka's errors mean to Headrace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import KafkaError, KafkaException

from schemas.model.errors import HeadraceError, NotAcknowledged, NotWritten, PayloadTooLarge, QueueFull, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds before a question that got a passing answer is asked again; they double."""

_PASSING = {
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    # librdkafka's own: a connection that broke, no leader known ("No leaders found"), no coordinator known.
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._NOENT,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
}
"""Answers for a moment after a partition was created, its broker was restarted, or a leader or coordinator moved."""


def kafka_error(exception: KafkaException) -> KafkaError:
    """The KafkaError that an exception carries."""
    error = exception.args[0] if exception.args else None
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(exception))


def failure(error: KafkaError | KafkaException, doing: str) -> HeadraceError:
    """The error to raise for one of Kafka's: ``PayloadTooLarge`` for a record over a limit, else ``Unavailable``."""
    if isinstance(error, KafkaException):
        error = kafka_error(error)
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE):
        return PayloadTooLarge(f"{doing}: a record is larger than Kafka takes")
    return Unavailable(f"{doing}: {error.str()} ({error.name()})")


def is_of_new_partition(error: KafkaException | BufferError) -> bool:
    """Whether the client knows of no such partition: its topic may have been grown a moment ago."""
    unknown = KafkaError._UNKNOWN_PARTITION  # noqa: SLF001  # librdkafka's name
    return isinstance(error, KafkaException) and kafka_error(error).code() == unknown


def not_taken(error: KafkaException | BufferError) -> HeadraceError:
    """The error for a record that the client did not take: it is not written."""
    if isinstance(error, BufferError):
        return QueueFull("librdkafka's queue is full")
    mapped = failure(error, "produce")
    return NotWritten(str(mapped)) if isinstance(mapped, Unavailable) else mapped


def not_delivered(error: KafkaError) -> HeadraceError:
    """The error for a record that the client took: whatever it was, the broker may have appended it."""
    mapped = failure(error, "produce")
    return NotAcknowledged(str(mapped)) if isinstance(mapped, Unavailable) else mapped


def is_passing(error: Exception) -> bool:
    """Whether the same question, asked again in a moment, should be answered."""
    return isinstance(error, KafkaException) and kafka_error(error).code() in _PASSING


def answer(ask: Callable[[], Answer], doing: str, timeout: float) -> Answer:
    """Ask until the partitions in question have a leader.

    Raises:
        Unavailable: no answer within ``timeout`` seconds, or one that does not pass.
    """
    deadline, pause = time.monotonic() + timeout, PAUSE
    while True:
        try:
            return ask()
        except KafkaException as exception:
            if not is_passing(exception) or time.monotonic() > deadline:
                raise failure(exception, doing) from exception
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
