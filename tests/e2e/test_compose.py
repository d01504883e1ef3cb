"""Each plane's service of docker-compose.yml, its exact command and environment, as a process.

Only what names other containers, fixed ports or paths inside the image is replaced. A broker of its own serves them,
because an installation keeps its administrator's key in Kafka.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from operations.broker.jar_broker import JarBroker, serves
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.listeners import Addresses, kept_security, listener_properties
from operations.broker.selection import running
from operations.supervisor.ports import free_port
from operations.supervisor.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

ROOT = Path(__file__).parents[2]
READY = "/tmp/ready"  # noqa: S108  # of the containers, where it is a file system of their own
PLANES = ("kafka-access", "ingest", "router", "ledger", "replayer", "monitor", "webhooks", "realtime", "files")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = content["services"]
    return found


class ComposeBroker(JarBroker):
    """A node from jars with what the service of kafka is told about listeners, users and ACLs."""

    def __init__(self, home: Path, properties: dict[str, str]) -> None:
        super().__init__(home, java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())
        self._properties = properties
        self.ports = {name: free_port() for name in ("SASL", "OUTSIDE", "TEAMS")}

    def prepare(self) -> None:
        super().prepare()
        own = self._config.read_text(encoding="utf-8").splitlines()
        kept = [line for line in own if not line.startswith(("listener", "advertised"))]
        controller = next(line for line in own if line.startswith("controller.quorum.voters")).rpartition(":")[2]
        told = {name: f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()}
        mine = self._properties | {
            "listeners": ",".join((*told.values(), f"CONTROLLER://127.0.0.1:{controller}")),
            "advertised.listeners": ",".join(told.values()),
        }
        self._config.write_text("\n".join((*kept, *(f"{name}={value}" for name, value in mine.items()))))

    def answers(self, timeout: float = 1.0) -> bool:
        return serves(f"127.0.0.1:{self.ports['OUTSIDE']}", timeout, cluster=self._cluster)


def properties(variables: dict[str, str]) -> dict[str, str]:
    """Kafka's properties, as its image makes them of environment variables."""
    spelled = (("___", "-"), ("__", "\0"), ("_", "."), ("\0", "_"))
    found = {}
    for name, value in variables.items():
        if name.startswith("KAFKA_"):
            key = name.removeprefix("KAFKA_").lower()
            for sign, meant in spelled:
                key = key.replace(sign, meant)
            found[key] = value
    return found


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("credentials")


@pytest.fixture(scope="module")
def kafka_environment(services: dict[str, Any], credentials: Path) -> dict[str, str]:
    """The environment that the start of the kafka service gives to Kafka."""
    service = services["kafka"]
    mounted = dict(each.split(":")[1::-1] for each in service["volumes"])
    shell, script, _ = service["entrypoint"]
    given = {name: str(value) for name, value in service["environment"].items()}
    places = {"BROKER_CREDENTIALS": str(credentials), "PLANES_CREDENTIALS": str(credentials)}
    command = [shell, str(ROOT / mounted[script]), "env"]
    found = ""
    for _ in range(2):  # The second start finds the credentials of the first.
        said = subprocess.run(
            command, env=given | places | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
        ).stdout
        assert found in {"", said}
        found = said
    return dict(line.split("=", 1) for line in found.splitlines())


@pytest.fixture(scope="module")
def broker(
    jars: None, kafka_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComposeBroker]:
    home = tmp_path_factory.mktemp("compose-kafka")
    told = {
        name: value
        for name, value in properties(kafka_environment).items()
        if name.startswith(("listener.", "inter.", "sasl.", "authorizer.", "super.", "allow."))
    }
    broker = ComposeBroker(home, told)
    with running(broker, home / "log"):
        yield broker


