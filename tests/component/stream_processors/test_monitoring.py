"""The monitor on real Kafka: topics and groups as they are, and what it writes of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from backbone.kafka.cluster import Cluster
from backbone.kafka.settings import KafkaSettings
from backbone.operations.records import figures_record
from backbone.operations.view import OperationsView
from operations.supervisor.ports import free_port
from schemas.model import timestamps
from stream_processors.monitoring.snapshot import ClusterWatch
from tests.support.consumed_messages import ConsumedMessage
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream_processors.monitoring.snapshot import Snapshot

SECOND = 1_000_000


@pytest.fixture
def cluster(kafka_bootstrap: str) -> Iterator[Cluster]:
    made = Cluster(KafkaSettings(bootstrap_servers=kafka_bootstrap))
    yield made
    made.close()


def known(snapshot: Snapshot | None = None) -> OperationsView:
    """A view of what was written of a snapshot."""
    view = OperationsView(KafkaSettings())
    for each in [] if snapshot is None else snapshot.groups.values():
        record = figures_record(each)
        view.apply(ConsumedMessage(record.topic, record.value, key=record.key))
    return view


def topic_with(bootstrap: str, records: int, timestamps_of: str) -> str:
    """A new topic with two partitions, and records in the first."""
    name = f"events.w{uuid4().hex}.n.c"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"message.timestamp.type": timestamps_of, "retention.ms": "86400000"}
    for future in admin.create_topics([NewTopic(name, 2, 1, config=config)]).values():
        future.result(30)
    fill(bootstrap, name, records)
    return name


def fill(bootstrap: str, topic: str, records: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(records):
        producer.produce(topic, str(number), partition=0)
    assert producer.flush(30) == 0


def group_at(bootstrap: str, topic: str, offset: int) -> str:
    """A group without members that has committed an offset."""
    name = f"team-{uuid4().hex}"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()
    return name


@pytest.mark.parametrize("stamped_by", ["LogAppendTime", "CreateTime"])
def test_a_group_is_behind_in_records_and_seconds(kafka_bootstrap: str, cluster: Cluster, stamped_by: str) -> None:
    topic = topic_with(kafka_bootstrap, 3, stamped_by)
    group = group_at(kafka_bootstrap, topic, 3)
    watch = ClusterWatch(cluster, lambda name: name.startswith("headrace-"))
    before = watch.look(timestamps.now(), known())
    (read,) = before.groups[group].partition_list
    assert (read.committed, read.end_offset, read.lag) == (3, 3, 0)
    appended = timestamps.now()
    fill(kafka_bootstrap, topic, 5)
    deadline = time.monotonic() + 60
    while True:
        now = timestamps.now()
        snapshot = watch.look(now, known(before))
        (read,) = snapshot.groups[group].partition_list
        if now > appended + 5 * SECOND or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert (read.lag, read.approximate) == (5, stamped_by == "CreateTime")
    assert read.lag_seconds(now) == pytest.approx((now - appended) / SECOND, abs=2.5)
    found = snapshot.topics[topic]
    assert found.append_time is (stamped_by == "LogAppendTime")
    assert found.retention_seconds == 86_400
    first, second = found.partition_list
    assert (first.first_offset, first.end_offset, second.end_offset) == (0, 8, 0)
    assert (first.replicas, first.in_sync, first.leader is None) == (1, 1, False)
    assert (first.bytes or 0) > 0
    assert snapshot.overview.missing == ()
    assert first.events_per_second is not None
    assert first.events_per_second > 0
    assert found.skew == 2.0


def test_a_group_that_never_committed_is_there_with_its_members(kafka_bootstrap: str, cluster: Cluster) -> None:
    topic = topic_with(kafka_bootstrap, 3, "LogAppendTime")
    group = f"team-{uuid4().hex}"
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_bootstrap,
            "group.id": group,
            "client.id": "of-a-team",
            "group.protocol": "classic",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    try:
        deadline = time.monotonic() + 60
        while not consumer.assignment() and time.monotonic() < deadline:
            consumer.poll(0.1)
        found = ClusterWatch(cluster, lambda _name: False).look(timestamps.now(), known()).groups[group]
    finally:
        consumer.close()
    assert (found.members, found.protocol, found.state, found.missing) == (1, "classic", "STABLE", None)
    assert [(each.partition, each.committed, each.lag, each.member) for each in found.partition_list] == [
        (0, None, None, "of-a-team"),
        (1, None, None, "of-a-team"),
    ]


async def test_the_process_writes_what_it_sees_and_serves_it_as_metrics(kafka_bootstrap: str, tmp_path: Path) -> None:
    topic = topic_with(kafka_bootstrap, 3, "LogAppendTime")
    group = group_at(kafka_bootstrap, topic, 1)
    port = free_port()
    variables = {"HEADRACE_PROCESSORS_MONITOR_WEB_PORT": str(port), "HEADRACE_PROCESSORS_MONITOR_INTERVAL": "1"}
    with running_plane(kafka_bootstrap, tmp_path, "monitor", **variables):
        view = OperationsView(KafkaSettings(bootstrap_servers=kafka_bootstrap))
        try:
            await view.caught_up()
        finally:
            await asyncio.to_thread(view.stop)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            metrics = (await http.get("/metrics")).text
            assert (await http.get("/readyz")).status_code == 200
    found = view.topic(topic)
    assert found is not None
    assert [each.end_offset for each in found.partition_list] == [3, 0]
    (read,) = view.readers(topic)[group]
    assert read.lag == 2
    assert view.overview is not None
    assert f'headrace_group_lag_records{{group="{group}",topic="{topic}"}} 2.0' in metrics
