"""The figures as metrics of Prometheus: of the topics and groups with the greatest ones, so many at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backbone.operations.view import by_topic
from schemas.model.cluster_figures import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from stream_processors.monitoring.snapshot import Snapshot

MOST_SERIES = 1_000
"""Of one metric."""

_Series = list[tuple[tuple[str, ...], float]]


class SnapshotCollector(Collector):
    """Shows the latest snapshot.

    Attributes:
        snapshot: None: there is none yet.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        found = self.snapshot
        if found is None:
            return
        at = found.overview.taken_at
        yield _gauge("monitor_snapshot_timestamp_seconds", "When the figures were taken.", (), [((), at / 1e6)])
        counts = dict.fromkeys(Cause, 0.0)
        for problem in found.overview.problems:
            counts[problem.kind] += 1
        kinds: _Series = [((kind.value,), count) for kind, count in counts.items()]
        yield _gauge("problems", "Problems by kind.", ("kind",), kinds)
        lags: _Series = []
        ages: _Series = []
        members: _Series = []
        for group in found.groups.values():
            if group.members is not None:
                members.append(((group.group,), group.members))
            for topic, read in by_topic(group.partition_list).items():
                known = [each.lag for each in read if each.lag is not None]
                if known:
                    lags.append(((group.group, topic), sum(known)))
                    seconds = [age for each in read if (age := each.lag_seconds(at)) is not None]
                    ages.append(((group.group, topic), max(seconds, default=0.0)))
        names = ("group", "topic")
        yield _gauge("group_lag_records", "Records that a group has not read.", names, lags)
        yield _gauge("group_lag_seconds", "Age of the oldest record that a group has not read.", names, ages)
        yield _gauge("group_members", "Consumers in a group.", ("group",), members)
        topics = found.topics.values()
        rates = _known((each.topic, each.events_per_second) for each in topics)
        yield _gauge("topic_events_per_second", "Records appended per second.", ("topic",), rates)
        sizes = _known((each.topic, each.bytes) for each in topics)
        yield _gauge("topic_bytes", "Bytes on disk, of one replica.", ("topic",), sizes)
        skews = _known((each.topic, each.skew) for each in topics)
        yield _gauge("topic_skew", "The hottest partition's rate to the mean.", ("topic",), skews)
        behind: _Series = [
            ((each.topic,), sum(part.in_sync < part.replicas for part in each.partition_list)) for each in topics
        ]
        yield _gauge(
            "topic_under_replicated_partitions",
            "Partitions with fewer copies in sync than replicas.",
            ("topic",),
            behind,
        )


def _known(figures: Iterable[tuple[str, float | None]]) -> _Series:
    return [((topic,), figure) for topic, figure in figures if figure is not None]


def _gauge(name: str, text: str, labels: Sequence[str], series: _Series) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"headrace_{name}", text, labels=labels)
    for values, figure in sorted(series, key=lambda each: -each[1])[:MOST_SERIES]:
        gauge.add_metric(values, figure)
    return gauge