@pytest.fixture(scope="module")
def replaced(
    broker: ComposeBroker, credentials: Path, postgresql_server: URL, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What names another container or the image, to what it is here."""
    return {
        "kafka:9092": f"127.0.0.1:{broker.ports['SASL']}",
        "/var/lib/headrace/kafka/planes-password": str(credentials / "planes-password"),
        "/var/lib/headrace/broker/broker-password": str(credentials / "broker-password"),
        "postgresql+psycopg://headrace:headrace@postgres:5432/headrace": postgresql_server.render_as_string(
            hide_password=False
        ),
        READY: str(tmp_path_factory.mktemp("ready") / "file"),
        "/var/lib/headrace/data": str(tmp_path_factory.mktemp("volume")),
        "0.0.0.0": "127.0.0.1",  # noqa: S104 - read, not bound to
    }


def here(text: str, replaced: dict[str, str]) -> str:
    # At once, for what one is replaced by may hold another: port 38080.
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found[0]], text)


def environment(service: dict[str, Any], replaced: dict[str, str]) -> dict[str, str]:
    """The service's environment as compose would set it, when none of its variables is set on the machine."""
    image = re.findall(r"^ENV (\w+)=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {**dict(image), **{name: str(value) for name, value in service["environment"].items()}}
    unset = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in wanted.items()}
    return {name: here(value, replaced) for name, value in unset.items()}


def healthy(service: dict[str, Any], replaced: dict[str, str]) -> bool:
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    command = [here(part, replaced) for part in command]
    if command[0] == "python":
        command[0] = sys.executable
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False  # as compose takes it


@pytest.mark.parametrize("name", PLANES)
def test_a_plane_becomes_healthy(
    name: str, services: dict[str, Any], replaced: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in list(os.environ):
        if variable.startswith(("HEADRACE_", "KAFKA_", "PROMETHEUS_")):
            monkeypatch.delenv(variable)
    Path(replaced[READY]).unlink(missing_ok=True)
    # The working directory and the home of the image, whose file system is read-only.
    (inside := tmp_path / "inside").mkdir()
    monkeypatch.chdir(inside)
    monkeypatch.setenv("HOME", str(inside))
    metrics_port = str(free_port())
    replaced = replaced | {"8080": str(free_port()), "8000": str(free_port()), "9100": metrics_port}
    service = services[name]
    process = Process(
        name,
        [sys.executable, "-m", "operations", *(here(each, replaced) for each in service["command"])],
        env=environment(service, replaced),
        log=tmp_path / "log",
    )
    process.start()
    try:
        deadline = time.monotonic() + 240
        while not healthy(service, replaced):
            assert process.running(), process.last_words()
            assert time.monotonic() < deadline, process.last_words()
            time.sleep(0.2)
        if name not in {"ingest", "kafka-access"}:
            with httpx.Client(base_url=f"http://127.0.0.1:{metrics_port}", timeout=30) as http:
                answers = {path: http.get(path) for path in ("/metrics", "/healthz", "/readyz")}
            assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
            assert "headrace_" in answers["/metrics"].text
        process.terminate()
        assert process.wait(90) == 0, process.last_words()
        assert list(inside.iterdir()) == []
    finally:
        process.stop(5)


def test_every_plane_is_a_service(services: dict[str, Any]) -> None:
    assert set(services) == {"kafka", "postgres", *PLANES}
    assert all("healthcheck" in service for service in services.values())


_ABOUT_ACCESS = ("listener.name.", "inter.", "sasl.", "authorizer.", "super.", "allow.")


def test_kafka_is_configured_as_the_local_broker_is(services: dict[str, Any]) -> None:
    lines = resources.files("operations.broker").joinpath("server.properties").read_text(encoding="utf-8").splitlines()
    ours = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    theirs = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in services["kafka"]["environment"].items()
    }
    about_containers = {
        "controller.quorum.voters",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "log.dirs",
    }
    shared = {name for name in theirs.keys() - about_containers if not name.startswith(_ABOUT_ACCESS)}
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_kafka_lets_in_whom_the_local_broker_lets_in(kafka_environment: dict[str, str], credentials: Path) -> None:
    theirs = properties(kafka_environment)
    ours = listener_properties(
        Addresses(host="", told="", port=1, sasl_port=2, controller_port=3), kept_security(credentials, sasl_port=2)
    )
    shared = {name for name in ours if name.startswith(_ABOUT_ACCESS)}
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_without_a_credential_events_can_be_read_and_nothing_else(broker: ComposeBroker) -> None:
    """After the service ``kafka-access`` has run, which comes first of the planes."""
    outside = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['OUTSIDE']}"})
    assert not [topic for topic in outside.list_topics(timeout=30).topics if not topic.startswith("events.")]
    (made,) = outside.create_topics([NewTopic("events.mine", 1, 1)]).values()
    with pytest.raises(KafkaException, match="AUTHORIZATION"):
        made.result(30)


def test_services_run_with_no_more_than_they_need(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name in PLANES:
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"]), name
    assert services["kafka"]["cap_drop"] == ["ALL"]
    assert [name for name in PLANES if "HEADRACE_ADMIN_KEY" in services[name]["environment"]] == ["ingest"]


def test_the_image_holds_every_package() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert copied == {"examples", *(path.parent.name for path in ROOT.glob("*/__init__.py"))}
