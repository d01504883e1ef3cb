"""The committed offsets of a consumer group without members: forgotten, and set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

_TIMEOUT = 15.0
"""Seconds."""

_UNKNOWN = frozenset((KafkaError.GROUP_ID_NOT_FOUND, KafkaError._NOOP))  # noqa: SLF001  # librdkafka's name


class GroupOffsets:
    """Of one group. Blocks; all methods raise ``Unavailable`` when Kafka does not answer.

    Args:
        settings: where Kafka is.
        group: its id.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._client = AdminClient(settings.client_config())
        self._group = group

    def members(self) -> int:
        """How many consumers are in the group."""
        found = self._ask(self._client.describe_consumer_groups([self._group], request_timeout=_TIMEOUT))
        return 0 if found is None else len(found.members)

    def forget(self) -> None:
        """Delete the group, with its offsets."""
        self._ask(self._client.delete_consumer_groups([self._group], request_timeout=_TIMEOUT))

    def set(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets: those of the next records to read."""
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        wanted = [ConsumerGroupTopicPartitions(self._group, places)]
        self._ask(self._client.alter_consumer_group_offsets(wanted, request_timeout=_TIMEOUT))

    def _ask(self, futures: Mapping[str, Any]) -> Any:
        try:
            return futures[self._group].result(_TIMEOUT)
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() in _UNKNOWN:
                return None
            raise Unavailable(f"the offsets of {self._group} cannot be changed: {error.str()}") from exception
