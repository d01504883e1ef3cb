"""Notices a consumer that gets nothing although there is something to read.

librdkafka can lose sight of a partition for good, without an error, when partitions change their leaders. From outside
this looks like silence: the end moves on, the position does not. Silence alone proves nothing, because commit markers,
aborted transactions and compacted records move the end too. A second consumer has to find a record there.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.kafka.records import Partition

LOOK_EVERY = 5.0
"""Seconds between two looks."""

_LOOKS = 3
"""Looks in a row that find a partition at the same place, behind its end, before it is a suspect."""

_PROBE_SECONDS = 5.0


class StallWatch:
    """Compares positions with ends, look by look. Takes no part in reading.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = clock()
        self._behind: dict[Partition, tuple[int, int]] = {}
        self._empty_until: dict[Partition, int] = {}

    def due(self) -> bool:
        """Return whether it is time for the next look. Ask it only when all that was fetched is handed out."""
        now = self._clock()
        if now - self._looked_at < LOOK_EVERY:
            return False
        self._looked_at = now
        return True

    def suspects(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Partition]:
        """Take one look; return the partitions that have been behind their ends for some looks without moving.

        Args:
            positions: the next offset to read of each partition that is being read; paused ones are left out.
            ends: of those that have a leader. For a read_committed consumer, the last stable offsets.
        """
        behind = {}
        for partition, position in positions.items():
            if ends.get(partition, 0) <= max(position, self._empty_until.get(partition, 0)):
                continue
            before, looks = self._behind.get(partition, (position, 0))
            behind[partition] = (position, looks + 1 if before == position else 1)
        self._behind = behind
        return [partition for partition, (_, looks) in behind.items() if looks >= _LOOKS]

    def cleared(self, ends: Mapping[Partition, int]) -> None:
        """Remember that these partitions have nothing to read before these offsets."""
        self._empty_until.update(ends)

    def forget(self, partition: Partition) -> None:
        """Begin again with a partition that was assigned, or is read from another place."""
        self._behind.pop(partition, None)
        self._empty_until.pop(partition, None)


def readable(config: Mapping[str, object], positions: Mapping[Partition, int]) -> dict[Partition, bool]:
    """Whether each partition has a record at its position or after, as a consumer sees it that was just made.

    Args:
        config: of the consumer in question, but for its group.
        positions: where to look.

    Returns:
        Only the partitions that answered in time.
    """
    found: dict[Partition, bool] = {}
    own = {"group.id": f"headrace-probe-{uuid.uuid4()}", "group.protocol": "classic", "enable.partition.eof": True}
    client = Client({**config, **own})
    try:
        client.assign([TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()])
        deadline = time.monotonic() + _PROBE_SECONDS
        while len(found) < len(positions) and time.monotonic() < deadline:
            for message in client.consume(100, 0.1):
                partition = (str(message.topic()), int(message.partition() or 0))
                error = message.error()
                if error is None:
                    found[partition] = True
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name
                    found.setdefault(partition, False)
    except KafkaException:
        pass  # Kafka is away: nothing is known
    finally:
        client.close()
    return found
