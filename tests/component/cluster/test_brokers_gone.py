"""Brokers of a cluster of three are killed or stopped, one or two at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from backbone.kafka import consumer_loop
from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.topology import ensure_internal_topics
from backbone.kafka.transaction import TransactionalProducer
from backbone.process.health import Health
from backbone.publishing.claim_log import partition_of
from backbone.publishing.idempotency import IdempotencyKey, IdempotencyLog
from connectors.webhook import retry_scheduler as retries
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.retry_scheduler import RetryScheduler
from ingest_api.settings import IngestSettings
from operations.doctor import groups, topic_copies
from operations.doctor.installed import Installed
from operations.doctor.site import Site
from operations.settings import OperationsSettings
from schemas.model import topics
from schemas.model.errors import TransactionAborted, Unavailable
from tests.component.cluster.keyed_posts import KeyedPosts
from tests.component.cluster.retry_tier import put_on_tier, returned
from tests.support.kafka_cluster import NODES
from tests.support.records import records_of
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from tests.component.cluster.keyed_posts import Answer
    from tests.support.kafka_cluster import KafkaCluster
    from tests.support.running_gateway import RunningGateway

GROUP = "coordinated"
_RETRIES = 30

_SINGLE = "idempotency-of-single-copies"
_PARTITIONS = 6

_LONGEST_ANSWER = IngestSettings.model_fields["request_timeout"].default + 0.6
"""Seconds: requests have a deadline, which is looked at ten times a second."""

_PILE, _KEYS = 200, 50
"""Requests at once, and the keys that they share."""


@pytest.fixture
def gateway(cluster: KafkaCluster, kafka: KafkaSettings, tmp_path: Path) -> Iterator[RunningGateway]:
    with running_gateway(kafka.bootstrap_servers, tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def single_copies(kafka: KafkaSettings) -> AsyncIterator[IdempotencyLog]:
    """A log of idempotency keys in a topic of which each broker has a part, and no other has a copy."""
    alone = kafka.model_copy(update={"replication_factor": 1, "min_insync_replicas": 1})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(topics, "IDEMPOTENCY", _SINGLE)
        await Admin(alone).ensure_topics([TopicSpec(_SINGLE, _PARTITIONS)])
        producer = Producer(alone)
        await producer.start()
        log = IdempotencyLog(alone, producer)
        log.start()
        await log.caught_up(timeout=30)
        await log.probe()
        yield log
        await asyncio.to_thread(log.stop)
        await producer.stop()


async def test_publishing_with_one_and_with_two_brokers_away(
    cluster: KafkaCluster, kafka: KafkaSettings, gateway: RunningGateway
) -> None:
    """With one away, its partitions alone are waited for, and all is taken once its session is over.

    With two away, all is refused in time, and readiness says so.
    """
    client, api_key = gateway.create_client(gateway.create_workspace(), "producer")
    with gateway.client(api_key) as http:
        body = {"code": "Open", "open": True, "partitions": 3}
        http.post("/headrace/v1/registrations", json=body).raise_for_status()
    health = Health(kafka)
    health.ready()
    # The catalog can be read all the time: it tells nothing of whether anything can be written.
    first, second = (node for node in NODES if node != cluster.leaders()[topics.CATALOG, 0])
    async with KeyedPosts(gateway, api_key, "Open").at_once(_PILE) as posts:
        async with single_copies(kafka) as log:
            await _claimed_but_for_one_broker(cluster, log, first)
        await asyncio.to_thread(cluster.wait_given_up, first)
        taken = await _taken_with_one_away(posts, client)
        cluster.kill_node(second)
        await _refused_with_two_away(posts, health)
        cluster.start()
        await posts.until_ready(ready=True, seconds=60)
        assert await asyncio.to_thread(health.reason) is None
        answers = [await posts.post(f"pile-{number}") for number in range(_KEYS)]
        assert [answer.status for answer in answers] == [201] * _KEYS
    keyed = {json.loads(answer.body)["id"] for answer in (*taken, *answers)}
    records = records_of(gateway.bootstrap, json.loads(answers[0].body)["topic"])
    written = Counter(dict(each.headers() or [])["ce_id"].decode() for each in records)
    assert written == dict.fromkeys(keyed, 1)


async def _claimed_but_for_one_broker(cluster: KafkaCluster, log: IdempotencyLog, gone: int) -> None:
    leaders = cluster.leaders()
    keys = [IdempotencyKey("client", str(number), b"body") for number in range(60)]
    out_of_reach = {key for key in keys if leaders[_SINGLE, partition_of(key.digest, _PARTITIONS)] == gone}
    assert 0 < len(out_of_reach) < len(keys)

    async def claimed(key: IdempotencyKey) -> bool:
        try:
            async with log.claim([key], [()]):
                return True
        except Unavailable:
            return False

    cluster.kill_node(gone)
    assert await asyncio.gather(*map(claimed, keys)) == [key not in out_of_reach for key in keys]


async def _taken_with_one_away(posts: KeyedPosts, client: str) -> list[Answer]:
    keys = [f"one-{number}" for number in range(60)]
    spread = {partition_of(IdempotencyKey(client, key, b"").digest, 4) for key in keys}
    assert spread == {0, 1, 2, 3}
    posts.lateness = 0.0
    answers = await asyncio.gather(*map(posts.post, keys))
    assert [answer.status for answer in answers] == [201] * len(keys)
    assert max(answer.seconds for answer in answers) - posts.lateness < _LONGEST_ANSWER
    return answers


async def _refused_with_two_away(posts: KeyedPosts, health: Health) -> None:
    posts.lateness = 0.0
    keys = [f"pile-{number % _KEYS}" for number in range(_PILE)]
    answers, _ = await asyncio.gather(posts.repeat(keys, 5.0), posts.until_ready(ready=False, seconds=30))
    assert {answer.status for answer in answers} == {503}
    assert len(answers) >= 2 * _PILE
    assert max(answer.seconds for answer in answers) - posts.lateness < _LONGEST_ANSWER
    assert not await posts.is_ready()
    assert await asyncio.to_thread(health.reason) is not None


def move(producer: TransactionalProducer, consumer: BatchConsumer, offset: int) -> None:
    producer.begin()
    producer.produce(Record("moved", b"x"))
    producer.send_offsets({("moved", 0): offset}, consumer)
    producer.commit()


def test_offsets_are_committed_again_after_their_coordinator_left(cluster: KafkaCluster, kafka: KafkaSettings) -> None:
    """librdkafka waits for ever for a coordinator that is gone from the metadata, whatever timeout it is given."""
    Admin(kafka).ensure_topics_now([TopicSpec("moved", 1)])
    consumer = BatchConsumer(kafka, group=GROUP)
    consumer.subscribe(["moved"])
    while not consumer.assignment():
        consumer.consume(1, 0.1)
    producer = TransactionalProducer(kafka, "mover", timeout=5.0)
    producer.start()
    move(producer, consumer, 1)
    gone = cluster.coordinator(GROUP)
    cluster.stop_node(gone)
    deadline = time.monotonic() + 60
    while gone in producer._client.list_topics().brokers:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    offset, moved = 2, False
    while not moved:
        assert time.monotonic() < deadline
        consumer.consume(1, 0.1)
        try:
            move(producer, consumer, offset)
            moved = True
        except TransactionAborted:
            producer.close()
            producer = TransactionalProducer(kafka, "mover", timeout=5.0)
            producer.start()
    assert consumer.committed([("moved", 0)]) == {("moved", 0): offset}
    producer.close()
    consumer.close()


async def test_retries_come_back_once_through_the_same_member(
    cluster: KafkaCluster, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that leaves while its group's coordinator is away keeps its partitions for a whole session, 45 s."""
    await ensure_internal_topics(Admin(kafka))
    joined: list[BatchConsumer] = []

    def join(*args: Any, **options: Any) -> BatchConsumer:
        joined.append(BatchConsumer(*args, **options))
        return joined[-1]

    monkeypatch.setattr(consumer_loop, "BatchConsumer", join)
    hopper = RetryScheduler(kafka, transactional_id="hopper", metrics=WebhookMetrics(CollectorRegistry()))
    hopper.start()
    try:
        await asyncio.to_thread(put_on_tier, kafka, range(_RETRIES))
        await asyncio.to_thread(returned, kafka, _RETRIES)
        await asyncio.to_thread(put_on_tier, kafka, range(_RETRIES, 2 * _RETRIES))
        cluster.kill_node(await asyncio.to_thread(cluster.coordinator, retries.GROUP))
        back = await asyncio.to_thread(returned, kafka, 2 * _RETRIES)
        assert back == {f"delivery-{number}": 1 for number in range(2 * _RETRIES)}
        assert len(joined) == 1
    finally:
        await asyncio.to_thread(hopper.stop)


