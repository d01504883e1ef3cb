"""A local broker with an authorizer: what clients without credentials, planes and users of teams may do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AclBinding, AdminClient, NewTopic, ScramMechanism, UserScramCredentialDeletion

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics_now
from operations.broker.guard import Guard
from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.kafka_users import access
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("jars")

EVENTS, OTHERS = "events.acme.shop.Order", "events.other.shop.Order"
REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    # A topic that may not be described looks as if there were none.
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


class Guarded(NamedTuple):
    home: Path
    open: str
    guard: Guard

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=self.guard.bootstrap_servers, options=self.guard.security.planes_options)


@pytest.fixture(scope="module")
def broker(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A broker that was open to all in its first life, and is not any more."""
    home = tmp_path_factory.mktemp("data")
    parts: dict[str, Any] = {"java": find_java(), "jars": kafka_jars(user_cache(), print)}
    before = JarBroker(home / "kafka", port=free_port(), **parts)
    with running(before, home / "broker.log"):
        settings = KafkaSettings(bootstrap_servers=before.bootstrap_servers)
        ensure_internal_topics_now(Admin(settings))
        client = AdminClient({"bootstrap.servers": before.bootstrap_servers})
        for future in client.create_topics([NewTopic(EVENTS, 1, 1), NewTopic(OTHERS, 1, 1)]).values():
            future.result(60)
        producer = Producer({"bootstrap.servers": before.bootstrap_servers})
        for topic in (EVENTS, OTHERS, "catalog"):
            producer.produce(topic, b"one", b"key")
        assert producer.flush(60) == 0
    guard = Guard(home / "kafka", sasl_port=free_port(), groups=("named-otherwise",))
    after = JarBroker(home / "kafka", port=free_port(), guard=guard, **parts)
    with running(after, home / "broker.log"):
        assert after.consumer_servers.endswith(str(after.port))
        yield Guarded(home, after.consumer_servers, guard)


