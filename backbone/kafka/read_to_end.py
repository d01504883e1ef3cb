"""Reads partitions to their ends of now, once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backbone.kafka.consumer import BEGINNING, BatchConsumer
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings

_BATCH = 10_000
_WAIT = 0.2
"""Seconds that one poll waits for a first record."""

_SILENCE = 10.0
"""Seconds without a record before the end, after which Kafka is taken to be away."""


def read_topics_to_end(settings: KafkaSettings, topics: Sequence[str]) -> Iterator[ConsumedRecord]:
    """Yield every committed record of these topics, in the order of each partition. Blocks.

    Raises:
        Unavailable: Kafka does not answer, or sends nothing for 10 seconds.
    """
    consumer = BatchConsumer(settings, group=None)
    heard_at = time.monotonic()

    def check() -> None:
        if time.monotonic() - heard_at > _SILENCE:
            raise Unavailable(f"nothing more of {', '.join(topics)} can be read")

    try:
        partitions = consumer.partitions_of(topics)
        ends = consumer.end_offsets(partitions)
        consumer.assign(dict.fromkeys(partitions, BEGINNING))
        for record in read_to(consumer, ends, dict.fromkeys(partitions, 0), check=check):
            heard_at = time.monotonic()
            yield record
    finally:
        consumer.close()


def read_to(
    consumer: BatchConsumer,
    ends: Mapping[Partition, int],
    passed: dict[Partition, int],
    *,
    check: Callable[[], object],
    batch: int = _BATCH,
    wait: float = _WAIT,
) -> Iterator[ConsumedRecord]:
    """Yield the records of assigned partitions up to these ends, and those behind them that came in the same batch.

    Args:
        consumer: has been assigned these partitions.
        ends: where to stop.
        passed: the next offset of each partition; is kept up to date.
        check: called before each poll; raises to give up.
        batch: most records of a poll.
        wait: seconds that a poll waits for a first record.
    """
    while any(passed[partition] < end for partition, end in ends.items()):
        check()
        for record in consumer.consume(batch, wait):
            passed[record.topic(), record.partition()] = record.offset() + 1
            yield record
        for partition, end in consumer.ends.items():
            passed[partition] = max(passed[partition], end)
