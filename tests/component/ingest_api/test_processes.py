"""The plane as processes: several workers on one port, hot and control apart, how it stops."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from backbone.process.readiness import READY_FILE
from ingest_api.main import MULTIPROCESS_METRICS
from operations.supervisor.ports import free_port
from tests.support.fork_server import Forked
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS, START, TOKEN_SECRET, running_gateway

if TYPE_CHECKING:
    from pathlib import Path

STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "type": "Open"}


def test_what_one_worker_has_answered_all_workers_know(kafka_bootstrap: str, tmp_path: Path) -> None:
    ready, directory = tmp_path / "ready", tmp_path / "metrics"
    directory.mkdir()
    told = {READY_FILE: str(ready), MULTIPROCESS_METRICS: str(directory), "HEADRACE_INGEST_WORKERS": "3"}
    with running_gateway(kafka_bootstrap, tmp_path, **told) as gateway:
        wait_for(ready)
        workspace = gateway.create_workspace()
        for _ in range(10):
            _, key = gateway.create_client(workspace, "producer")
            # A connection of its own for each call, so that the calls meet different workers.
            headers = {"authorization": f"Bearer {key}"}
            registration = {"code": "Open", "open": True}
            url = f"{gateway.url}/headrace/v1"
            httpx.post(f"{url}/registrations", json=registration, headers=headers).raise_for_status()
            for _ in range(3):
                answer = httpx.post(f"{url}/events", json=EVENT, headers=headers | STRUCTURED)
                assert answer.status_code == 201, answer.text
        metrics = httpx.get(f"{gateway.url}/metrics").text
        assert 'headrace_ingest_events_total{family="events"} 30.0' in metrics
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.process.wait(120) == 0
    # The directory for the workers' metrics that the installation has set is used, and not taken away.
    assert list(directory.glob("*.db"))


def wait_for(ready: Path) -> None:
    deadline = time.monotonic() + 120
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_end_with_the_process_that_supervises_them(kafka_bootstrap: str, tmp_path: Path) -> None:
    with running_gateway(kafka_bootstrap, tmp_path, HEADRACE_INGEST_WORKERS="2") as gateway:
        gateway.process.kill()
        gateway.process.wait(120)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{gateway.url}/healthz", timeout=2)
            except httpx.TransportError:
                return
            time.sleep(0.1)
        pytest.fail("a worker still answers")


def test_one_worker_tells_when_it_is_ready_and_a_stop_on_request_is_no_failure(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    ready, metrics = tmp_path / "ready", tmp_path / "metrics"
    metrics.mkdir()
    told = {READY_FILE: str(ready), MULTIPROCESS_METRICS: str(metrics)}
    # prometheus-client looks for that directory when it is imported.
    with running_gateway(kafka_bootstrap, tmp_path, executed=True, **told) as gateway:
        wait_for(ready)
        os.kill(gateway.process.pid, signal.SIGINT)
        assert gateway.process.wait(120) == 0
    # The directory for the workers' metrics that the installation has set is used, and not taken away.
    assert list(metrics.glob("*.db"))


def test_a_start_that_fails_is_told_and_ends_the_process(kafka_bootstrap: str, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")},
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "HEADRACE_HTTP_PORT": str(free_port()),
        "HEADRACE_DATA_DIR": str(tmp_path),
        # Another one would take the place of that of all tests.
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        # No file can be opened there.
        "HEADRACE_LEDGER_URL": f"sqlite:///{tmp_path}",
    }
    log = tmp_path / "log"
    with log.open("w") as output, Forked("-c", START, env=environment, stderr=output) as process:
        assert process.wait(240) == 3
    assert "Application startup failed" in log.read_text()


def test_hot_and_control_routes_can_be_served_apart(kafka_bootstrap: str, tmp_path: Path) -> None:
    with (
        running_gateway(kafka_bootstrap, tmp_path, HEADRACE_INGEST_ONLY="control") as control,
        running_gateway(kafka_bootstrap, tmp_path, HEADRACE_INGEST_ONLY="hot") as hot,
    ):
        workspace = control.create_workspace()
        _, key = control.create_client(workspace, "producer")
        with control.client(key) as control_http, hot.client(key) as hot_http:
            control_http.post("/headrace/v1/registrations", json={"code": "Open", "open": True}).raise_for_status()
            assert hot_http.post("/headrace/v1/events", json=EVENT, headers=STRUCTURED).status_code == 201
            assert control_http.post("/headrace/v1/events", json=EVENT, headers=STRUCTURED).status_code == 404
            assert hot_http.get("/headrace/v1/event-types").status_code == 404
            assert hot_http.get("/readyz").status_code == 200
