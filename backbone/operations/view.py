"""The latest figures of topics and groups: a view of the compacted topic ``operations``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.topic_view import TopicView
from schemas.model import topics
from schemas.model.cluster_figures import (
    GROUP,
    KEYS,
    OVERVIEW,
    TOPIC,
    GroupFigures,
    GroupPartition,
    KeyCounts,
    Overview,
    TopicFigures,
)
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings

_TOPICS = msgspec.json.Decoder(TopicFigures)
_GROUPS = msgspec.json.Decoder(GroupFigures)
_KEYS = msgspec.json.Decoder(KeyCounts)
_OVERVIEWS = msgspec.json.Decoder(Overview)


_KEYS_OLD = 60_000_000
"""Microseconds after which what a process counted is left out: it has ended."""

_LEAST_COUNTED = 20.0
"""Events of a sample below which it says nothing of shares."""


class OperationsView(TopicView):
    """The latest figures, in memory; read only once somebody asks for them.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.

    Attributes:
        overview: of the cluster; None before the monitor has written one.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self.overview: Overview | None = None
        self._topics: dict[str, TopicFigures] = {}
        self._groups: dict[str, GroupFigures] = {}
        # Topic to the groups that read it, with their partitions of it.
        self._readers: dict[str, dict[str, tuple[GroupPartition, ...]]] = {}
        self._keys: dict[str, KeyCounts] = {}
        self._is_read = False
        super().__init__(settings, topics.OPERATIONS, on_stall)

    async def read_once(self) -> None:
        """Wait until everything written before the first call is known.

        Figures tell their age. Whoever asks again gets those that there are, also while Kafka is away.

        Raises:
            Unavailable: Kafka does not answer; reading goes on, so a later call may find it done.
        """
        if not self._is_read:
            await self.caught_up()
            self._is_read = True

    def topics(self) -> list[TopicFigures]:
        """Every topic."""
        # Copied at once, here and below: the tail's thread adds to it.
        return list(self._topics.values())

    def topic(self, name: str) -> TopicFigures | None:
        """One topic."""
        return self._topics.get(name)

    def groups(self) -> list[GroupFigures]:
        """Every consumer group."""
        return list(self._groups.values())

    def group(self, name: str) -> GroupFigures | None:
        """One consumer group."""
        return self._groups.get(name)

    def readers(self, topic: str) -> Mapping[str, tuple[GroupPartition, ...]]:
        """The groups that read a topic, with their partitions of it."""
        return self._readers.get(topic, {})

    def hot_keys(self, topic: str, at: int, most: int = 10) -> list[tuple[str, float]]:
        """The most frequent keys of a topic's events of the last minutes, with their shares, 0 to 1.

        Args:
            topic: its name.
            at: the present, microseconds since the epoch.
            most: keys.
        """
        counts: dict[str, float] = {}
        total = 0.0
        for each in list(self._keys.values()):
            found = each.topics.get(topic) if each.at > at - _KEYS_OLD else None
            if found is not None:
                total += found.counted
                for key, count in found.keys:
                    counts[key] = counts.get(key, 0.0) + count
        if total < _LEAST_COUNTED:
            return []
        hottest = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:most]
        return [(key, min(1.0, count / total)) for key, count in hottest]

    def old_key_counts(self, at: int) -> list[str]:
        """The processes that have not told for long which keys are frequent."""
        return [worker for worker, each in list(self._keys.items()) if each.at < at - 10 * _KEYS_OLD]

    def apply(self, message: ConsumedRecord) -> None:
        """Take in one record of the topic; one of a kind that is not known here is passed over.

        Raises:
            CorruptRecord: it cannot be read.
        """
        key = (message.key() or b"").decode(errors="replace")
        try:
            self._take(key, message.value())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"no figures: {error}") from error

    def _take(self, key: str, value: bytes | None) -> None:
        if key == OVERVIEW:
            self.overview = None if value is None else _OVERVIEWS.decode(value)
        elif key.startswith(TOPIC):
            name = key.removeprefix(TOPIC)
            if value is None:
                self._topics.pop(name, None)
            else:
                self._topics[name] = _TOPICS.decode(value)
        elif key.startswith(KEYS):
            worker = key.removeprefix(KEYS)
            if value is None:
                self._keys.pop(worker, None)
            else:
                self._keys[worker] = _KEYS.decode(value)
        elif key.startswith(GROUP):
            self._take_group(key.removeprefix(GROUP), None if value is None else _GROUPS.decode(value))

    def _take_group(self, name: str, group: GroupFigures | None) -> None:
        before = self._groups.pop(name, None)
        reads = {} if group is None else by_topic(group.partition_list)
        for topic in {} if before is None else by_topic(before.partition_list):
            if topic not in reads:
                self._readers[topic] = {other: read for other, read in self.readers(topic).items() if other != name}
        for topic, partitions in reads.items():
            self._readers[topic] = {**self.readers(topic), name: partitions}
        if group is not None:
            self._groups[name] = group


def by_topic(partitions: Iterable[GroupPartition]) -> dict[str, tuple[GroupPartition, ...]]:
    """The partitions of each topic."""
    found: dict[str, list[GroupPartition]] = {}
    for each in partitions:
        found.setdefault(each.topic, []).append(each)
    return {topic: tuple(of_topic) for topic, of_topic in found.items()}
