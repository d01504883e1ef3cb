from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from operations.broker.jar_broker import JarBroker, serves
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from tests.support.records import bounds


def jar_broker(home: Path) -> JarBroker:
    return JarBroker(home, java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())


def end_offset(bootstrap_servers: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "look"})
    try:
        return bounds(consumer, TopicPartition(topic, 0))[1]
    finally:
        consumer.close()


def test_the_fixture_is_a_kafka_that_answers(kafka_bootstrap: str) -> None:
    assert AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).brokers


@pytest.mark.usefixtures("jars")
def test_data_survives_a_restart_on_another_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A name with what means something in Java's properties, and with letters that they are not read with, nor are file
    # names where the environment asks for plain ASCII.
    monkeypatch.setenv("LC_ALL", "C")
    home = tmp_path / "données d'été \\ =: kafka"
    first = jar_broker(home)
    with running(first, tmp_path / "broker.log"):
        admin = AdminClient({"bootstrap.servers": first.bootstrap_servers})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(60)
        producer = Producer({"bootstrap.servers": first.bootstrap_servers, "acks": "all"})
        producer.produce("kept", b"one")
        assert producer.flush(60) == 0

    assert (home / "data" / "meta.properties").exists()
    second = jar_broker(home)
    assert second.port != first.port
    with running(second, tmp_path / "broker.log"):
        assert end_offset(second.bootstrap_servers, "kept") == 1


@pytest.mark.usefixtures("jars")
def test_another_kafka_on_its_port_is_not_taken_for_it(kafka_bootstrap: str, tmp_path: Path) -> None:
    port = int(kafka_bootstrap.rpartition(":")[2])
    late = JarBroker(tmp_path, java=find_java(), jars=kafka_jars(user_cache(), print), port=port)
    late.prepare()
    try:
        assert serves(late.bootstrap_servers, 10)
        assert not late.answers(10)
    finally:
        late.close()


@pytest.mark.usefixtures("jars")
def test_one_directory_serves_one_broker_at_a_time(tmp_path: Path) -> None:
    first, second = jar_broker(tmp_path), jar_broker(tmp_path)
    first.prepare()
    with pytest.raises(CannotStart, match="Another local broker uses"):
        second.prepare()
    first.close()
    second.prepare()
    second.close()


@pytest.mark.usefixtures("jars")
def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = jar_broker(tmp_path / "kafka")
    broker.prepare()
    broker.close()
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=99\n")
    with (
        pytest.raises(CannotStart, match=r"ended while starting:\n(?s:.*)No readable meta.properties"),
        running(broker, tmp_path / "broker.log"),
    ):
        pass


_HOLD = """
import pathlib, sys, time
from operations.broker.selection import running
from tests.component.operations.test_broker import jar_broker
home = pathlib.Path(sys.argv[1])
with running(jar_broker(home / "kafka"), home / "broker.log") as process:
    print(process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.usefixtures("jars")
def test_a_broker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.05)
    assert (tmp_path / "kafka" / "data" / ".kafka_cleanshutdown").exists()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_given_kafka_is_used_and_left_alone(kafka_bootstrap: str, tmp_path: Path) -> None:
    choice = Choice(tmp_path, environment={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}, report=print)
    with running(choice.broker(), tmp_path / "broker.log") as process:
        assert process is None
    assert AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).brokers
