from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backbone.process.exposition import SHARED_METRICS
from operations.broker.jar_broker import JarBroker
from operations.broker.tansu import TansuBroker
from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor.installation import PLANES, Installation, running_file
from processes.settings import ConnectorSettings

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
    chosen = OperationsSettings(data_dir=home, http_port=1, realtime_port=1, **settings)
    made = Installation(chosen, BROKER)
    made.prepare()
    try:
        return {part.name: part for part in made.plane_parts()}
    finally:
        made.close()


def test_all_planes_add_up_their_metrics_for_the_http_plane(tmp_path: Path) -> None:
    directories = {part.process.env[SHARED_METRICS] for part in planes(tmp_path).values()}
    assert directories == {str(tmp_path / "run" / "metrics")}


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
    directories: dict[str, set[str]] = {}
    for name, part in planes(tmp_path, **ports).items():
        directories.setdefault(part.process.env[SHARED_METRICS], set()).add(name)
    assert all(Path(directory).is_dir() for directory in directories)
    common = frozenset(directories.pop(str(tmp_path / "run" / "metrics")))
    assert {frozenset(names) for names in directories.values()} == apart
    assert common == PLANES.keys() - frozenset().union(*apart)


def test_no_ledger_runs_where_it_is_switched_off(tmp_path: Path) -> None:
    assert planes(tmp_path, ledger=False).keys() == PLANES.keys() - {"ledger"}


def test_three_connectors_are_not_given_one_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CONNECTOR_METRICS_PORT", "9101")
    for part in planes(tmp_path).values():
        for name, value in part.process.env.items():
            monkeypatch.setenv(name, value)
        assert ConnectorSettings().metrics_port is None


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