def test_the_doctor_names_missing_copies_and_what_the_cluster_is_not_set_to(
    cluster: KafkaCluster, kafka: KafkaSettings, tmp_path: Path
) -> None:
    admin = Admin(kafka)
    admin.ensure_topics_now([TopicSpec("alone", 3, {"min.insync.replicas": "1"})])
    single = kafka.model_copy(update={"replication_factor": 1})
    Admin(single).ensure_topics_now([TopicSpec("single", 3)])
    site = Site(installed=Installed(data_dir=tmp_path), operations=OperationsSettings(data_dir=tmp_path), kafka=kafka)
    while len(found := list(topic_copies.copies(site))) < 2:
        # The broker that was asked has not heard of the topics yet.
        time.sleep(0.1)
    one, least = found
    assert (one.cause, "single" in one.what) == ("one-replica", True)
    assert (least.cause, "alone" in least.what, "single" in least.what) == ("min-insync-replicas", True, False)
    (session,) = groups.sessions(site)
    assert (session.cause, "is 45 s" in session.what) == ("session-timeout", True)

    gone = cluster.leaders()["single", 0]
    cluster.stop_node(gone)
    cluster.wait_given_up(gone)
    lost, lagging = topic_copies.replicas(site)
    assert (lost.cause, lost.cure) == ("no-leader", f"Start broker {gone} again.")
    assert (lagging.cause, f"broker {gone}" in lagging.cure) == ("under-replicated", True)
