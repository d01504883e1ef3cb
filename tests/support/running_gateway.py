"""The ingest plane as a process of its own, as it runs in production, for tests that speak HTTP to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from operations.supervisor.ports import free_port
from schemas.model.topics import event_topic
from tests.support.fork_server import Forked
from tests.support.records import bounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN_KEY = "hra_test-administrator-key"
TOKEN_SECRET = "a token secret of more than thirty-two bytes"
SECRET_KEYS = "a secret key for tests that is long enough"
ORIGIN = "https://console.example"

ALLOWED = "127.0.0.0/8"
"""Where the tests have their receivers, besides public addresses."""

START = "from processes.ingest import run; from ingest_api.settings import IngestSettings; run(IngestSettings())"
_START_SECONDS = 120
_STOP_SECONDS = 90


@dataclass(frozen=True, kw_only=True)
class RunningGateway:
    """Where it is, and the Kafka behind it."""

    url: str
    bootstrap: str
    directory: Path
    process: Forked | subprocess.Popen[bytes]

    def client(self, key: str | None = ADMIN_KEY, **options: Any) -> httpx.Client:
        """An HTTP client; ``key`` goes along as bearer."""
        options["headers"] = options.get("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        # It is plain HTTP. Loading the certificates that it does not need takes 28 ms for every client.
        return httpx.Client(base_url=self.url, timeout=60, verify=False, **options)  # noqa: S501

    def create_workspace(self) -> str:
        """A workspace of the test's own; its name."""
        name = f"ws-{uuid4()}"
        with self.client() as admin:
            admin.post("/headrace/v1/workspaces", json={"name": name}).raise_for_status()
        return name

    def create_client(self, workspace: str, *roles: str, realm: str = "headrace", **properties: str) -> tuple[str, str]:
        """A client of a workspace: its id and an API key."""
        with self.client(params={"workspace": workspace}) as admin:
            body = {"name": f"test-{uuid4()}", "realm": realm, "roles": roles, **properties}
            created = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()
            key = admin.post(f"/headrace/v1/clients/{created['id']}/keys").raise_for_status().json()
        return created["id"], key["key"]

    def records(self, workspace: str, namespace: str, code: str) -> int:
        """How many records an event type's topic has ever had; 0 when there is no such topic."""
        topic = event_topic(workspace, namespace, code)
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"count-{uuid4()}"})
        try:
            metadata = consumer.list_topics(topic, timeout=30).topics[topic]
            if metadata.error is not None:
                assert metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART, metadata.error
                return 0
            return sum(bounds(consumer, TopicPartition(topic, partition))[1] for partition in metadata.partitions)
        finally:
            consumer.close()


@contextlib.contextmanager
def running_gateway(
    bootstrap: str,
    directory: Path,
    *,
    start_seconds: float = _START_SECONDS,
    executed: bool = False,
    **environment: str,
) -> Iterator[RunningGateway]:
    """Start one, wait until it is ready, and stop it again.

    Args:
        bootstrap: its Kafka.
        directory: of its data.
        start_seconds: it is given to become ready.
        executed: whether it imports all by itself: for settings that are read when modules are imported.
        environment: its settings.
    """
    port = free_port()
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")},
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HEADRACE_HTTP_PORT": str(port),
        "HEADRACE_DATA_DIR": str(directory),
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        "HEADRACE_CORS_ORIGINS": ORIGIN,
        "HEADRACE_WEBHOOK_ALLOW": ALLOWED,
        **environment,
    }
    log = directory / f"ingest-{port}.log"
    with log.open("wb") as output, _started(executed=executed, env=variables, stderr=output) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/readyz", process, log, start_seconds)
            yield RunningGateway(
                url=f"http://127.0.0.1:{port}", bootstrap=bootstrap, directory=directory, process=process
            )
        finally:
            stop(process)


def _started(*, executed: bool, **options: Any) -> Forked | subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", START], **options) if executed else Forked("-c", START, **options)


def stop(process: Forked | subprocess.Popen[bytes]) -> None:
    """Ask a plane to end, and wait until it has; one that does not is ended all the same, and raises."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _wait(url: str, process: Forked | subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    # One client: each makes an SSL context, which takes longer than the request.
    with httpx.Client(timeout=5) as http:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if http.get(url).is_success:
                    return
            time.sleep(0.05)
    pytest.fail(f"the gateway did not start:\n{log.read_text()[-4_000:]}")
