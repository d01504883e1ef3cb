from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import generate_latest

from backbone.process.exposition import SHARED_METRICS, exposed
from operations.broker.jar_broker import JarBroker
from operations.broker.tansu import TansuBroker
from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor.health_ports import VARIABLES
from operations.supervisor.installation import PLANES, Installation, running_file
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from operations.supervisor.supervisor import Part

BROKER: Any = SimpleNamespace(
    bootstrap_servers="127.0.0.1:9093",
    consumer_servers="127.0.0.1:9092",
    client_environment={},
    command=list,
    resumes=False,
)


def installation(home: Path, port: int = 8080) -> Installation:
    return Installation(OperationsSettings(data_dir=home, http_port=port, realtime_port=8000), BROKER)


def decided(home: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads(running_file(home).read_text(encoding="utf-8"))
    return content


def test_a_start_on_a_directory_in_use_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    first, second = installation(tmp_path, 8081), installation(tmp_path, 8082)
    first.prepare()
    metrics = tmp_path / "run" / "metrics" / "counter.db"
    metrics.touch()
    with pytest.raises(CannotStart, match=f"up already on {tmp_path}"):
        second.prepare()
    assert metrics.exists()
    assert decided(tmp_path)["HEADRACE_HTTP_PORT"] == "8081"
    assert decided(tmp_path)["consumer_servers"] == "127.0.0.1:9092"

    first.close()
    second.prepare()
    assert not metrics.exists()
    assert decided(tmp_path)["HEADRACE_HTTP_PORT"] == "8082"
    second.close()


def test_when_it_ends_nothing_says_where_it_was(tmp_path: Path) -> None:
    ended = installation(tmp_path)
    ended.prepare()
    ended.close()
    assert not running_file(tmp_path).exists()


def test_what_a_brokers_clients_need_is_told_to_all_and_keeps_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA_OPTIONS", '{"client.rack":"a"}')
    settings = OperationsSettings(data_dir=tmp_path, http_port=1, realtime_port=1)
    environment = Installation(settings, TansuBroker(binary="tansu", port=1)).environment()
    assert environment["HEADRACE_KAFKA_GROUP_PROTOCOL"] == "classic"
    assert json.loads(environment["HEADRACE_KAFKA_OPTIONS"]) == {
        "client.rack": "a",
        "session.timeout.ms": "6000",
        "max.poll.interval.ms": "6000",
    }


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotStart, match=f"{home} cannot hold the data: .*HEADRACE_DATA_DIR"):
            installation(home).prepare()


def test_where_there_is_data_all_are_given_the_time_they_need_to_read_it(tmp_path: Path) -> None:
    broker = JarBroker(tmp_path / "kafka", java=tmp_path / "java", jars=tmp_path, port=9092)
    settings = OperationsSettings(data_dir=tmp_path, http_port=1, realtime_port=1)

    def patient() -> set[bool]:
        started = Installation(settings, broker)
        return {part.patient for part in (*started.broker_parts(), *started.plane_parts())}

    assert patient() == {False}
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").touch()
    assert patient() == {True}


def planes(home: Path, **settings: Any) -> dict[str, Part]:
    chosen = OperationsSettings(data_dir=home, http_port=1, **{"realtime_port": 1, **settings})
    made = Installation(chosen, BROKER)
    made.prepare()
    try:
        return {part.name: part for part in made.plane_parts()}
    finally:
        made.close()


def test_every_plane_has_metrics_of_its_own_and_the_http_plane_shows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = {name: Path(part.process.env[SHARED_METRICS]) for name, part in planes(tmp_path).items()}
    script = "from prometheus_client import Counter; Counter('did', '', ['what']).labels('{}').inc()"
    for name in ("ingest", "router", "files"):
        environment = {**os.environ, SHARED_METRICS: str(directories[name])}
        subprocess.run([sys.executable, "-c", script.format(name)], env=environment, check=True)
    shown = {}
    for name in ("ingest", "router", "webhooks"):
        monkeypatch.setenv(SHARED_METRICS, str(directories[name]))
        text = generate_latest(exposed()).decode()
        shown[name] = set(re.findall(r'did_total{what="(\w+)"} 1.0', text))
    assert shown == {"ingest": {"ingest", "router", "files"}, "router": {"router"}, "webhooks": set()}


@pytest.mark.parametrize(
    ("ports", "apart"),
    [
        # As when both were one process: the router's port shows both.
        ({"processors_web_port": 9}, {frozenset({"router", "ledger"})}),
        ({"ledger_web_port": 9}, {frozenset({"ledger"})}),
        ({"processors_web_port": 9, "ledger_web_port": 10}, {frozenset({"router"}), frozenset({"ledger"})}),
    ],
)
def test_planes_with_a_port_for_their_metrics_keep_them_to_themselves(
    tmp_path: Path, ports: dict[str, int], apart: set[frozenset[str]]
) -> None:
    directories: dict[Path, set[str]] = {}
    for name, part in planes(tmp_path, **ports).items():
        directories.setdefault(Path(part.process.env[SHARED_METRICS]), set()).add(name)
    assert all(directory.is_dir() for directory in directories)
    common = tmp_path / "run" / "metrics"
    assert {frozenset(names) for each, names in directories.items() if common not in (each, *each.parents)} == apart


def test_no_ledger_runs_where_it_is_switched_off(tmp_path: Path) -> None:
    assert planes(tmp_path, ledger=False).keys() == PLANES.keys() - {"ledger"}


def test_every_process_is_given_a_port_for_its_health_that_nobody_else_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_CONNECTOR_METRICS_PORT", "9101")
    first = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        parts = planes(tmp_path, health_port=first, realtime_port=first + 2, monitor_web_port=taken)
        ports = {}
        for name, variable in VARIABLES.items():
            parts[name].before_start()
            ports[name] = int(parts[name].process.env[variable])
            assert str(ports[name]) in parts[name].note
    assert (ports["router"], ports["monitor"]) == (first, taken)
    assert len(set(ports.values())) == len(VARIABLES)
    assert first + 2 not in ports.values()
    assert parts["realtime"].process.env["HEADRACE_CONNECTOR_METRICS_PORT"] == ""
    with socket.create_server(("127.0.0.1", ports["files"])):
        # Somebody was faster: the next start is on another port.
        parts["files"].before_start()
        assert int(parts["files"].process.env[VARIABLES["files"]]) not in ports.values()


def test_all_may_take_as_long_to_start_as_a_setting_says(tmp_path: Path) -> None:
    broker = JarBroker(tmp_path / "kafka", java=tmp_path / "java", jars=tmp_path, port=9092)
    started = Installation(OperationsSettings(data_dir=tmp_path, start_timeout=300), broker)
    assert {part.start_timeout for part in (*started.broker_parts(), *started.plane_parts())} == {300}


def test_a_plane_that_starts_again_does_not_count_what_its_predecessor_had_pending(tmp_path: Path) -> None:
    part = planes(tmp_path)["webhooks"]
    part.process.command = [sys.executable, "-c", "pass"]
    part.process.start()
    part.process.wait(60)
    left = Path(part.process.env[SHARED_METRICS]) / f"gauge_livesum_{part.process.pid}.db"
    counted = left.with_name(f"counter_{part.process.pid}.db")
    for path in (left, counted):
        path.touch()
    part.before_start()
    assert (left.exists(), counted.exists()) == (False, True)
