"""What an operator should look at: each problem with its cause and its cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import topics as topic_names
from schemas.model.cluster_figures import Cause, ClusterProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.model.cluster_figures import GroupFigures, GroupPartition, TopicFigures

LAG_SECONDS = 60.0
"""Age of the oldest unread record above which a group lags."""

STANDS_SECONDS = 30.0
"""How long a committed offset may stand while records are unread."""

SKEW = 2.0
"""The hottest partition's rate to the mean of all above which work is shared badly."""

HOT = 0.25
"""A key's part of a type's events above which it decides how fast the type can be read."""

BUSY = 10.0
"""Events per second below which nobody minds how they are shared."""

RETENTION_PART = 0.2
"""Part of its retention below which the time until unread records are deleted is little."""

MOST = 200
"""Problems that are told."""

_GRAVITY = {
    kind: number
    for number, kind in enumerate(
        (
            Cause.MONITOR,
            Cause.NO_LEADER,
            Cause.RETENTION,
            Cause.NO_PROGRESS,
            Cause.LAGGING_GROUP,
            Cause.UNDER_REPLICATED,
            Cause.HOT_KEY,
            Cause.SKEW,
            Cause.IDLE_GROUP,
        )
    )
}
_DELAYED = frozenset(topic_names.RETRY_TIERS.values())
"""Records wait here for their time, so lag is no problem."""


def problems_of(
    now: int,
    topics: Mapping[str, TopicFigures],
    groups: Mapping[str, GroupFigures],
    hot_keys: Mapping[str, tuple[str, float]],
) -> tuple[ClusterProblem, ...]:
    """The problems of a cluster, the gravest first.

    Args:
        now: microseconds since the epoch.
        topics: the figures of all topics.
        groups: those of all consumer groups.
        hot_keys: the most frequent key of topics, and its part of the events.
    """
    found = [problem for topic in topics.values() for problem in _of_topic(topic)]
    found += [
        _hot_key(topics[topic], key, share)
        for topic, (key, share) in hot_keys.items()
        if share > HOT and (topics[topic].events_per_second or 0.0) > BUSY and len(topics[topic].partition_list) > 1
    ]
    for group in groups.values():
        read: dict[str, list[GroupPartition]] = {}
        for each in group.partition_list:
            if each.topic in topics and each.topic not in _DELAYED:
                read.setdefault(each.topic, []).append(each)
        for topic, partitions in read.items():
            found += _of_group(now, group, topics[topic], partitions)
    found.sort(key=lambda each: (_GRAVITY[each.kind], each.topic or "", each.group or "", each.partition or 0))
    return tuple(found[:MOST])


def _of_topic(topic: TopicFigures) -> Iterator[ClusterProblem]:
    name = topic.topic
    without = [each.partition for each in topic.partition_list if each.leader is None]
    if without:
        yield ClusterProblem(
            kind=Cause.NO_LEADER,
            topic=name,
            what=f"{_partitions(without)} of {name} cannot be read or written.",
            cause="No broker leads them: the brokers that have them are down.",
            cure="Start the brokers that are down.",
        )
    behind = [
        each.partition for each in topic.partition_list if each.leader is not None and each.in_sync < each.replicas
    ]
    if behind:
        yield ClusterProblem(
            kind=Cause.UNDER_REPLICATED,
            topic=name,
            what=f"{_partitions(behind)} of {name} have fewer copies in sync than replicas.",
            cause="A broker is down, or too slow to follow.",
            cure="Start the broker, or look at its disk and network. Until then its loss can stop writing.",
        )
    skew, rate = topic.skew, topic.events_per_second or 0.0
    if skew is not None and skew > SKEW and rate > BUSY:
        hottest = max(topic.partition_list, key=lambda each: each.events_per_second or 0.0)
        yield ClusterProblem(
            kind=Cause.SKEW,
            topic=name,
            partition=hottest.partition,
            what=(
                f"Partition {hottest.partition} of {name} gets {hottest.events_per_second:g} of {rate:g} events per "
                f"second, {skew:.1f} times the mean."
            ),
            cause="Few values of the partition key have most events, or the partitions are new.",
            cure=(
                f"Look at the hot keys with `headrace partitions {name}`; choose a partition key with more values with "
                f"`headrace topics set {name} --partition-key KEY --dry-run`."
            ),
        )


def _hot_key(topic: TopicFigures, key: str, share: float) -> ClusterProblem:
    return ClusterProblem(
        kind=Cause.HOT_KEY,
        topic=topic.topic,
        what=f"The key {key} has about {share:.0%} of the events of {topic.topic}.".replace("%", " %"),
        cause="All events of a key are in one partition, and one consumer reads that.",
        cure=(
            "More partitions do not help. If the order of this key's events does not matter, choose a partition key "
            f"with more values: `headrace topics set {topic.topic} --partition-key KEY --dry-run`. If it does, make "
            "the consumer faster."
        ),
    )


