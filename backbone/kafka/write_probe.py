"""Asks Kafka whether it acknowledges what is written. Metadata cannot tell.

When most brokers of a cluster are gone, one that is left goes on answering, and shows the replicas as they were.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer

from backbone.kafka.failures import failure
from schemas.model import topics
from schemas.model.errors import NotAcknowledged

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from backbone.kafka.settings import KafkaSettings

_POLL = 0.1
"""Seconds."""

_NO_ANSWER = "no answer"


class WriteProbe:
    """Writes empty records to a topic that nobody reads. For one thread at a time.

    Args:
        settings: how to reach Kafka.
        seconds: within which a record has to be acknowledged.
    """

    def __init__(self, settings: KafkaSettings, seconds: float) -> None:
        self._seconds = seconds
        self._client = Producer(
            settings.client_config(
                **{
                    "acks": "all",
                    "linger.ms": 0,
                    # It may be shorter than in other producers: nobody minds a probe that is written twice.
                    "message.timeout.ms": int(seconds * 1_000),
                    # Metadata says whether a broker can be reached.
                    "error_cb": lambda _error: None,
                }
            )
        )
        self._writes = 0
        self._acknowledged = 0
        self._why = _NO_ANSWER

    def write(self) -> None:
        """Write one record to each partition, and return when one of them is acknowledged.

        Raises:
            Unavailable: no broker says which partitions there are.
            NotAcknowledged: no record is acknowledged in time.
        """
        deadline = time.monotonic() + self._seconds
        self._writes += 1
        self._why = _NO_ANSWER
        try:
            found = self._client.list_topics(topics.WRITE_PROBES, timeout=self._seconds).topics[topics.WRITE_PROBES]
            for number in found.partitions:
                delivered = partial(self._delivered, self._writes)
                self._client.produce(topics.WRITE_PROBES, partition=number, on_delivery=delivered)
        except KafkaException as error:
            raise failure(error, "write a probe") from error
        while time.monotonic() < deadline:
            self._client.poll(_POLL)
            if self._acknowledged == self._writes:
                return
        raise NotAcknowledged(f"Kafka does not acknowledge what is written: {self._why}")

    def _delivered(self, write: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged = write
        else:
            self._why = error.str()
