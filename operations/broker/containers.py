"""Apache Kafka in a container, where a Docker engine answers and the jars cannot be had."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from operations.broker.guard import GuardedBroker, listener_lines
from operations.broker.jar_broker import serves
from operations.broker.jars import KAFKA_VERSION
from operations.broker.listeners import lines
from operations.errors import CannotStart
from operations.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from operations.broker.guard import Guard

IMAGE = f"apache/kafka:{KAFKA_VERSION}"

_INSIDE_DATA = "/var/lib/kafka/data"
_INSIDE_CONTROLLER = 29_093


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


class ContainerBroker(GuardedBroker):
    """Apache Kafka's own image as a command to run; the container ends with the command, its volume stays."""

    def __init__(self, home: Path, *, port: int | None = None, guard: Guard | None = None) -> None:
        super().__init__(home, port, guard)
        # Only the engine knows whether the volume is new, and whether it has the image or has to fetch it first.
        self.resumes = True

    @property
    def description(self) -> str:
        """For the person who started it."""
        return f"Apache Kafka {KAFKA_VERSION} in a container, data in volume {self._volume}"

    def prepare(self) -> None:
        """Write the configuration for this start, as environment variables.

        Raises:
            CannotStart: no Docker engine answers, or the directory cannot be written.
        """
        if not engine_answers():
            raise CannotStart("No Docker engine answers (docker version).")
        variables = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in self.settings().items()}
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            # In a file, for what stands in a command can be read by every user of the machine.
            write_private(self._environment_file, lines(variables))
        except OSError as error:
            raise CannotStart(f"The broker cannot keep its settings in {self.home}: {error.strerror}.") from error

    def command(self) -> list[str]:
        """``docker run`` in the foreground: it hands SIGTERM on and removes the container."""
        # The port inside equals the one outside, because it is what the broker tells its clients to connect to.
        command = ["docker", "run", "--rm", "--init", "--name", self._volume]
        for port in (self.port, *([] if self._guard is None else [self._guard.sasl_port])):
            command += ["--publish", f"127.0.0.1:{port}:{port}"]
        command += ["--volume", f"{self._volume}:{_INSIDE_DATA}", "--env-file", str(self._environment_file)]
        return [*command, IMAGE]

    def settings(self) -> dict[str, str]:
        """The same configuration as the jars run with, its listeners those of a container."""
        template = Template(
            resources.files("operations.broker").joinpath("server.properties").read_text(encoding="utf-8")
        )
        listeners = listener_lines(self._guard, port=self.port, controller_port=_INSIDE_CONTROLLER, host="")
        text = template.substitute(listeners=listeners, controller_port=_INSIDE_CONTROLLER, logs=_INSIDE_DATA)
        found = [line for line in text.splitlines() if line and not line.startswith("#")]
        return dict(line.split("=", 1) for line in found)

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served."""
        if self._guard is None:
            return serves(self.bootstrap_servers, timeout)
        security = self._guard.security
        if not serves(self.bootstrap_servers, timeout, options=security.broker_options):
            return False
        self._guard.has_secured()
        return serves(self.bootstrap_servers, timeout, options=security.planes_options)

    def close(self) -> None:
        """The container went with its command."""

    @property
    def _environment_file(self) -> Path:
        return self.home / "container-environment"

    @property
    def _volume(self) -> str:
        return "headrace-kafka-" + re.sub(r"[^A-Za-z0-9]+", "-", str(self.home.resolve())).strip("-")
