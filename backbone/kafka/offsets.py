"""Questions about offsets that a consumer's client asks the brokers; all raise ``Unavailable`` without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

from backbone.kafka.failures import answer, failure
from backbone.kafka.records import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Consumer as Client

    from backbone.kafka.records import Partition


def read_commits(client: Client, partitions: Iterable[Partition], timeout: float) -> dict[Partition, Commit | None]:
    """What the client's group has committed of each partition; None where it has committed nothing."""
    asked = bare(partitions)
    found = answer(lambda: client.committed(asked, timeout), "read committed offsets", timeout) if asked else ()
    return {
        (entry.topic, entry.partition): Commit(entry.offset, entry.metadata or "") if entry.offset >= 0 else None
        for entry in found
    }


def find_offsets(client: Client, times: Mapping[Partition, int], doing: str, timeout: float) -> dict[Partition, int]:
    """Offsets by times, or by librdkafka's logical offsets, all in one question."""

    def ask() -> list[TopicPartition]:
        found = client.offsets_for_times(positions(times), timeout)
        for entry in found:
            if entry.error:
                # Its offset is still the time: where it is taken for an offset, nothing is read ever again.
                raise KafkaException(entry.error)
        return found

    found = answer(ask, doing, timeout) if times else ()
    return {(entry.topic, entry.partition): entry.offset for entry in found}


def find_known_ends(client: Client, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int]:
    """The ends of those partitions that can answer: one without a leader is left out."""
    asked = positions(dict.fromkeys(partitions, OFFSET_END))
    found = answer(lambda: client.offsets_for_times(asked, timeout), "ask for ends", timeout)
    return {(entry.topic, entry.partition): entry.offset for entry in found if not entry.error}


def find_partitions(client: Client, topics: Iterable[str], timeout: float) -> list[Partition]:
    """Every partition of these topics; a topic that does not exist has none."""
    try:
        there = client.list_topics(timeout=timeout).topics
    except KafkaException as exception:
        raise failure(exception, "ask for the partitions of topics") from exception
    return [(topic, number) for topic in topics if topic in there for number in sorted(there[topic].partitions)]


def positions(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    """Partitions with offsets, as librdkafka takes them."""
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def bare(partitions: Iterable[Partition]) -> list[TopicPartition]:
    """Partitions without offsets, as librdkafka takes them."""
    return [TopicPartition(topic, partition) for topic, partition in partitions]


def partitions_in(entries: Iterable[TopicPartition]) -> list[Partition]:
    """The partitions of librdkafka's entries."""
    return [(entry.topic, entry.partition) for entry in entries]
