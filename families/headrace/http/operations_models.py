"""What the routes of ``/headrace/v1/operations`` answer. A figure that is not known is null."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ingest_api.management.models import Time
from schemas.model.cluster_figures import Cause

Lag = Annotated[int | None, Field(description="Records that are not read; null: the group never committed an offset.")]
LagSeconds = Annotated[float | None, Field(description="How long the oldest record that is not read has waited.")]
Approximate = Annotated[
    bool, Field(description="Whether `lag_seconds` is an estimate: of topics with their producers' timestamps it is.")
]


class TypeOfTopic(BaseModel):
    """An event type."""

    workspace: str
    namespace: str
    code: str


class GroupOnTopic(BaseModel):
    """A consumer group that reads a topic."""

    group: str
    state: str | None
    members: int | None
    ours: bool
    lag: Lag
    lag_seconds: LagSeconds
    approximate: Approximate


class PartitionOutput(BaseModel):
    """A partition of a topic."""

    partition: int
    first_offset: Annotated[int | None, Field(description="The first that retention has left.")]
    end_offset: Annotated[int | None, Field(description="Behind the last record.")]
    events_per_second: float | None
    bytes_per_second: float | None
    bytes: int | None
    share: Annotated[float | None, Field(description="Of the topic's events, 0 to 1; null without traffic.")]
    leader: Annotated[int | None, Field(description="Id of the broker; null: it can be neither read nor written.")]
    replicas: int
    in_sync: Annotated[int, Field(description="Replicas that have everything.")]


class HotKey(BaseModel):
    """A value of the partition key that many events have."""

    key: str
    share: Annotated[float, Field(description="Of the type's events of the last minutes, 0 to 1; an estimate.")]


class Advice(BaseModel):
    """How many partitions a topic should have, and why."""

    partitions: int
    because: str


class TopicOutput(BaseModel):
    """A topic."""

    topic: str
    event_type: TypeOfTopic | None
    partitions: int
    effective_partitions: Annotated[int, Field(description="Partitions that events go to; fewer while the type grows.")]
    events_per_second: Annotated[float | None, Field(description="Over about a minute.")]
    bytes_per_second: Annotated[float | None, Field(description="On disk, of one replica.")]
    bytes: Annotated[int | None, Field(description="On disk, of one replica.")]
    growth_bytes_per_day: Annotated[float | None, Field(description="Less what retention takes; null at first.")]
    skew: Annotated[float | None, Field(description="The hottest partition's rate to the mean: 1 is even.")]
    lag: Annotated[int | None, Field(description="Of the group that is furthest behind; null: no group reads it.")]
    lag_seconds: LagSeconds
    approximate: Approximate
    retention_seconds: Annotated[float | None, Field(description="Null: kept forever, or not known yet.")]
    retention_left_seconds: Annotated[
        float | None, Field(description="Until retention deletes the first record that some group has not read.")
    ]


class TopicDetails(TopicOutput):
    """A topic with its partitions and the groups that read it."""

    partition_list: list[PartitionOutput]
    groups: list[GroupOnTopic]
    hot_keys: list[HotKey]
    advice: Advice | None


class GroupOutput(BaseModel):
    """A consumer group, with the topics that may be seen."""

    group: str
    state: Annotated[str | None, Field(description="Kafka's word, such as `STABLE`; `EMPTY` has no members.")]
    protocol: Annotated[str | None, Field(description="`consumer` (KIP-848) or `classic`.")]
    members: int | None
    ours: Annotated[bool, Field(description="Whether it is of a plane of Headrace.")]
    topics: list[str]
    lag: Lag
    lag_seconds: LagSeconds
    approximate: Approximate
    missing: Annotated[str | None, Field(description="Why members or offsets are not known.")]


class GroupPartitionOutput(BaseModel):
    """How far a group is in a partition."""

    topic: str
    partition: int
    committed: Annotated[int | None, Field(description="The next offset to read; null: it never committed one.")]
    end_offset: int | None
    lag: Lag
    lag_seconds: LagSeconds
    approximate: Approximate
    member: Annotated[str | None, Field(description="Client id of the consumer that it is assigned to.")]


class GroupDetails(GroupOutput):
    """A consumer group with its partitions."""

    partition_list: list[GroupPartitionOutput]


class ProblemOutput(BaseModel):
    """Something that an operator should look at."""

    kind: Cause
    what: str
    cause: str
    cure: str
    topic: str | None
    group: str | None
    partition: int | None


class Totals(BaseModel):
    """Sums over the topics that may be seen, without the retry tiers, whose records wait for their time."""

    topics: int
    groups: int
    events_per_second: float
    bytes_per_second: float
    bytes: int
    lag: Annotated[int, Field(description="Records that groups have not read, of all together.")]
    lag_seconds: Annotated[float, Field(description="Of the oldest record that some group has not read.")]


class OperationsOverview(BaseModel):
    """The cluster, as the monitor saw it last."""

    taken_at: Annotated[Time | None, Field(description="Null: no monitor has looked yet.")]
    age_seconds: float | None
    brokers: int | None
    totals: Totals
    problems: Annotated[list[ProblemOutput], Field(description="The gravest first.")]
    missing: Annotated[list[str], Field(description="For administrators: figures that could not be had, and why.")]
