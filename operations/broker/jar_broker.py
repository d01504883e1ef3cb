"""The local broker: one Apache Kafka node (KRaft) from jars, formatted on its first start, its data kept."""

from __future__ import annotations

import subprocess
import uuid
from base64 import urlsafe_b64encode
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from operations.broker.guard import GuardedBroker, listener_lines
from operations.broker.jars import KAFKA_VERSION
from operations.errors import CannotStart
from operations.private_files import write_private
from operations.supervisor.locks import DirectoryLock
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from confluent_kafka import KafkaError

    from operations.broker.guard import Guard

JVM_OPTIONS = ("-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A node that is up in seconds; for throughput give it G1, a larger heap and the optimising compiler."""

_FORMAT_TIMEOUT = 180.0
"""Seconds: it takes one or two, and many times as long where several start on a slow machine at once."""


class JarBroker(GuardedBroker):
    """Apache Kafka from its jars on a Java runtime, as a command to run.

    ``prepare`` makes everything the command needs; whoever runs it asks ``answers`` until it does. ``close`` gives
    the directory back once the command has ended.

    Attributes:
        home: directory of its configuration and data; one broker at a time.
        port: where clients without credentials connect, on 127.0.0.1.
    """

    def __init__(
        self,
        home: Path,
        *,
        java: Path,
        jars: Path,
        port: int | None = None,
        options: Sequence[str] = JVM_OPTIONS,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(home, port, guard)
        self._java = java
        self._jars = jars
        self._options = options
        self._lock = DirectoryLock(home / "lock")

    @property
    def description(self) -> str:
        """For the person who started it."""
        return f"Apache Kafka {KAFKA_VERSION} from jars, data in {self.home}"

    @property
    def resumes(self) -> bool:
        """Whether its storage was formatted already."""
        return (self._data / "meta.properties").exists()

    def prepare(self) -> None:
        """Take the directory, write the configuration for this start, and format the storage on the first one.

        Raises:
            CannotStart: another broker uses the directory, it cannot be written, or the storage cannot be formatted.
        """
        if "," in str(self.home):
            raise CannotStart(f"Kafka takes a comma in {self.home} for the end of a path; choose another directory.")
        config = Template(
            resources.files("operations.broker").joinpath("server.properties").read_text(encoding="utf-8")
        )
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take()
            controller = free_port()
            listeners = listener_lines(self._guard, port=self.port, controller_port=controller)
            values = {"listeners": listeners, "controller_port": controller, "logs": _property(self._data)}
            write_private(self._config, config.substitute(values))
        except OSError as error:
            raise CannotStart(f"The broker cannot keep its data in {self.home}: {error.strerror}.") from error
        if not self.resumes:
            self._format()

    def command(self) -> list[str]:
        """The broker as a command that runs until SIGTERM."""
        return [*self._java_command(), "kafka.Kafka", str(self._config)]

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served by this broker: another one may have taken the port first."""
        if self._guard is None:
            return serves(self.bootstrap_servers, timeout, cluster=self._cluster)
        security = self._guard.security
        if not serves(self.bootstrap_servers, timeout, cluster=self._cluster, options=security.broker_options):
            return False
        self._guard.has_secured()
        return serves(self.bootstrap_servers, timeout, cluster=self._cluster, options=security.planes_options)

    def close(self) -> None:
        """Give the directory back."""
        self._lock.give_back()

    @property
    def _cluster(self) -> str:
        """The cluster id that the storage was formatted with."""
        properties = (self._data / "meta.properties").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in properties if "=" in line).get("cluster.id", "")

    @property
    def _config(self) -> Path:
        return self.home / "server.properties"

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def _java_command(self) -> list[str]:
        logging = resources.files("operations.broker").joinpath("log4j2.properties")
        return [
            # Java takes file names to be written as the locale says, and in that of a bare machine there is only ASCII.
            "env",
            "LC_ALL=C.UTF-8",
            str(self._java),
            *self._options,
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            f"{self._jars}/*",
        ]

    def _take(self) -> None:
        if not self._lock.take():
            raise CannotStart(f"Another local broker uses {self.home}; stop it, or choose another directory.")

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # With an equals sign, or an id that begins with a dash would be read as an option.
        arguments = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._config)]
        try:
            done = subprocess.run(
                [*self._java_command(), *arguments],
                capture_output=True,
                text=True,
                timeout=_FORMAT_TIMEOUT,
                check=False,
                # Ctrl-C is for who started us: it takes effect when this is done.
                process_group=0,
            )
        except subprocess.TimeoutExpired as error:
            raise CannotStart(
                f"The broker's storage in {self._data} is not formatted after {_FORMAT_TIMEOUT:g} s."
            ) from error
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip()
            raise CannotStart(f"The broker's storage in {self._data} cannot be formatted: {said}")


def _property(path: Path) -> str:
    """A path as a value in a Java properties file, which is read as Latin-1 and in which a backslash escapes."""
    units = str(path).replace("\\", "\\\\").encode("utf-16-be")
    characters = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(each) if chr(each).isascii() else f"\\u{each:04x}" for each in characters)


def serves(
    bootstrap_servers: str,
    timeout: float,
    *,
    cluster: str | None = None,
    options: Mapping[str, str] | None = None,
    errors: Callable[[KafkaError], object] = lambda _error: None,
) -> bool:
    """Whether a Kafka there answers a metadata request within ``timeout`` seconds; with ``cluster``, one of that id.

    ``options`` are librdkafka's, for example for SASL. ``errors`` is called with what went wrong.

    Raises:
        CannotStart: librdkafka does not know them.
    """
    # That nothing listens yet is expected, so librdkafka is not to write about it.
    quiet: dict[str, Any] = {"log_level": 0, "error_cb": errors}
    try:
        client = AdminClient({"bootstrap.servers": bootstrap_servers, **(options or {}), **quiet})
    except KafkaException as error:
        raise CannotStart(f"HEADRACE_KAFKA_OPTIONS: {error.args[0].str()}") from error
    try:
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        client.poll(0)
        return False
    return bool(metadata.brokers) and cluster in {None, metadata.cluster_id}
