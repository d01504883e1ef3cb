"""What Kafka's metadata tells of missing copies. A cluster of three is asked in tests/component/cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from operations.doctor.topic_copies import of_metadata


def metadata(**topics: list[tuple[int, list[int], list[int]]]) -> Any:
    """Brokers 1 and 2, and topics with leader, replicas and in-sync replicas of each partition."""
    parts = {
        name: SimpleNamespace(
            partitions={
                number: SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)
                for number, (leader, replicas, isrs) in enumerate(partitions)
            }
        )
        for name, partitions in topics.items()
    }
    return SimpleNamespace(brokers={1: None, 2: None}, topics=parts)


def test_a_whole_topic_is_fine() -> None:
    assert list(of_metadata(metadata(whole=[(1, [1, 2], [2, 1])]), "kafka:9092")) == []


def test_copies_that_are_not_in_sync_and_brokers_that_are_away() -> None:
    found = metadata(whole=[(1, [1, 2], [1, 2])], part=[(1, [1, 3], [1]), (2, [2, 3], [2])], gone=[(-1, [3], [3])])
    lost, lagging = of_metadata(found, "kafka:9092")
    assert (lost.cause, lost.severity) == ("no-leader", "fault")
    assert "1 partitions have no leader" in lost.what
    assert "gone-0" in lost.what
    assert lost.cure == "Start broker 3 again."
    assert (lagging.cause, lagging.severity) == ("under-replicated", "warning")
    assert "part-0, part-1" in lagging.what
    assert lagging.cure.startswith("Look after broker 3:")
    assert "kafka:9092" in lagging.cure


def test_of_many_topics_a_few_are_named() -> None:
    found = {f"t{number}": [(1, [1, 2], [1])] for number in range(8)}
    (lagging,) = of_metadata(metadata(**found), "kafka:9092")
    assert lagging.what.endswith("t0-0, t1-0, t2-0, t3-0, t4-0 and 3 more.")