def read(config: dict[str, Any], topic: str, group: str) -> bytes:
    """The first record of a topic, as a stock consumer reads it; raises what Kafka answers."""
    consumer = Consumer({"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, **config})
    try:
        consumer.subscribe([topic])
        while True:
            message = consumer.poll(60)
            assert message is not None
            if message.error() is not None:
                raise KafkaException(message.error())
            consumer.commit(message, asynchronous=False)
            return message.value() or b""
    finally:
        consumer.close()


def refused(raised: pytest.ExceptionInfo[KafkaException]) -> bool:
    return raised.value.args[0].code() in REFUSED


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_stock_consumer_without_credentials_reads_events_with_any_group_but_ours(
    broker: Guarded, protocol: str
) -> None:
    config = {"bootstrap.servers": broker.open, "group.protocol": protocol}
    assert read(config, EVENTS, f"any-{protocol}") == b"one"
    for group in ("headrace-router", "named-otherwise"):
        with pytest.raises(KafkaException) as raised:
            read(config, EVENTS, group)
        assert raised.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_control_topics_cannot_be_read_without_credentials(broker: Guarded) -> None:
    client = AdminClient({"bootstrap.servers": broker.open})
    assert set(client.list_topics(timeout=60).topics) == {EVENTS, OTHERS}
    for topic in Admin(broker.kafka).partition_counts_now():
        if topic not in {EVENTS, OTHERS}:
            with pytest.raises(KafkaException) as raised:
                read({"bootstrap.servers": broker.open}, topic, "any-control")
            assert refused(raised)
            consumer = Consumer({"bootstrap.servers": broker.open, "group.id": "any-control"})
            with pytest.raises(KafkaException):
                consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
            consumer.close()


def test_nothing_can_be_written_without_credentials(broker: Guarded) -> None:
    errors: list[KafkaError | None] = []
    config = {"bootstrap.servers": broker.open, "message.timeout.ms": 20_000, "topic.metadata.propagation.max.ms": 0}
    producer = Producer(config)
    topics = [topic for topic in Admin(broker.kafka).partition_counts_now() if not topic.startswith("__")]
    assert {"catalog", "deliveries.webhook", EVENTS} < set(topics)
    for topic in topics:
        producer.produce(topic, b"x", b"key", on_delivery=lambda error, _message: errors.append(error))
    producer.flush(60)
    assert len(errors) == len(topics)
    assert {error.code() for error in errors if error is not None} <= {
        *REFUSED,
        KafkaError._UNKNOWN_TOPIC,  # librdkafka's, of a topic that may not be described
    }
    # Not "in": a KafkaError cannot be compared with None.
    assert all(error is not None for error in errors)


def test_rights_cannot_be_changed_without_credentials_nor_by_planes(broker: Guarded) -> None:
    acl: AclBinding = access._binding("ANONYMOUS", access.PLANES[0])
    gone = UserScramCredentialDeletion("headrace", ScramMechanism.SCRAM_SHA_256)
    for options in ({"bootstrap.servers": broker.open}, broker.kafka.client_config()):
        client = AdminClient({key: value for key, value in options.items() if key != "logger"})
        for future in (
            *client.create_acls([acl]).values(),
            *client.alter_user_scram_credentials([gone]).values(),
        ):
            with pytest.raises(KafkaException) as raised:
                future.result(60)
            assert raised.value.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED


def test_topics_cannot_be_made_or_deleted_without_credentials(broker: Guarded) -> None:
    client = AdminClient({"bootstrap.servers": broker.open})
    for future in (
        *client.create_topics([NewTopic("events.mine", 1, 1)]).values(),
        *client.delete_topics([EVENTS]).values(),
        *client.delete_consumer_groups(["any-classic"]).values(),
    ):
        with pytest.raises(KafkaException) as raised:
            future.result(60)
        assert refused(raised)


def test_a_kafka_without_an_authorizer_is_known(broker: Guarded, kafka_bootstrap: str) -> None:
    assert not Admin(broker.kafka).is_unrestricted_now()
    assert Admin(KafkaSettings(bootstrap_servers=kafka_bootstrap)).is_unrestricted_now()


def test_planes_write_and_read_with_their_credentials(broker: Guarded) -> None:
    config = broker.kafka.client_config()
    producer = Producer(config)
    producer.produce(OTHERS, b"two")
    assert producer.flush(60) == 0
    assert read(config, EVENTS, "headrace-router") == b"one"


def consumer_user(broker: Guarded, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": broker.guard.bootstrap_servers,
        "HEADRACE_DATA_DIR": str(broker.home),
    }
    command = [sys.executable, "-m", "operations", "consumer-user", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_a_group_in_capitals_is_another_group_than_the_planes(broker: Guarded) -> None:
    assert read(broker.kafka.client_config(), EVENTS, "headrace-some") == b"one"
    # Of one group the second reader would find that the record has been read.
    assert read({"bootstrap.servers": broker.open}, EVENTS, "HEADRACE-some") == b"one"
    with pytest.raises(KafkaException) as raised:
        read({"bootstrap.servers": broker.open}, EVENTS, "headrace-some")
    assert raised.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_teams_groups_are_kept_from_clients_without_credentials(broker: Guarded) -> None:
    anonymous = {"bootstrap.servers": broker.open}
    groups = ("crew", "crew-second", "crew.third")
    assert [read(anonymous, EVENTS, group) for group in groups] == [b"one"] * 3
    assert consumer_user(broker, "crew", "--prefix", "events.acme.").returncode == 0
    # Neither do they come back with the next start of the broker.
    for start in ("first", "second"):
        for group in groups:
            with pytest.raises(KafkaException) as raised:
                read(anonymous, EVENTS, group)
            assert raised.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED, (start, group)
        assert read(anonymous, EVENTS, f"crewmate{start}") == b"one"
        access.secure(broker.guard.bootstrap_servers, broker.guard.security)
    access.secure(broker.guard.bootstrap_servers, broker.guard.security, denied_groups=["named-otherwise"])
    for name in ("crew-second", "cr"):
        other = consumer_user(broker, name, "--prefix", "events.other.")
        assert (other.returncode, "sasl.password" in other.stdout) == ((0, True) if name == "cr" else (1, False))
    assert "share consumer groups with the user crew" in consumer_user(broker, "crew-x", "--prefix", "events.").stderr
    for name in ("crew", "cr"):
        assert consumer_user(broker, name, "--delete").returncode == 0
    assert [read(anonymous, EVENTS, f"{group}-after") for group in groups] == [b"one"] * 3


def test_a_team_gets_a_user_that_reads_its_prefix(broker: Guarded) -> None:
    made = consumer_user(broker, "acme", "--prefix", "events.acme.")
    assert made.returncode == 0, made.stderr
    config = dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)
    group = config.pop("group.id")
    assert read(config, EVENTS, group) == b"one"
    assert read(config, EVENTS, "acme-second") == b"one"
    for topic, other in ((OTHERS, group), ("catalog", group), (EVENTS, "any-classic"), (EVENTS, "headrace-router")):
        with pytest.raises(KafkaException) as raised:
            read(config, topic, other)
        assert refused(raised)
    assert consumer_user(broker, "acme", "--delete").returncode == 0
    with pytest.raises(KafkaException):
        AdminClient(dict(config)).list_topics(timeout=3)


@pytest.mark.parametrize(("name", "prefix"), [("headrace", "events."), ("ANONYMOUS", "events."), ("a b", "events.")])
def test_a_user_cannot_be_made_that_would_have_more_than_events(broker: Guarded, name: str, prefix: str) -> None:
    made = consumer_user(broker, name, "--prefix", prefix)
    assert made.returncode == 1
    assert "sasl.password" not in made.stdout


def test_credentials_are_readable_by_their_owner_only(broker: Guarded) -> None:
    for name in ("broker-password", "planes-password", "server.properties"):
        assert (broker.home / "kafka" / name).stat().st_mode & 0o777 == 0o600
    for password in (broker.guard.security.broker_password, broker.guard.security.planes_password):
        assert password not in (broker.home / "broker.log").read_text()
