"""An installation with a broken endpoint, lagging groups and other secrets: each is named, with a cure that cures."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from operations.cli import app
from operations.supervisor.ports import free_port
from schemas.model.topics import event_topic
from tests.support.commands import UNSET, Commands
from tests.support.records import bounds
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway

_SECONDS = 150

Findings = dict[str, list[str]]


class Doctor:
    """``headrace doctor`` with the environment of the planes, and what it finds."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.environment = {
            **UNSET,
            "HEADRACE_URL": gateway.url,
            "HEADRACE_DATA_DIR": str(gateway.directory),
            "HEADRACE_KEY": ADMIN_KEY,
            "HEADRACE_SECRET_KEYS": SECRET_KEYS,
            "KAFKA_BOOTSTRAP_SERVERS": gateway.bootstrap,
        }

    def __call__(self, **environment: str) -> Findings:
        done = CliRunner().invoke(app, ["doctor", "--json"], env={**self.environment, **environment})
        assert done.exit_code in {0, 1, 2, 3}, done.output
        found: dict[str, list[str]] = {}
        for each in json.loads(done.stdout)["findings"]:
            found.setdefault(each["cause"], []).append(f"{each['what']} Cure: {each['cure']}")
        return found

    def until(self, holds: Callable[[Findings], Any]) -> Findings:
        deadline = time.monotonic() + _SECONDS
        while not holds(found := self()):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found


@pytest.fixture
def monitor(gateway: RunningGateway) -> Iterator[None]:
    often = {"HEADRACE_PROCESSORS_MONITOR_INTERVAL": "1"}
    with running_plane(gateway.bootstrap, gateway.directory, "monitor", **often):
        yield


def reader(gateway: RunningGateway, topic: str) -> tuple[str, Consumer]:
    """A group of a team that has a member, has committed the first offset, and commits no further."""
    group = f"team-{uuid.uuid4()}"
    options = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "group.protocol": "classic"}
    consumer = Consumer({"bootstrap.servers": gateway.bootstrap, "group.id": group, **options})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 60
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(0.1)
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    return group, consumer


def about(found: Findings, cause: str, name: str) -> list[str]:
    return [each for each in found.get(cause, []) if name in each]


def test_every_cause_is_named_and_cured(
    gateway: RunningGateway, processors: None, webhooks: None, monitor: None, mailbox: Mailbox
) -> None:
    doctor, headrace = Doctor(gateway), Commands(gateway)
    headrace.api.post(
        "/headrace/v1/event-types", json={"code": "order.paid", "open": True, "partitions": 1}
    ).raise_for_status()
    gone = f"http://127.0.0.1:{free_port()}/"
    made = headrace.json(
        "endpoints", "create", "broken", gone, "--events", "order.paid", "--set", "retry_schedule=[3600]"
    )
    off = headrace.json("endpoints", "create", "off", "https://example.com/", "--events", "order.paid")
    headrace("endpoints", "disable", off["id"])
    for number in range(6):
        headrace("events", "publish", "order.paid", "--data", json.dumps({"number": number}))
    topic = event_topic(headrace.workspace, "events", "order.paid")
    standing, member = reader(gateway, topic)
    lagging, away = reader(gateway, topic)
    away.close()

    body = {"code": "page.seen", "open": True, "partitions": 3, "partition_key": "source"}
    headrace.api.post("/headrace/v1/event-types", json=body).raise_for_status()
    hot = event_topic(headrace.workspace, "events", "page.seen")

    def is_hot(found: Findings) -> list[str]:
        visit = {"specversion": "1.0", "type": "page.seen", "source": "/one"}
        batch = [visit | {"id": str(uuid.uuid4()), "data": {}} for _ in range(1_000)]
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        headrace.api.post("/headrace/v1/events", content=json.dumps(batch), headers=headers).raise_for_status()
        return about(found, "hot-key", hot)

    (key,) = about(doctor.until(is_hot), "hot-key", hot)
    assert "has about 100 % of the events" in key
    assert "partition key" in key
    found = doctor.until(
        lambda found: about(found, "failing-endpoint", made["id"]) and about(found, "no-progress", standing)
    )
    (failing,) = about(found, "failing-endpoint", made["id"])
    assert f"headrace endpoints edit {made['id']} --address URL --workspace {headrace.workspace}" in failing
    (disabled,) = about(found, "disabled-endpoint", off["id"])
    assert f"headrace endpoints enable {off['id']}" in disabled
    (stands,) = about(found, "no-progress", standing)
    assert f"{topic}/0" in stands
    (idle,) = about(found, "idle-group", lagging)
    assert "Start a consumer" in idle
    (other,) = doctor(HEADRACE_SECRET_KEYS="a secret of another installation")["other-secrets"]
    assert "Set HEADRACE_SECRET_KEYS" in other
    assert "no plane starts with these secrets" in other
    # On the broker of all tests others have left secrets that no key opens; the catalog is ours all the same.
    assert not about(found, "other-secrets", "no plane starts with these secrets")

    headrace("endpoints", "edit", made["id"], "--address", mailbox.url)
    headrace("endpoints", "enable", off["id"])
    end = bounds(member, TopicPartition(topic, 0))[1]
    member.commit(offsets=[TopicPartition(topic, 0, end)], asynchronous=False)
    back = Consumer({"bootstrap.servers": gateway.bootstrap, "group.id": lagging})
    back.commit(offsets=[TopicPartition(topic, 0, end)], asynchronous=False)
    cured = [("failing-endpoint", made["id"]), ("disabled-endpoint", off["id"])]
    cured += [("no-progress", standing), ("idle-group", lagging)]
    doctor.until(lambda found: not any(about(found, *each) for each in cured))
    headrace("endpoints", "delete", off["id"], answer="y\n")
    for client in (member, back, headrace.api):
        client.close()
