"""A view of one topic, in memory, read only once somebody asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from backbone.kafka.tail import TopicTail

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings


class TopicView(ABC):
    """Reads a topic from its start, and goes on.

    Args:
        settings: how to reach Kafka.
        topic: to read.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, topic: str, on_stall: Callable[[], None] | None) -> None:
        self._tail = TopicTail(settings, [topic], self.apply, name=topic, on_stall=on_stall)
        self._started = False

    @abstractmethod
    def apply(self, record: ConsumedRecord) -> None:
        """Take up a record. Called on the tail's thread."""

    def start(self) -> None:
        """Begin to read, unless that was done before; returns at once."""
        if not self._started:
            self._tail.start()
            self._started = True

    def stop(self) -> None:
        """Stop reading. Blocks."""
        self._tail.stop()

    async def caught_up(self) -> None:
        """Wait until everything written so far is known.

        Raises:
            Unavailable: Kafka does not answer; reading goes on, so a later call may find it done.
        """
        self.start()
        await self._tail.caught_up()
