"""A snapshot of a cluster that does not answer every question: what is missing is told, and the rest stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.cluster import ClusterLayout, GroupState, PartitionLayout, TopicConfig
from backbone.kafka.settings import KafkaSettings
from backbone.operations.view import OperationsView
from schemas.model.errors import Unavailable
from stream_processors.monitoring.main import changed_records
from stream_processors.monitoring.snapshot import ClusterWatch
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backbone.kafka.records import Partition, Record

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
TOPIC = "events.acme.shop.paid"


class Cluster:
    """Two partitions, one of them without a leader, and a group; refuses the questions that it is told to."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.end = 100
        self.topics = [TOPIC]

    def _check(self, question: str) -> None:
        if question in self.refused:
            raise Unavailable("not allowed")

    def layout(self) -> ClusterLayout:
        self._check("layout")
        partitions = {0: PartitionLayout(1, (1, 2), (1,)), 1: PartitionLayout(None, (2,), ())}
        return ClusterLayout((("one", 9092),), dict.fromkeys(self.topics, partitions))

    def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.end)

    def first_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self._check("firsts")
        return dict.fromkeys(partitions, 0)

    def sizes(self, _brokers: object) -> dict[Partition, int]:
        self._check("sizes")
        return {(TOPIC, 0): 5_000}

    def configs(self, topics: Sequence[str]) -> dict[str, TopicConfig]:
        self._check("configs")
        return dict.fromkeys(topics, TopicConfig(3_600.0, append_time=True))

    def offsets_at(self, times: dict[Partition, int]) -> dict[Partition, int | None]:
        return dict.fromkeys(times)

    def group_names(self) -> list[str]:
        self._check("groups")
        return ["team"]

    def group_states(self, groups: Sequence[str]) -> tuple[dict[str, GroupState], dict[str, str]]:
        return {group: GroupState("STABLE", "classic", (("reader", ((TOPIC, 0),)),)) for group in groups}, {}

    def committed(self, groups: Sequence[str]) -> tuple[dict[str, dict[Partition, int]], dict[str, str]]:
        if "committed" in self.refused:
            return {}, dict.fromkeys(groups, "not allowed")
        return {group: {(TOPIC, 0): 40} for group in groups}, {}


def watch(cluster: Any) -> ClusterWatch:
    return ClusterWatch(cluster, lambda group: group.startswith("headrace-"))


def new_view() -> OperationsView:
    return OperationsView(KafkaSettings())


def apply(view: OperationsView, records: Iterable[Record]) -> list[str]:
    keys = []
    for record in records:
        view.apply(ConsumedMessage(record.topic, record.value, key=record.key))  # type: ignore[arg-type]  # a double
        keys.append((record.key or b"").decode() + ("" if record.value else " gone"))
    return keys


def test_every_figure_that_can_be_had_is_there() -> None:
    cluster, view = Cluster(), new_view()
    looking = watch(cluster)
    apply(view, changed_records(view, looking.look(NOW, view)))
    cluster.end = 150
    found = looking.look(NOW + 10 * SECOND, view)
    first, second = found.topics[TOPIC].partition_list
    assert (first.end_offset, first.events_per_second, first.bytes, first.leader, first.in_sync) == (
        150,
        5.0,
        5_000,
        1,
        1,
    )
    assert (second.end_offset, second.leader) == (None, None)
    assert (found.topics[TOPIC].retention_seconds, found.topics[TOPIC].append_time) == (3_600.0, True)
    (read,) = found.groups["team"].partition_list
    assert (read.lag, read.member) == (110, "reader")
    assert (found.overview.brokers, found.overview.missing) == (1, ())


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ("firsts", "first offsets: not allowed"),
        ("sizes", "sizes of topics: not allowed"),
        ("configs", "retention of topics: not allowed"),
        ("groups", "consumer groups: not allowed"),
        ("committed", "consumer group team: not allowed"),
    ],
)
def test_what_cannot_be_had_is_told_and_leaves_the_others_standing(refused: str, told: str) -> None:
    found = watch(Cluster(refused)).look(NOW, new_view())
    assert found.overview.missing == (told,)
    assert found.topics[TOPIC].partition_list[0].end_offset == 100
    assert ("team" in found.groups) == (refused != "groups")


def test_without_kafka_there_is_no_snapshot() -> None:
    with pytest.raises(Unavailable):
        watch(Cluster("layout")).look(NOW, new_view())


def test_only_what_changed_is_written_and_what_is_gone_is_forgotten() -> None:
    cluster, view = Cluster(), new_view()
    looking = watch(cluster)
    assert apply(view, changed_records(view, looking.look(NOW, view))) == [f"topic/{TOPIC}", "group/team", "overview"]
    looking.look(NOW + SECOND, view)
    settled = looking.look(NOW + 2 * SECOND, view)
    apply(view, changed_records(view, settled))
    assert apply(view, changed_records(view, looking.look(NOW + 3 * SECOND, view))) == ["overview"]
    cluster.topics = []
    assert apply(view, changed_records(view, looking.look(NOW + 4 * SECOND, view)))[-2:] == [
        f"topic/{TOPIC} gone",
        "overview",
    ]


def test_groups_that_nobody_could_be_asked_about_are_not_forgotten() -> None:
    cluster, view = Cluster(), new_view()
    looking = watch(cluster)
    apply(view, changed_records(view, looking.look(NOW, view)))
    cluster.refused = {"groups"}
    assert "group/team gone" not in apply(view, changed_records(view, looking.look(NOW + SECOND, view)))
    assert view.group("team") is not None
