"""What librdkafka's errors mean to Headrace."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import HeadraceError, PayloadTooLarge, Unavailable


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
