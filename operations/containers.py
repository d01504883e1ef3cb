"""Apache Kafka in a container, where a Docker engine answers and the jars cannot be had."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from operations.broker import DEFAULT_PORT, serves
from operations.errors import CannotStart
from operations.jars import KAFKA_VERSION
from operations.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IMAGE = f"apache/kafka:{KAFKA_VERSION}"

_INSIDE_DATA = "/var/lib/kafka/data"
_INSIDE_CONTROLLER = 9093


def engine_answers(timeout: float = 5.0) -> bool:
    """Whether ``docker`` is installed and an engine stands behind it; the client alone does not count."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        command = [docker, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, timeout=timeout, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class ContainerBroker:
    """Apache Kafka's own image as a command to run; the container ends with the command, its volume stays."""

    def __init__(self, home: Path, *, port: int | None = None) -> None:
        self.home = home
        self.port = free_port(DEFAULT_PORT) if port is None else port
        self.client_environment: Mapping[str, str] = {}
        # Only the engine knows whether the volume is new, and whether it has the image or has to fetch it first.
        self.resumes = True

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def description(self) -> str:
        """For the person who started it."""
        return f"Apache Kafka {KAFKA_VERSION} in a container, data in volume {self._volume}"

    def prepare(self) -> None:
        """Nothing is needed before the command.

        Raises:
            CannotStart: no Docker engine answers.
        """
        if not engine_answers():
            raise CannotStart("No Docker engine answers (docker version).")

    def command(self) -> list[str]:
        """``docker run`` in the foreground: it hands SIGTERM on and removes the container."""
        # The port inside equals the one outside, because it is what the broker tells its clients to connect to.
        command = ["docker", "run", "--rm", "--init", "--name", self._volume]
        command += ["--publish", f"127.0.0.1:{self.port}:{self.port}", "--volume", f"{self._volume}:{_INSIDE_DATA}"]
        for name, value in self.settings().items():
            command += ["--env", f"KAFKA_{name.upper().replace('.', '_')}={value}"]
        return [*command, IMAGE]

    def settings(self) -> dict[str, str]:
        """The same configuration as the jars run with, its listeners those of a container."""
        template = Template(resources.files("operations").joinpath("server.properties").read_text(encoding="utf-8"))
        text = template.substitute(port=self.port, controller_port=_INSIDE_CONTROLLER, logs=_INSIDE_DATA)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        settings = dict(line.split("=", 1) for line in lines)
        settings["listeners"] = f"PLAINTEXT://:{self.port},CONTROLLER://:{_INSIDE_CONTROLLER}"
        return settings

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served."""
        return serves(self.bootstrap_servers, timeout)

    def close(self) -> None:
        """The container went with its command."""

    @property
    def _volume(self) -> str:
        return "headrace-kafka-" + re.sub(r"[^A-Za-z0-9]+", "-", str(self.home.resolve())).strip("-")
