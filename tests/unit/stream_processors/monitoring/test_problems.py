"""Problems are named with their causes and cures, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.model import topics
from schemas.model.cluster_figures import Cause, GroupFigures, GroupPartition, PartitionFigures, TopicFigures
from stream_processors.monitoring.problems import problems_of

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
NAME = "events.acme.shop.paid"


def topic(*rates: float, name: str = NAME, **members: Any) -> TopicFigures:
    partitions = tuple(
        PartitionFigures(partition=number, events_per_second=rate, leader=1, replicas=3, in_sync=3)
        for number, rate in enumerate(rates)
    )
    return TopicFigures(topic=name, partition_list=partitions, **members)


def group(
    *,
    committed: int = 10,
    age: float = 300.0,
    stood: float = 0.0,
    member: str | None = "reader",
    name: str = NAME,
    **more: Any,
) -> GroupFigures:
    read = GroupPartition(
        topic=name,
        partition=0,
        committed=committed,
        end_offset=100,
        unread_since=NOW - int(age * SECOND),
        stands_since=NOW - int(stood * SECOND),
        member=member,
    )
    return GroupFigures(group="team", members=1, partition_list=(read,), **more)


def found(one: TopicFigures, *groups: GroupFigures, hot: float = 0.0) -> list[tuple[Cause, str]]:
    hot_keys = {one.topic: ("key-1", hot)} if hot else {}
    problems = problems_of(NOW, {one.topic: one}, {each.group: each for each in groups}, hot_keys)
    assert all(each.what and each.cause and each.cure for each in problems)
    return [(each.kind, each.cause) for each in problems]


def kinds(one: TopicFigures, *groups: GroupFigures) -> list[Cause]:
    return [kind for kind, _ in found(one, *groups)]


def test_what_is_well_is_no_problem() -> None:
    assert kinds(topic(20, 20, 20), group(committed=100), group(age=5)) == []


def test_a_group_that_reads_slower_than_events_arrive_lags() -> None:
    ((kind, cause),) = found(topic(20, 20, 20), group())
    assert kind is Cause.LAGGING_GROUP
    assert "1 members read slower than events arrive (60 per second arrive); 3 could share" in cause


def test_a_group_without_members_is_not_called_slow() -> None:
    idle = msgspec.structs.replace(group(stood=900), members=0)
    assert found(topic(20), idle) == [(Cause.IDLE_GROUP, "No consumer is in the group.")]
    assert kinds(topic(20), msgspec.structs.replace(idle, ours=True)) == [Cause.LAGGING_GROUP]


def test_a_partition_without_progress_is_told_with_its_member() -> None:
    ((kind, cause),) = found(topic(20, 20), group(stood=60))
    assert kind is Cause.NO_PROGRESS
    assert "Its member reader reads or commits nothing" in cause
    ((_, cause),) = found(topic(20, 20), group(stood=60, member=None))
    assert cause == "The partition is assigned to no member of the group."


def test_records_of_the_retry_tiers_wait_for_their_time() -> None:
    tier = topics.RETRY_TIERS[86_400]
    assert kinds(topic(1, name=tier), group(stood=60_000, age=60_000, name=tier)) == []


@pytest.mark.parametrize(("kept", "expected"), [(1_000.0, []), (350.0, [Cause.RETENTION])])
def test_little_retention_left_for_what_is_unread(kept: float, expected: list[Cause]) -> None:
    problems = kinds(topic(20, retention_seconds=kept), group())
    assert problems == [*expected, Cause.LAGGING_GROUP]


def test_partitions_that_share_badly() -> None:
    assert kinds(topic(90, 5, 5)) == [Cause.SKEW]
    assert kinds(topic(0.9, 0.05, 0.05)) == []
    assert kinds(topic(90)) == []


def test_replicas_that_are_behind_and_partitions_without_a_leader() -> None:
    one = topic(1, 1, 1)
    first, second, third = one.partition_list
    behind = msgspec.structs.replace(second, in_sync=2)
    gone = msgspec.structs.replace(third, leader=None, in_sync=0)
    broken = msgspec.structs.replace(one, partition_list=(first, behind, gone))
    assert kinds(broken) == [Cause.NO_LEADER, Cause.UNDER_REPLICATED]


def test_a_hot_key_matters_where_a_type_is_busy_and_has_partitions() -> None:
    assert [kind for kind, _ in found(topic(20, 15), hot=0.4)] == [Cause.HOT_KEY]
    assert found(topic(20, 15), hot=0.2) == []
    assert found(topic(0.2, 0.15), hot=0.4) == []
    assert found(topic(35), hot=0.4) == []
