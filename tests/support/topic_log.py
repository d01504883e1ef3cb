"""A topic that a test reads further and further, with one consumer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BatchConsumer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Message, Partition
    from backbone.kafka.settings import KafkaSettings


class TopicLog:
    """The committed records of a topic since the test began.

    Tests ask again and again until a record is there. A consumer for each question would take more of the machine than
    the processes that are waited for.

    Args:
        settings: how to reach Kafka.
        topic: its name.
        began: the offset of each partition to begin at; one of a topic that was made since begins at 0.
        admin: asks for the ends: to ask the consumer would take as long as its fetches wait.
    """

    def __init__(self, settings: KafkaSettings, topic: str, began: Mapping[Partition, int], admin: Admin) -> None:
        self._settings = settings
        self._topic = topic
        self.began = began
        self._admin = admin
        self._consumer: BatchConsumer | None = None
        self._partitions: list[Partition] = []
        self._messages: list[Message] = []
        self._lock = threading.Lock()

    def messages(self) -> list[Message]:
        """Every record up to the ends of now, in the order of each partition. Blocks."""
        with self._lock:
            consumer = self._consumer
            if consumer is None:
                consumer = self._consumer = BatchConsumer(self._settings, group=None)
                self._partitions = list(consumer.partitions_of([self._topic]))
                consumer.assign({partition: self.began.get(partition, 0) for partition in self._partitions})
            ends = self._admin.end_offsets_now(self._partitions)
            while any(consumer.ends.get(partition, 0) < end for partition, end in ends.items()):
                self._messages += consumer.consume(5_000, 0.1)
            return list(self._messages)

    def close(self) -> None:
        """Close the consumer."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()


class TopicLogs:
    """The logs of several topics, by name; each is read from the first question on."""

    def __init__(self, settings: KafkaSettings, began: Mapping[Partition, int]) -> None:
        self._settings = settings
        self.began = began
        self._admin = Admin(settings)
        self._logs: dict[str, TopicLog] = {}

    def messages(self, topic: str) -> list[Message]:
        """See ``TopicLog``."""
        log = self._logs.get(topic)
        if log is None:
            log = self._logs[topic] = TopicLog(self._settings, topic, self.began, self._admin)
        return log.messages()

    def close(self) -> None:
        """Close the consumers."""
        for log in self._logs.values():
            log.close()
