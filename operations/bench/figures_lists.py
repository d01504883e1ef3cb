"""``operations.lists``: how long it takes to list every topic and consumer group of a large cluster over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from backbone.operations.records import figures_record
from operations.bench.measure import Figure, percentile
from operations.errors import CannotStart
from schemas.model import timestamps
from schemas.model.cluster_figures import GroupFigures, GroupPartition, Overview, PartitionFigures, TopicFigures

if TYPE_CHECKING:
    from backbone.kafka.records import Record
    from operations.bench.rig import Rig

_GOAL = 2.0
"""Seconds for both lists, all pages of them."""

_TOPICS, _GROUPS, _PARTITIONS, _READ = 10_000, 1_000, 3, 10
"""Topics, consumer groups, partitions of a topic, and topics that a group reads."""

_TIMES = 5
_BATCH = 500


def figures(rig: Rig) -> list[Figure]:
    """Both lists, in pages of 1,000, after the first request has read the snapshot."""
    with rig.plane("ingest"):
        asyncio.run(_write(rig))
        started = time.perf_counter()
        overview = rig.call("GET", "/headrace/v1/operations")
        first = time.perf_counter() - started
        if overview["totals"]["topics"] != _TOPICS:
            raise CannotStart(f"{overview['totals']['topics']} topics are known, not {_TOPICS}.")
        taken = sorted(_listed(rig) for _ in range(_TIMES))
    median = percentile(taken, 0.5)
    return [
        Figure(
            stage="operations.lists",
            value=median,
            unit="s p50",
            yardstick=_GOAL,
            ratio=_GOAL / median,
            goal=1.0,
            against="goal",
            wall=f"{_TOPICS:,} topics and {_GROUPS:,} groups; the first overview, which reads them, {first:.1f} s",
        )
    ]


def _listed(rig: Rig) -> float:
    started = time.perf_counter()
    for path, expected in (("topics", _TOPICS), ("groups", _GROUPS)):
        count, cursor = 0, ""
        while True:
            page = rig.call("GET", f"/headrace/v1/operations/{path}?limit=1000{cursor}")
            count += len(page["items"])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={quote(page['next_cursor'])}"
        if count != expected:
            raise CannotStart(f"{count} {path} were listed, not {expected}.")
    return time.perf_counter() - started


async def _write(rig: Rig) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=rig.bootstrap))
    await producer.start()
    records = _records()
    for first in range(0, len(records), _BATCH):
        await producer.send(records[first : first + _BATCH])
    await producer.stop()


def _records() -> list[Record]:
    now = timestamps.now()
    names = [f"events.team-{number % 50}.shop.type-{number}" for number in range(_TOPICS)]
    partitions = tuple(
        PartitionFigures(
            partition=number,
            first_offset=1_000,
            end_offset=250_000,
            events_per_second=12.3,
            bytes=48_000_000,
            leader=1,
            replicas=3,
            in_sync=3,
        )
        for number in range(_PARTITIONS)
    )
    topics = [
        TopicFigures(topic=name, partition_list=partitions, retention_seconds=1_209_600.0, append_time=True)
        for name in names
    ]
    groups = []
    for number in range(_GROUPS):
        read = tuple(
            GroupPartition(
                topic=names[(number * _READ + each) % _TOPICS],
                partition=partition,
                committed=249_000,
                end_offset=250_000,
                unread_since=now - 5_000_000,
                member="reader-1",
            )
            for each in range(_READ)
            for partition in range(_PARTITIONS)
        )
        groups.append(
            GroupFigures(group=f"team-{number}", state="STABLE", protocol="consumer", members=3, partition_list=read)
        )
    overview = Overview(taken_at=now, brokers=3)
    return [*map(figures_record, topics), *map(figures_record, groups), figures_record(overview)]
