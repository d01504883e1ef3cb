"""How far consumer groups are behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from schemas.model.cluster_figures import GroupFigures, GroupPartition
from stream_processors.monitoring.append_times import Found, find_append_times
from stream_processors.monitoring.rates import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from backbone.kafka.cluster import GroupState
    from backbone.kafka.records import Partition
    from stream_processors.monitoring.append_times import OffsetsAt, Place
    from stream_processors.monitoring.timeline import Bracket, Timelines


class GroupAnswers(NamedTuple):
    """What Kafka says of groups, and why it does not of some."""

    states: Mapping[str, GroupState]
    committed: Mapping[str, Mapping[Partition, int]]
    missing: Mapping[str, str]


class GroupLag:
    """Remembers what it found of records that are still unread.

    Args:
        timelines: the past ends of partitions.
        offsets_at: see ``find_append_times``.
        has_append_time: whether Kafka stamps the records of a topic.
        is_ours: whether a group is of a plane of Headrace.
    """

    def __init__(
        self,
        timelines: Timelines,
        offsets_at: OffsetsAt,
        has_append_time: Callable[[str], bool],
        is_ours: Callable[[str], bool],
    ) -> None:
        self._timelines = timelines
        self._offsets_at = offsets_at
        self._has_append_time = has_append_time
        self._is_ours = is_ours
        self._found: dict[Place, Found] = {}
        self._last_at = 0

    def figures(
        self, now: int, ends: Mapping[Partition, int], answers: GroupAnswers, before: Mapping[str, GroupFigures]
    ) -> dict[str, GroupFigures]:
        """The figures of groups.

        Args:
            now: microseconds since the epoch.
            ends: of all partitions that could answer.
            answers: what Kafka says.
            before: the figures of the last time.

        Raises:
            Unavailable: Kafka does not answer.
        """
        unread = {
            (partition, offset)
            for offsets in answers.committed.values()
            for partition, offset in offsets.items()
            if offset < ends.get(partition, 0)
        }
        times = self._times(now, unread)
        groups = {*answers.states, *answers.committed, *answers.missing}
        found: dict[str, GroupFigures] = {}
        seconds, self._last_at = (now - self._last_at) / 1e6, now
        for group in sorted(groups):
            state = answers.states.get(group)
            last = before.get(group)
            stood = {} if last is None else {(each.topic, each.partition): each for each in last.partition_list}
            committed = answers.committed.get(group, {})
            members = {} if state is None else {place: client for client, places in state.members for place in places}
            partitions = [
                GroupPartition(
                    topic=place[0],
                    partition=place[1],
                    committed=committed.get(place),
                    end_offset=ends.get(place),
                    member=members.get(place),
                )
                for place in sorted({*committed, *members})
            ]
            read = tuple(_dated(now, each, times, stood) for each in partitions)
            found[group] = GroupFigures(
                group=group,
                state=None if state is None else state.state,
                protocol=None if state is None else state.protocol,
                members=None if state is None else len(state.members),
                ours=self._is_ours(group),
                partition_list=read,
                member_rates=member_rates(read, last, seconds),
                missing=answers.missing.get(group),
            )
        return found

    def _times(self, now: int, unread: Collection[Place]) -> dict[Place, Found]:
        """When unread records were appended; one that cannot be said is left out."""
        # The same record is as old as it was: only its age has grown, and what is exact enough stays so.
        self._found = {place: found for place, found in self._found.items() if place in unread}
        sought: dict[Place, Bracket] = {}
        estimates: dict[Place, Found] = {}
        for place in unread:
            partition, offset = place
            bracket = self._timelines.bracket(partition, offset)
            if place in self._found or bracket is None:
                continue
            if self._has_append_time(partition[0]):
                sought[place] = bracket
            elif bracket.after is not None:
                estimates[place] = Found((bracket.after + bracket.until) // 2, exact=False)
        found = find_append_times(sought, now, self._offsets_at)
        self._found |= {place: each for place, each in found.items() if each.exact}
        return self._found | found | estimates


def _dated(
    now: int, read: GroupPartition, times: Mapping[Place, Found], stood: Mapping[Partition, GroupPartition]
) -> GroupPartition:
    """A partition with since when its first unread record waits, and since when the group stands there."""
    if not read.lag or read.committed is None:
        return read
    place = (read.topic, read.partition)
    since, last = times.get((place, read.committed)), stood.get(place)
    stands = last.stands_since if last is not None and last.committed == read.committed else None
    return msgspec.structs.replace(
        read,
        unread_since=None if since is None else since.at,
        approximate=since is not None and not since.exact,
        stands_since=stands or now,
    )


def member_rates(read: Collection[GroupPartition], before: GroupFigures | None, seconds: float) -> dict[str, float]:
    """The events per second that one member of a group handled at most, by topic; of members that are behind.

    Who keeps up handles what arrives, which says nothing of what it could.

    Args:
        read: the partitions of the group now.
        before: its figures of the last time.
        seconds: since then.
    """
    if before is None:
        return {}
    stood = {(each.topic, each.partition): each for each in before.partition_list}
    rates: dict[tuple[str, str], float] = {}
    for each in read:
        last = stood.get((each.topic, each.partition))
        if last is None or last.committed is None or each.committed is None or each.member is None:
            continue
        if last.lag and each.lag and last.member == each.member:
            member = (each.topic, each.member)
            rates[member] = rates.get(member, 0.0) + max(0, each.committed - last.committed) / seconds
    found = dict(before.member_rates)
    for (topic, _), rate in rates.items():
        if rate:
            found[topic] = rounded(max(rate, found.get(topic, 0.0)))
    topics = {each.topic for each in read}
    return {topic: rate for topic, rate in found.items() if topic in topics}
