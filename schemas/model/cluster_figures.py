"""Figures of topics and consumer groups, as JSON records of the compacted topic ``operations``.

The monitor writes one record for each topic (``topic/<name>``), one for each group (``group/<id>``) and an overview,
and only what changed. Each process that publishes writes which keys are frequent (``keys/<process>``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from schemas.model.timestamps import Micros

if TYPE_CHECKING:
    from collections.abc import Iterable

OVERVIEW = "overview"
TOPIC, GROUP, KEYS = "topic/", "group/", "keys/"
"""Keys of the records, and what the keys of the others begin with."""


class PartitionFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One partition of a topic.

    Attributes:
        partition: its number.
        first_offset: the first that retention has left.
        end_offset: behind the last record that a consumer of committed records can read.
        events_per_second: over about a minute.
        bytes: that its largest replica has on disk.
        leader: id of the broker; None: it has none, and can be neither read nor written.
        replicas, in_sync: how many there are, and how many have everything.
    """

    partition: int
    first_offset: int | None = None
    end_offset: int | None = None
    events_per_second: float | None = None
    bytes: int | None = None
    leader: int | None = None
    replicas: int = 0
    in_sync: int = 0

    @property
    def bytes_per_second(self) -> float | None:
        """By the records that are there: their bytes on disk, at the present rate."""
        if self.events_per_second is None or self.bytes is None or self.first_offset is None or self.end_offset is None:
            return None
        records = self.end_offset - self.first_offset
        return self.events_per_second * self.bytes / records if records else 0.0


class TopicFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One topic.

    Attributes:
        partition_list: by number.
        growth_bytes_per_day: what it has grown, less what retention took, of up to a day; None until it was watched
            for ten minutes.
        retention_seconds: None: forever, or not known yet.
        append_time: whether Kafka stamps its records when it appends them; None: not known yet.
    """

    topic: str
    partition_list: tuple[PartitionFigures, ...]
    growth_bytes_per_day: float | None = None
    retention_seconds: float | None = None
    append_time: bool | None = None

    @property
    def key(self) -> str:
        """Its name in lists."""
        return self.topic

    @property
    def created_at(self) -> int:
        """Lists are by name alone."""
        return 0

    @property
    def events_per_second(self) -> float | None:
        """Of all its partitions that are known."""
        return _sum(each.events_per_second for each in self.partition_list)

    @property
    def bytes_per_second(self) -> float | None:
        """Likewise."""
        return _sum(each.bytes_per_second for each in self.partition_list)

    @property
    def bytes(self) -> int | None:
        """Likewise, of one replica."""
        found = _sum(each.bytes for each in self.partition_list)
        return None if found is None else int(found)

    @property
    def skew(self) -> float | None:
        """The hottest partition's rate to the mean of all; 1 is even. None without traffic."""
        rate = self.events_per_second
        if not rate:
            return None
        hottest = max(each.events_per_second or 0 for each in self.partition_list)
        return hottest * len(self.partition_list) / rate


class GroupPartition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a group is in one partition.

    Attributes:
        committed: the offset of the next record to read; None: the group never committed one.
        end_offset: of the partition; None: not known.
        unread_since: when the record at ``committed`` was appended, microseconds since the epoch; None: nothing is
            unread, or it is not known.
        approximate: whether ``unread_since`` is an estimate.
        stands_since: when the monitor first saw this ``committed`` with records behind it; None: nothing is unread.
        member: client id of the member that the partition is assigned to.
    """

    topic: str
    partition: int
    committed: int | None = None
    end_offset: int | None = None
    unread_since: Micros | None = None
    approximate: bool = False
    stands_since: Micros | None = None
    member: str | None = None

    @property
    def lag(self) -> int | None:
        """Records that are unread; None where it is not known."""
        if self.committed is None or self.end_offset is None:
            return None
        return max(0, self.end_offset - self.committed)

    def lag_seconds(self, at: int) -> float | None:
        """How long the oldest unread record has waited at an instant; None where it is not known."""
        if self.lag is None:
            return None
        if self.lag == 0:
            return 0.0
        return None if self.unread_since is None else max(0.0, (at - self.unread_since) / 1e6)


class GroupFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One consumer group.

    Attributes:
        group: its id.
        state: as Kafka has it, such as ``STABLE`` or ``EMPTY``.
        protocol: ``consumer`` (KIP-848) or ``classic``.
        members: how many consumers are in it.
        ours: whether it is of a plane of Headrace.
        partition_list: what it has committed of, or is assigned.
        member_rates: topic to the events per second that one member handled at most while it was behind.
        missing: why offsets or members are not known; None: they are.
    """

    group: str
    state: str | None = None
    protocol: str | None = None
    members: int | None = None
    ours: bool = False
    partition_list: tuple[GroupPartition, ...] = ()
    member_rates: dict[str, float] = {}
    missing: str | None = None

    @property
    def key(self) -> str:
        """Its name in lists."""
        return self.group

    @property
    def created_at(self) -> int:
        """Lists are by name alone."""
        return 0


class TopicKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The most frequent keys of a topic in a sample of its events: how many were counted, and each key's count."""

    counted: float
    keys: list[tuple[str, float]]


class KeyCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Frequent keys, as one process counted them where it published.

    Attributes:
        worker: names the process.
        at: microseconds since the epoch.
        topics: by topic; older events count less.
    """

    worker: str
    at: Micros
    topics: dict[str, TopicKeys]


class Cause(StrEnum):
    """What a problem is."""

    LAGGING_GROUP = "lagging_group"
    IDLE_GROUP = "idle_group"
    NO_PROGRESS = "no_progress"
    RETENTION = "retention"
    SKEW = "skew"
    HOT_KEY = "hot_key"
    UNDER_REPLICATED = "under_replicated"
    NO_LEADER = "no_leader"
    MONITOR = "monitor"
    """The figures are old, or there are none."""


class ClusterProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that an operator should look at.

    Attributes:
        kind: for programs.
        what: what is seen.
        cause: why.
        cure: what to do about it.
        topic, group, partition: where.
    """

    kind: Cause
    what: str
    cause: str
    cure: str
    topic: str | None = None
    group: str | None = None
    partition: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole cluster.

    Attributes:
        taken_at: microseconds since the epoch.
        brokers: how many answer.
        problems: the gravest first.
        missing: figures that could not be had, and why.
    """

    taken_at: Micros
    brokers: int
    problems: tuple[ClusterProblem, ...] = ()
    missing: tuple[str, ...] = ()


def _sum(figures: Iterable[float | None]) -> float | None:
    known = [each for each in figures if each is not None]
    return sum(known) if known else None
