"""The figures of topics and groups that one client may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbone.operations.advice import Figures, advise
from backbone.operations.view import by_topic
from families.headrace.http.operations_models import (
    Advice,
    GroupDetails,
    GroupOnTopic,
    GroupOutput,
    GroupPartitionOutput,
    HotKey,
    OperationsOverview,
    PartitionOutput,
    ProblemOutput,
    TopicDetails,
    TopicOutput,
    Totals,
    TypeOfTopic,
)
from schemas.model import timestamps
from schemas.model.cluster_figures import Cause, ClusterProblem
from schemas.model.topics import RETRY_TIERS, workspace_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from backbone.operations.view import OperationsView
    from schemas.model.cluster_figures import GroupFigures, GroupPartition, TopicFigures

_OLD_SECONDS = 60.0
"""Age from which on figures are told to be old."""

_BEHIND_SECONDS = 60.0
"""Age of the oldest unread record above which a group needs more partitions, if its members do all they can."""

_DELAYED = frozenset(RETRY_TIERS.values())
_START = "Start one with `headrace monitor`; `headrace up` runs one."


class _Behind(NamedTuple):
    """How far a group is behind on some partitions."""

    lag: int | None
    lag_seconds: float | None
    approximate: bool

    @classmethod
    def of(cls, partitions: Iterable[GroupPartition], at: int) -> _Behind:
        lags, ages, approximate = [], [], False
        for each in partitions:
            if each.lag is not None:
                lags.append(each.lag)
            age = each.lag_seconds(at)
            if age is not None:
                ages.append(age)
            approximate = approximate or each.approximate
        # An age that is not known may be the greatest.
        is_known = len(ages) == len(lags)
        return cls(sum(lags) if lags else None, max(ages) if ages and is_known else None, approximate)


class VisibleFigures:
    """What one client sees of the figures.

    Args:
        view: all figures.
        catalog: the event types.
        workspace: whose topics, and what of groups reads them, may be seen; None: everything.
    """

    def __init__(self, view: OperationsView, catalog: CatalogView, workspace: str | None) -> None:
        self._view = view
        self._catalog = catalog
        self._workspace = workspace
        self._at = timestamps.now() if view.overview is None else view.overview.taken_at

    def overview(self) -> OperationsOverview:
        """The whole of it."""
        found = self._view.overview
        age = None if found is None else max(0.0, (timestamps.now() - found.taken_at) / 1e6)
        problems = [] if found is None else [each for each in found.problems if self._sees_problem(each)]
        if age is None or age > _OLD_SECONDS:
            what = "There are no figures yet." if age is None else f"The figures are {age:.0f} s old."
            cause = "No monitor runs, or Kafka does not answer it."
            problems.insert(0, ClusterProblem(kind=Cause.MONITOR, what=what, cause=cause, cure=_START))
        return OperationsOverview(
            taken_at=None if found is None else found.taken_at,
            age_seconds=age,
            brokers=None if found is None else found.brokers,
            totals=self._totals(),
            problems=[ProblemOutput.model_validate(each, from_attributes=True) for each in problems],
            missing=list(found.missing) if found is not None and self._workspace is None else [],
        )

    def topics(self, prefix: str = "") -> list[TopicFigures]:
        """The topics whose names begin so."""
        return [each for each in self._view.topics() if each.topic.startswith(prefix) and self._sees(each.topic)]

    def topic(self, name: str) -> TopicFigures | None:
        """One topic."""
        return self._view.topic(name) if self._sees(name) else None

    def groups(self, topic: str | None = None) -> list[GroupFigures]:
        """The groups that read something that may be seen, or a topic."""
        return [
            each
            for each in self._view.groups()
            if self._sees_group(each) and (topic is None or any(part.topic == topic for part in each.partition_list))
        ]

    def group(self, name: str) -> GroupFigures | None:
        """One group."""
        found = self._view.group(name)
        return found if found is not None and self._sees_group(found) else None

    def topic_output(self, topic: TopicFigures) -> TopicOutput:
        """As it is listed."""
        event_type = self._catalog.event_type(topic.topic)
        behind = [_Behind.of(read, self._at) for read in self._view.readers(topic.topic).values()]
        ages = [each.lag_seconds for each in behind if each.lag_seconds is not None]
        lag_seconds, kept = max(ages, default=None), topic.retention_seconds
        left = None if kept is None or not lag_seconds else max(0.0, kept - lag_seconds)
        return TopicOutput(
            topic=topic.topic,
            event_type=event_type
            and TypeOfTopic(workspace=event_type.workspace, namespace=event_type.namespace, code=event_type.code),
            partitions=len(topic.partition_list),
            effective_partitions=event_type.effective_partitions if event_type else len(topic.partition_list),
            events_per_second=topic.events_per_second,
            bytes_per_second=topic.bytes_per_second,
            bytes=topic.bytes,
            growth_bytes_per_day=topic.growth_bytes_per_day,
            skew=topic.skew,
            lag=max((each.lag for each in behind if each.lag is not None), default=None),
            lag_seconds=lag_seconds,
            approximate=any(each.approximate for each in behind),
            retention_seconds=kept,
            retention_left_seconds=left,
        )

    def topic_details(self, topic: TopicFigures) -> TopicDetails:
        """With its partitions and groups."""
        rate = topic.events_per_second
        readers = sorted(self._view.readers(topic.topic).items())
        return TopicDetails(
            **dict(self.topic_output(topic)),
            partition_list=[
                PartitionOutput(
                    partition=each.partition,
                    first_offset=each.first_offset,
                    end_offset=each.end_offset,
                    events_per_second=each.events_per_second,
                    bytes_per_second=each.bytes_per_second,
                    bytes=each.bytes,
                    share=(each.events_per_second or 0.0) / rate if rate else None,
                    leader=each.leader,
                    replicas=each.replicas,
                    in_sync=each.in_sync,
                )
                for each in topic.partition_list
            ],
            groups=[self._on_topic(group, read) for name, read in readers if (group := self._view.group(name))],
            hot_keys=[
                HotKey(key=key, share=share) for key, share in self._view.hot_keys(topic.topic, timestamps.now())
            ],
            advice=self._advice(topic),
        )

    def group_output(self, group: GroupFigures) -> GroupOutput:
        """As it is listed."""
        seen = self._seen(group)
        return GroupOutput(
            group=group.group,
            state=group.state,
            protocol=group.protocol,
            members=group.members,
            ours=group.ours,
            topics=sorted(by_topic(seen)),
            missing=group.missing,
            **_Behind.of(seen, self._at)._asdict(),
        )

    def group_details(self, group: GroupFigures) -> GroupDetails:
        """With its partitions."""
        return GroupDetails(
            **dict(self.group_output(group)),
            partition_list=[
                GroupPartitionOutput(
                    topic=each.topic,
                    partition=each.partition,
                    committed=each.committed,
                    end_offset=each.end_offset,
                    lag=each.lag,
                    lag_seconds=each.lag_seconds(self._at),
                    approximate=each.approximate,
                    member=each.member,
                )
                for each in self._seen(group)
            ],
        )

    def _on_topic(self, group: GroupFigures, read: tuple[GroupPartition, ...]) -> GroupOnTopic:
        return GroupOnTopic(
            group=group.group,
            state=group.state,
            members=group.members,
            ours=group.ours,
            **_Behind.of(read, self._at)._asdict(),
        )

    def _advice(self, topic: TopicFigures) -> Advice | None:
        """More partitions, if a group is behind because one consumer cannot handle the busiest partition."""
        event_type = self._catalog.event_type(topic.topic)
        rates = []
        for name, read in self._view.readers(topic.topic).items():
            group = self._view.group(name)
            age = _Behind.of(read, self._at).lag_seconds
            if group is not None and age is not None and age > _BEHIND_SECONDS and topic.topic in group.member_rates:
                rates.append(group.member_rates[topic.topic])
        if event_type is None or not rates:
            return None
        hottest = self._view.hot_keys(topic.topic, timestamps.now(), 1)
        found = advise(
            Figures(
                partitions=event_type.effective_partitions,
                rate=topic.events_per_second or 0.0,
                consumer_rate=min(rates),
                hottest_share=hottest[0][1] if hottest else 0.0,
            )
        )
        return None if found is None else Advice(partitions=found.partitions, because=found.because)

    def _totals(self) -> Totals:
        topics, groups = self.topics(), self.groups()
        read = [each for group in groups for each in self._seen(group) if each.topic not in _DELAYED]
        return Totals(
            topics=len(topics),
            groups=len(groups),
            events_per_second=sum(each.events_per_second or 0.0 for each in topics),
            bytes_per_second=sum(each.bytes_per_second or 0.0 for each in topics),
            bytes=sum(each.bytes or 0 for each in topics),
            lag=sum(each.lag or 0 for each in read),
            lag_seconds=max((each.lag_seconds(self._at) or 0.0 for each in read), default=0.0),
        )

    def _sees(self, topic: str) -> bool:
        if self._workspace is None:
            return True
        event_type = self._catalog.event_type(topic)
        workspace = workspace_of(topic) if event_type is None else event_type.workspace
        return workspace == self._workspace

    def _seen(self, group: GroupFigures) -> tuple[GroupPartition, ...]:
        if self._workspace is None:
            return group.partition_list
        return tuple(each for each in group.partition_list if self._sees(each.topic))

    def _sees_group(self, group: GroupFigures) -> bool:
        return self._workspace is None or any(self._sees(each.topic) for each in group.partition_list)

    def _sees_problem(self, problem: ClusterProblem) -> bool:
        return self._workspace is None or (problem.topic is not None and self._sees(problem.topic))
