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

from operations.broker import JarBroker
from operations.choice import running
from operations.jars import kafka_jars, user_cache
from operations.java import find_java
from operations.ports import free_port
from operations.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

ROOT = Path(__file__).parents[2]
PLANES = ("ingest", "processors", "webhooks", "realtime", "files")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = content["services"]
    return found


@pytest.fixture(scope="module")
def broker(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("compose-kafka")
    broker = JarBroker(home, java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())
    with running(broker, home / "log"):
        yield broker.bootstrap_servers


@pytest.fixture(scope="module")
def replaced(broker: str, postgresql_server: URL, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What names another container or the image, to what it is here."""
    return {
        "kafka:9092": broker,
        "postgresql+psycopg://headrace:headrace@postgres:5432/headrace": postgresql_server.render_as_string(
            hide_password=False
        ),
        "/var/lib/headrace/ready": str(tmp_path_factory.mktemp("ready") / "file"),
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
    Path(replaced["/var/lib/headrace/ready"]).unlink(missing_ok=True)
    metrics_port = str(free_port())
    replaced = replaced | {"8080": str(free_port()), "8000": str(free_port()), "9100": metrics_port}
    service = services[name]
    process = Process(
        name,
        [sys.executable, "-m", "operations", *service["command"]],
        env=environment(service, replaced),
        log=tmp_path / "log",
    )
    process.start()
    try:
        deadline = time.monotonic() + 120
        while not healthy(service, replaced):
            assert process.running(), process.last_words()
            assert time.monotonic() < deadline, process.last_words()
            time.sleep(0.2)
        if name != "ingest":
            with httpx.Client(base_url=f"http://127.0.0.1:{metrics_port}", timeout=30) as http:
                answers = {path: http.get(path) for path in ("/metrics", "/healthz", "/readyz")}
            assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
            assert "headrace_" in answers["/metrics"].text
        process.terminate()
        assert process.wait(90) == 0, process.last_words()
    finally:
        process.stop(5)


def test_every_plane_is_a_service(services: dict[str, Any]) -> None:
    assert set(services) == {"kafka", "postgres", *PLANES}
    assert all("healthcheck" in service for service in services.values())


def test_kafka_is_configured_as_the_local_broker_is(services: dict[str, Any]) -> None:
    lines = resources.files("operations").joinpath("server.properties").read_text(encoding="utf-8").splitlines()
    ours = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
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
    shared = theirs.keys() - about_containers
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_the_image_holds_every_package() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert copied == {path.parent.name for path in ROOT.glob("*/__init__.py")}
