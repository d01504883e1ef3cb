"""``headrace listen`` on a running gateway: copies come, the endpoint is untouched, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from operations.listen.temporary import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_installation import Installation


class World:
    """A workspace with an event type and an endpoint that wants large orders."""

    def __init__(self, installation: Installation, url: str) -> None:
        gateway = installation.gateway
        self.realtime = f"{installation.realtime_url}/connection/websocket"
        self.url = gateway.url
        _, self.key = gateway.create_client(gateway.create_workspace(), "operator")
        self.http = gateway.client(self.key)
        self.post("/event-types", code="order", open=True)
        self.endpoint = self.post("/endpoints", name="billing", url=url, headers={"X-Team": "sales"})
        condition = {"data": {"total": [{"numeric": [">=", 100]}]}}
        wanted = self.post("/filters", name="large", types=[{"code": "order"}], condition=condition)
        self.post("/subscriptions", filter=wanted["id"], endpoint=self.endpoint["id"])

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/headrace/v1{path}", json=body).raise_for_status().json()

    def publish(self, event_id: str, data: str) -> None:
        headers = {"ce-specversion": "1.0", "ce-type": "order", "ce-id": event_id, "content-type": "application/json"}
        self.http.post("/headrace/v1/events", content=data, headers=headers).raise_for_status()

    def names(self, path: str) -> list[str]:
        return [each["name"] for each in self.http.get(f"/headrace/v1{path}").json()["items"]]

    @contextlib.contextmanager
    def listen(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
        """The command, once it listens, and the lines that it printed so far."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")},
            "HEADRACE_URL": self.url,
            "HEADRACE_KEY": self.key,
        }
        command = [sys.executable, "-m", "operations", "listen", "--realtime", self.realtime, "--json", *arguments]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines: list[str] = []
            first = process.stderr.readline()
            assert "Ctrl-C ends it" in first, first + process.stderr.read()
            readers = [
                threading.Thread(target=lambda stream=stream: lines.extend(iter(stream.readline, "")))
                for stream in (process.stdout, process.stderr)
            ]
            for reader in readers:
                reader.start()
            try:
                yield process, lines
            finally:
                process.kill()
                for reader in readers:
                    reader.join()


@pytest.fixture(scope="module")
def world(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(installation, "https://example.invalid/hooks")
    yield made
    made.http.close()


def test_copies_of_what_the_filters_let_through(world: World, mailbox: Mailbox) -> None:
    with world.listen("--forward", mailbox.url, "--endpoint", world.endpoint["id"]) as (process, lines):
        world.publish("small", '{"total": 99.99}')
        world.publish("large", '{"total": 123456789012345678.90}')
        world.publish("last", '{"total": 100}')
        first, second = mailbox.wait(2)
        assert b'"total":123456789012345678.90' in first.body
        assert first.headers["webhook-signature"].startswith("v1,")
        assert first.headers["x-team"] == "sales"
        assert json.loads(second.body)["id"] == "last"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    shown = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(each["id"], each["status"]) for each in shown] == [("large", 204), ("last", 204)]
    assert world.names("/endpoints") == ["billing"]
    assert world.names("/filters") == ["large"]
    untouched = world.http.get(f"/headrace/v1/endpoints/{world.endpoint['id']}").json()
    assert untouched["updated_at"] == world.endpoint["updated_at"]


def test_what_was_left_of_a_command_that_was_killed_is_removed_at_the_next_start(
    world: World, mailbox: Mailbox
) -> None:
    with world.listen("--forward", mailbox.url, "--events", "order") as (process, _):
        assert len(world.names("/endpoints")) == 2
        process.kill()
        process.wait(30)
    left = [each for each in world.http.get("/headrace/v1/endpoints").json()["items"] if each["name"].startswith(NAME)]
    assert len(left) == 1
    # Another command may be using it: it is left alone until its time has come.
    with world.listen("--forward", mailbox.url, "--events", "order", "--count", "1") as (process, _):
        assert left[0]["name"] in world.names("/endpoints")
        world.publish("counted", "{}")
        assert process.wait(60) == 0
    expired = {"name": f"{NAME}2026-01-01T00:00:00Z"}
    for path in ("endpoints", "filters"):
        for each in world.http.get(f"/headrace/v1/{path}").json()["items"]:
            if each["name"].startswith(NAME):
                world.http.patch(f"/headrace/v1/{path}/{each['id']}", json=expired).raise_for_status()
    with world.listen("--forward", mailbox.url, "--endpoint", world.endpoint["id"]) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    assert world.names("/endpoints") == ["billing"]
    assert world.names("/filters") == ["large"]


def test_a_server_that_does_not_answer_is_told(world: World) -> None:
    with world.listen("--forward", "http://127.0.0.1:1/", "--events", "order", "--count", "1") as (process, lines):
        world.publish("nobody", "{}")
        assert process.wait(60) == 0
    (shown,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert (shown["status"], "Cannot connect" in shown["error"]) == (None, True)
    deadline = time.monotonic() + 30
    while world.names("/endpoints") != ["billing"]:
        assert time.monotonic() < deadline
