"""The drill of docs/operations.md: Kafka is lost, and a new installation has everything but the events."""

from __future__ import annotations

import contextlib
import json
import stat
import time
import uuid
from typing import TYPE_CHECKING

from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from operations.cli import app
from operations.receiver.signatures import Verifier
from tests.support.commands import UNSET, Commands
from tests.support.running_gateway import SECRET_KEYS, running_gateway
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway

CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
_PATIENCE_S = 120


def headrace(bootstrap: str, home: Path, *arguments: str, keys: str = SECRET_KEYS, status: int = 0) -> str:
    """What a command says that has the environment of the planes."""
    planes = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "HEADRACE_DATA_DIR": str(home), "HEADRACE_SECRET_KEYS": keys}
    done = CliRunner().invoke(app, arguments, env={**UNSET, **planes}, input="")
    assert done.exit_code == status, done.output
    return done.output


def publish(http: httpx.Client, event: dict[str, object]) -> None:
    """Publish an event. A 503 says to come again; the event's id makes of both one."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        answer = http.post("/headrace/v1/events", content=json.dumps(event), headers=CLOUDEVENT)
        if answer.status_code != 503:
            answer.raise_for_status()
            return
        assert time.monotonic() < deadline, answer.text
        time.sleep(float(answer.headers["Retry-After"]))


@contextlib.contextmanager
def topic_beside(bootstrap: str, topic: str) -> Iterator[None]:
    """Have a topic beside which Kafka does not take the other one: their metrics would have the same names."""
    admin, name = AdminClient({"bootstrap.servers": bootstrap}), topic.replace(".", "_")
    for future in admin.create_topics([NewTopic(name, 1, 1)]).values():
        future.result(60)
    yield
    for future in admin.delete_topics([name]).values():
        future.result(60)


def test_a_backup_makes_a_new_installation_of_a_lost_one(
    gateway: RunningGateway, own_broker: str, tmp_path: Path, mailbox: Mailbox
) -> None:
    code = f"Code{uuid.uuid4().hex}"
    made = Commands(gateway)
    attributes = [{"name": "total", "type": "decimal(20,2)"}]
    made.api.post("/headrace/v1/event-types", json={"code": code, "attributes": attributes}).raise_for_status()
    endpoint = made.json("endpoints", "create", "billing", mailbox.url, "--events", code)
    gone = made.json("endpoints", "create", "gone", "https://example.com/", "--events", code)
    made("endpoints", "delete", gone["id"], answer="y\n")
    before = made.api.get(f"/headrace/v1/event-types/events/{code}").raise_for_status().json()
    made.api.close()

    file = tmp_path / "catalog.backup"
    assert "Saved" in headrace(gateway.bootstrap, tmp_path, "backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET_KEYS not in file.read_text()
    assert "is there already" in headrace(gateway.bootstrap, tmp_path, "backup", str(file), status=2)
    assert "has a catalog already" in headrace(gateway.bootstrap, tmp_path, "restore", str(file), status=1)
    other = headrace(own_broker, tmp_path, "restore", str(file), keys="another installation's key", status=1)
    assert "Set HEADRACE_SECRET_KEYS" in other
    (tmp_path / "part").write_bytes(file.read_bytes()[:-5])
    assert "is no backup, or is broken" in headrace(own_broker, tmp_path, "restore", str(tmp_path / "part"), status=2)
    assert "Restore them? Nothing was done" in headrace(own_broker, tmp_path, "restore", str(file), status=1)
    assert "dry run" in headrace(own_broker, tmp_path, "restore", str(file), "--dry-run")
    with topic_beside(own_broker, before["topic"]):
        # Nothing is restored when a topic cannot be made, so that it can be done again.
        assert "create topic" in headrace(own_broker, tmp_path, "restore", str(file), "--yes", status=1)
    assert "Restored" in headrace(own_broker, tmp_path, "restore", str(file), "--yes")
    assert "has a catalog already" in headrace(own_broker, tmp_path, "restore", str(file), "--yes", status=1)

    home = tmp_path / "new"
    home.mkdir()
    allowed = {"HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8"}
    with (
        running_gateway(own_broker, home) as new,
        running_plane(own_broker, home, "router"),
        running_plane(own_broker, home, "connector", "webhook", **allowed),
        new.client(made.environment["HEADRACE_KEY"]) as http,
    ):
        assert http.get(f"/headrace/v1/event-types/events/{code}").raise_for_status().json() == before
        assert [each["id"] for each in http.get("/headrace/v1/endpoints").json()["items"]] == [endpoint["id"]]
        event = {"specversion": "1.0", "type": code, "source": "/s", "id": "1", "data": {"total": 1.50}}
        publish(http, event)
        (arrived,) = mailbox.wait()
    assert json.loads(arrived.body)["data"] == {"total": 1.5}
    assert Verifier(endpoint["signing_secret"]).check(arrived.headers, arrived.body) == "valid"
