"""The figures as metrics: what they say, and how many there are at most."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from schemas.model.cluster_figures import Cause, ClusterProblem, GroupFigures, GroupPartition, Overview, TopicFigures
from stream_processors.monitoring.exposition import MOST_SERIES, SnapshotCollector
from stream_processors.monitoring.snapshot import Snapshot

NOW = 1_800_000_000 * 1_000_000


def shown(**groups: tuple[GroupPartition, ...]) -> list[str]:
    found = {name: GroupFigures(group=name, members=1, partition_list=read) for name, read in groups.items()}
    problem = ClusterProblem(kind=Cause.SKEW, what="w", cause="c", cure="u")
    collector = SnapshotCollector()
    collector.snapshot = Snapshot(
        Overview(taken_at=NOW, brokers=1, problems=(problem,)),
        {"t": TopicFigures(topic="t", partition_list=())},
        found,
    )
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode().splitlines()


def read(committed: int | None, partition: int = 0) -> GroupPartition:
    return GroupPartition(
        topic="t", partition=partition, committed=committed, end_offset=10, unread_since=NOW - 5_000_000
    )


def test_lag_is_shown_by_group_and_topic_and_problems_by_kind() -> None:
    lines = shown(team=(read(4), read(7, 1)), new=(read(None),))
    assert 'headrace_group_lag_records{group="team",topic="t"} 9.0' in lines
    assert 'headrace_group_lag_seconds{group="team",topic="t"} 5.0' in lines
    assert not any('lag_records{group="new"' in line for line in lines)
    assert 'headrace_problems{kind="skew"} 1.0' in lines
    assert 'headrace_problems{kind="hot_key"} 0.0' in lines


def test_only_the_furthest_behind_are_shown_of_very_many() -> None:
    groups = {
        f"g{number}": (GroupPartition(topic="t", partition=0, committed=0, end_offset=number),)
        for number in range(1_500)
    }
    lines = [line for line in shown(**groups) if line.startswith("headrace_group_lag_records{")]
    assert len(lines) == MOST_SERIES
    assert lines[0] == 'headrace_group_lag_records{group="g1499",topic="t"} 1499.0'


def test_before_the_first_look_nothing_is_shown() -> None:
    registry = CollectorRegistry()
    registry.register(SnapshotCollector())
    assert generate_latest(registry) == b""
