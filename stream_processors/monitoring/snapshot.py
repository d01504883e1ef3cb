"""One look at the cluster: what is known of each topic and consumer group."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from schemas.model.cluster_figures import GroupFigures, Overview, PartitionFigures, TopicFigures
from schemas.model.errors import Unavailable
from stream_processors.monitoring.group_lag import GroupAnswers, GroupLag
from stream_processors.monitoring.problems import problems_of
from stream_processors.monitoring.rates import Rates
from stream_processors.monitoring.sizes import Sizes
from stream_processors.monitoring.timeline import Timelines
from stream_processors.monitoring.topic_configs import TopicConfigs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.kafka.cluster import Cluster, ClusterLayout, PartitionLayout
    from backbone.kafka.records import Partition
    from backbone.operations.view import OperationsView

log = logging.getLogger(__name__)

_SELDOM = 60_000_000
"""Microseconds until the first offsets and the sizes of all partitions are asked for again."""


class Snapshot(NamedTuple):
    """The figures of one look."""

    overview: Overview
    topics: dict[str, TopicFigures]
    groups: dict[str, GroupFigures]


class ClusterWatch:
    """Looks at a cluster again and again. Blocks; for one thread.

    Args:
        cluster: to ask.
        is_ours: whether a group is of a plane of Headrace.
    """

    def __init__(self, cluster: Cluster, is_ours: Callable[[str], bool]) -> None:
        self._cluster = cluster
        self._rates = Rates()
        self._timelines = Timelines()
        self._configs = TopicConfigs(cluster.configs)
        self._lag = GroupLag(self._timelines, cluster.offsets_at, self._has_append_time, is_ours)
        self._firsts: dict[Partition, int] = {}
        self._firsts_at = 0
        self._sizes = Sizes()
        self._sizes_at = 0

    def look(self, now: int, known: OperationsView) -> Snapshot:
        """Take a snapshot. A figure that cannot be had is left out, and the overview says why.

        Args:
            now: microseconds since the epoch.
            known: the figures of the last time, and the keys that are frequent.

        Raises:
            Unavailable: Kafka does not answer at all.
        """
        missing: list[str] = []

        def attempt(what: str, ask: Callable[[], None]) -> None:
            try:
                ask()
            except Unavailable as error:
                log.warning("%s cannot be had", what, extra={"reason": str(error)})
                missing.append(f"{what}: {error}")

        layout = self._cluster.layout()
        partitions = [(topic, number) for topic, found in layout.topics.items() for number in found]
        ends = self._cluster.end_offsets(place for place in partitions if _is_led(layout, place))
        self._timelines.keep(partitions)
        self._timelines.note(now, ends)
        self._rates.note(now, ends)
        attempt("first offsets", lambda: self._ask_firsts(now, ends))
        attempt("sizes of topics", lambda: self._ask_sizes(now, layout))
        attempt("retention of topics", lambda: self._configs.refresh(now, layout.topics))
        before = {each.group: each for each in known.groups()}
        groups: dict[str, GroupFigures] = {}

        def ask_groups() -> None:
            groups.update(self._lag.figures(now, ends, self._answers(), before))

        attempt("consumer groups", ask_groups)
        topics = {topic: self._topic(topic, found, ends) for topic, found in layout.topics.items()}
        missing += [f"consumer group {each.group}: {each.missing}" for each in groups.values() if each.missing]
        hot = {topic: keys[0] for topic in topics if (keys := known.hot_keys(topic, now, 1))}
        problems = problems_of(now, topics, groups, hot)
        overview = Overview(taken_at=now, brokers=len(layout.brokers), problems=problems, missing=tuple(missing))
        return Snapshot(overview, topics, groups)

    def _ask_firsts(self, now: int, ends: Mapping[Partition, int]) -> None:
        is_due = now - self._firsts_at >= _SELDOM
        asked = ends if is_due else [partition for partition in ends if partition not in self._firsts]
        found = self._cluster.first_offsets(asked)
        self._firsts = found if is_due else self._firsts | found
        if is_due:
            self._firsts_at = now

    def _ask_sizes(self, now: int, layout: ClusterLayout) -> None:
        if now - self._sizes_at >= _SELDOM:
            self._sizes_at = now
            self._sizes.note(now, self._cluster.sizes(layout.brokers))

    def _answers(self) -> GroupAnswers:
        names = self._cluster.group_names()
        states, unknown = self._cluster.group_states(names)
        committed, unread = self._cluster.committed(names)
        return GroupAnswers(states, committed, unknown | unread)

    def _topic(self, topic: str, found: Mapping[int, PartitionLayout], ends: Mapping[Partition, int]) -> TopicFigures:
        config = self._configs.get(topic)
        return TopicFigures(
            topic=topic,
            partition_list=tuple(
                PartitionFigures(
                    partition=number,
                    first_offset=self._firsts.get((topic, number)),
                    end_offset=ends.get((topic, number)),
                    events_per_second=self._rates.per_second((topic, number)),
                    bytes=self._sizes.of((topic, number)),
                    leader=each.leader,
                    replicas=len(each.replicas),
                    in_sync=len(each.in_sync),
                )
                for number, each in found.items()
            ),
            growth_bytes_per_day=self._sizes.growth_per_day(topic),
            retention_seconds=None if config is None else config.retention,
            append_time=None if config is None else config.append_time,
        )

    def _has_append_time(self, topic: str) -> bool:
        config = self._configs.get(topic)
        return config is not None and config.append_time


def _is_led(layout: ClusterLayout, place: Partition) -> bool:
    topic, number = place
    return layout.topics[topic][number].leader is not None