def _of_group(
    now: int, group: GroupFigures, topic: TopicFigures, partitions: list[GroupPartition]
) -> Iterator[ClusterProblem]:
    unread = [each for each in partitions if each.lag]
    if not unread:
        return
    lag = sum(each.lag or 0 for each in unread)
    ages = [age for each in unread if (age := each.lag_seconds(now)) is not None]
    oldest = max(ages, default=None)
    where = f"{group.group} is {lag:,} records behind on {topic.topic}"
    since = "" if oldest is None else f", the oldest of them {_span(oldest)} old"
    kept = topic.retention_seconds
    if kept is not None and oldest is not None and kept - oldest < RETENTION_PART * kept:
        left = max(0.0, kept - oldest)
        yield ClusterProblem(
            kind=Cause.RETENTION,
            topic=topic.topic,
            group=group.group,
            what=f"{where}{since}: in {_span(left)} retention deletes the first that it has not read.",
            cause="The group is behind nearly as far as the topic reaches back.",
            cure=f"Keep {topic.topic} for longer, then let the group catch up.",
        )
    if group.members == 0:
        yield _idle(group, topic, where, since)
        return
    standing = [each for each in unread if each.stands_since and now - each.stands_since >= STANDS_SECONDS * 1e6]
    for each in standing:
        yield _standing(now, group, each)
    if oldest is not None and oldest > LAG_SECONDS and len(standing) < len(unread):
        yield ClusterProblem(
            kind=Cause.LAGGING_GROUP,
            topic=topic.topic,
            group=group.group,
            what=f"{where}{since}.",
            cause=_why_slow(group, topic, partitions),
            cure=(
                f"Start more consumers, up to {len(topic.partition_list)} share its partitions; or make them faster. "
                f"`headrace lag --group {group.group}` shows each partition."
            ),
        )


def _idle(group: GroupFigures, topic: TopicFigures, where: str, since: str) -> ClusterProblem:
    if group.ours:
        cure = (
            "Start the plane: `headrace router`, `ledger`, `replayer` or `connector`. If it ends, its log says why, "
            "and `headrace doctor` finds wrong secrets."
        )
    else:
        cure = (
            f"Start a consumer of {group.group}. If nobody needs what is unread, skip it: "
            f"`headrace groups reset {group.group} --to-latest --topic {topic.topic}`."
        )
    return ClusterProblem(
        kind=Cause.LAGGING_GROUP if group.ours else Cause.IDLE_GROUP,
        topic=topic.topic,
        group=group.group,
        what=f"{where}{since}.",
        cause="No consumer is in the group.",
        cure=cure,
    )


def _standing(now: int, group: GroupFigures, each: GroupPartition) -> ClusterProblem:
    stands = _span((now - (each.stands_since or now)) / 1e6)
    if group.members is not None and each.member is None:
        cause = "The partition is assigned to no member of the group."
        cure = "Restart the group's consumers, so that its partitions are assigned again."
    else:
        member = f"Its member {each.member}" if each.member else "Its member"
        cause = f"{member} reads or commits nothing: it hangs, or fails on one record again and again."
        cure = (
            "Look at the log of that consumer and restart it. If it cannot handle the record, stop it and skip that: "
            f"`headrace groups reset {group.group} --topic {each.topic} --partition {each.partition} --shift 1`."
        )
    return ClusterProblem(
        kind=Cause.NO_PROGRESS,
        topic=each.topic,
        group=group.group,
        partition=each.partition,
        what=(
            f"{group.group} has stood at offset {each.committed} of {each.topic}/{each.partition} for {stands}, with "
            f"{each.lag:,} records unread."
        ),
        cause=cause,
        cure=cure,
    )


def _why_slow(group: GroupFigures, topic: TopicFigures, partitions: list[GroupPartition]) -> str:
    if group.members is None:
        return "It reads slower than events arrive, or was stopped for a time."
    count, rate = len(topic.partition_list), topic.events_per_second
    readers = len({each.member for each in partitions if each.member is not None})
    arrive = "" if rate is None else f" ({rate:g} per second arrive)"
    if group.members < count:
        return (
            f"Its {group.members} members read slower than events arrive{arrive}; {count} could share the partitions."
        )
    return f"{readers or group.members} members read slower than events arrive{arrive}, or were stopped for a time."


def _partitions(numbers: list[int]) -> str:
    return f"Partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
