"""Questions about the whole cluster: its partitions, how topics are kept, and what consumer groups have read.

For processes that may end: librdkafka ends a process when a connection breaks while it asks a group's coordinator (its
issue 4605).
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported for mypy
    AdminClient,
    ConfigResource,
    ResourceType,
)

from backbone.kafka.failures import failure
from backbone.kafka.log_sizes import log_sizes
from backbone.kafka.offsets import positions
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from confluent_kafka import TopicPartition

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

_TIMEOUT = 10.0
"""Seconds for one request to Kafka."""

_AT_ONCE = 50
"""Groups that are asked about together."""

_INTERNAL = "__"


class PartitionLayout(NamedTuple):
    """Where a partition is: ids of its leader (None: there is none), its replicas, and those that have everything."""

    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class ClusterLayout(NamedTuple):
    """Host and port of the brokers that answer, and the partitions of every topic that is not Kafka's own."""

    brokers: tuple[tuple[str, int], ...]
    topics: dict[str, dict[int, PartitionLayout]]


class TopicConfig(NamedTuple):
    """How a topic is kept: for how many seconds (None: forever), and whether Kafka stamps its records."""

    retention: float | None
    append_time: bool


class GroupState(NamedTuple):
    """A consumer group: its state, its protocol, and the partitions of each member by the member's client id."""

    state: str
    protocol: str
    members: tuple[tuple[str, tuple[Partition, ...]], ...]


class Cluster:
    """Asks one Kafka cluster. Blocks; for one thread.

    Args:
        settings: how to reach Kafka.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin = AdminClient(settings.client_config())
        self._consumer = Consumer(
            settings.client_config(
                **{
                    "group.id": f"headrace-unassigned-{uuid.uuid4()}",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                }
            )
        )

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def layout(self) -> ClusterLayout:
        """Every topic.

        Raises:
            Unavailable: Kafka does not answer.
        """
        try:
            found = self._consumer.list_topics(timeout=_TIMEOUT)
        except KafkaException as exception:
            raise failure(exception, "list topics") from exception
        topics = {
            name: {
                number: PartitionLayout(
                    each.leader if each.leader >= 0 else None, tuple(each.replicas), tuple(each.isrs)
                )
                for number, each in sorted(topic.partitions.items())
            }
            for name, topic in found.topics.items()
            if topic.error is None and not name.startswith(_INTERNAL)
        }
        brokers = tuple((each.host, each.port) for each in found.brokers.values())
        return ClusterLayout(brokers, topics)

    def first_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offsets that retention has left; a partition that cannot answer is left out.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return self._offsets(dict.fromkeys(partitions, OFFSET_BEGINNING), "ask for the beginnings of partitions")

    def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The last stable offsets; a partition that cannot answer is left out.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return self._offsets(dict.fromkeys(partitions, OFFSET_END), "ask for the ends of partitions")

    def offsets_at(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """The first offset with a timestamp at or after a time (milliseconds since the epoch); None: there is none.

        Raises:
            Unavailable: Kafka does not answer.
        """
        found = self._offsets(times, "look up offsets by time")
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def sizes(self, brokers: Iterable[tuple[str, int]]) -> dict[Partition, int]:
        """See ``log_sizes``."""
        return log_sizes(self._settings, brokers)

    def configs(self, topics: Sequence[str]) -> dict[str, TopicConfig]:
        """How topics are kept; one that is gone is left out.

        Raises:
            Unavailable: Kafka does not answer, or does not allow the question.
        """
        if not topics:
            return {}
        asked = self._admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, topic) for topic in topics], request_timeout=_TIMEOUT
        )
        found, refused = _answers({resource.name: future for resource, future in asked.items()})
        if refused and not found:
            raise _unanswered(next(iter(refused.values())), "ask how topics are kept")
        return {topic: _config(values) for topic, values in found.items()}

    def group_names(self) -> list[str]:
        """Every consumer group that may be seen.

        Raises:
            Unavailable: Kafka does not answer.
        """
        try:
            found = self._admin.list_consumer_groups(request_timeout=_TIMEOUT).result(_TIMEOUT + 1)
        except (KafkaException, TimeoutError) as error:
            raise _unanswered(error, "list consumer groups") from error
        if found.errors and not found.valid:
            raise _unanswered(found.errors[0], "list consumer groups")
        return sorted(each.group_id for each in found.valid)

    def group_states(self, groups: Sequence[str]) -> tuple[dict[str, GroupState], dict[str, str]]:
        """What groups are, and why it is not known of the others."""
        states: dict[str, GroupState] = {}
        missing: dict[str, str] = {}
        for some in _parts(groups):
            asked = self._admin.describe_consumer_groups(some, request_timeout=_TIMEOUT)
            found, refused = _answers(asked)
            states |= {group: _state(description) for group, description in found.items()}
            missing |= {group: _reason(error) for group, error in refused.items()}
        return states, missing

    def committed(self, groups: Sequence[str]) -> tuple[dict[str, dict[Partition, int]], dict[str, str]]:
        """What groups have committed, and why it is not known of the others."""
        offsets: dict[str, dict[Partition, int]] = {}
        missing: dict[str, str] = {}
        for some in _parts(groups):
            asked: dict[str, Future[Any]] = {}
            for group in some:
                # One request has room for one group.
                asked |= self._admin.list_consumer_group_offsets(
                    [ConsumerGroupTopicPartitions(group)], request_timeout=_TIMEOUT
                )
            found, refused = _answers(asked)
            for group, answer in found.items():
                places: list[TopicPartition] = answer.topic_partitions or []
                offsets[group] = {(each.topic, each.partition): each.offset for each in places if each.offset >= 0}
            missing |= {group: _reason(error) for group, error in refused.items()}
        return offsets, missing

    def _offsets(self, times: Mapping[Partition, int], doing: str) -> dict[Partition, int]:
        if not times:
            return {}
        try:
            found = self._consumer.offsets_for_times(positions(times), _TIMEOUT)
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        return {(each.topic, each.partition): each.offset for each in found if not each.error}


def _answers(asked: Mapping[str, Future[Any]]) -> tuple[dict[str, Any], dict[str, Exception]]:
    found: dict[str, Any] = {}
    refused: dict[str, Exception] = {}
    deadline = time.monotonic() + _TIMEOUT + 1
    for name, future in asked.items():
        try:
            found[name] = future.result(max(0.0, deadline - time.monotonic()))
        except (KafkaException, TimeoutError) as error:
            refused[name] = error
    return found, refused


def _config(values: Mapping[str, Any]) -> TopicConfig:
    deletes = "delete" in str(values["cleanup.policy"].value)
    kept = int(values["retention.ms"].value)
    append_time = values["message.timestamp.type"].value == "LogAppendTime"
    return TopicConfig(kept / 1_000 if deletes and kept >= 0 else None, append_time)


def _state(description: Any) -> GroupState:
    members = tuple(
        (each.client_id, tuple((entry.topic, entry.partition) for entry in each.assignment.topic_partitions))
        for each in description.members
    )
    return GroupState(description.state.name, description.type.name.lower(), members)


def _reason(error: Exception) -> str:
    return str(_unanswered(error, "ask about the group"))


def _unanswered(error: Exception, doing: str) -> Exception:
    return failure(error, doing) if isinstance(error, KafkaException) else Unavailable(f"{doing}: no answer")


def _parts(groups: Sequence[str]) -> list[list[str]]:
    return [list(groups[first : first + _AT_ONCE]) for first in range(0, len(groups), _AT_ONCE)]
