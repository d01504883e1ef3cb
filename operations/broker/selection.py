"""Which Kafka a start uses: the one it was given, else Apache Kafka from jars, else a container, else a stand-in."""

from __future__ import annotations

import contextlib
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from backbone.kafka.connection_errors import ConnectionErrors
from backbone.kafka.settings import KafkaSettings
from operations.broker.containers import ContainerBroker, engine_answers
from operations.broker.jar_broker import JarBroker, serves
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.tansu import TansuBroker, tansu_binary
from operations.errors import CannotStart
from operations.supervisor.ports import is_free
from operations.supervisor.processes import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from operations.broker.guard import Guard

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"

READY_TIMEOUT = 90.0
"""Seconds a broker may take from its start to its first answer, on a slow machine."""

STOP_GRACE = 20.0


class BrokerKind(StrEnum):
    """What may be asked for; ``auto`` takes the first of the others that can be had."""

    AUTO = "auto"
    ENV = "env"
    JARS = "jars"
    CONTAINERS = "containers"
    TANSU = "tansu"


class Broker(Protocol):
    """A Kafka for this machine. ``command`` is empty where there is nothing to run."""

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""

    @property
    def consumer_servers(self) -> str:
        """What consumers of teams connect to."""

    @property
    def description(self) -> str:
        """What it is and where its data is, for the person who started it."""

    @property
    def client_environment(self) -> Mapping[str, str]:
        """What its clients need to be told besides where it is, as settings."""

    @property
    def resumes(self) -> bool:
        """Whether it may hold data of earlier starts: Kafka and the planes read of it first, however much that is."""

    def prepare(self) -> None:
        """Make what the command needs; CannotStart when that is impossible."""

    def command(self) -> Sequence[str]:
        """What to run until SIGTERM."""

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served."""

    def close(self) -> None:
        """Give back what ``prepare`` took; after the command has ended."""


class GivenBroker:
    """A Kafka that someone else runs."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.consumer_servers = bootstrap_servers
        self.description = f"the Kafka of {BOOTSTRAP_VARIABLE}"
        self.client_environment: Mapping[str, str] = {}
        self._options = KafkaSettings().options
        self._errors = ConnectionErrors()
        self.resumes = True

    def prepare(self) -> None:
        """It is there already."""

    def command(self) -> Sequence[str]:
        """Nothing is to be run."""
        return ()

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether a client that connects now is served."""
        return serves(self.bootstrap_servers, timeout, options=self._options, errors=self._errors)

    def trouble(self) -> str:
        """Why it did not answer, and what to check; empty if nothing is known."""
        return self._errors.explain()

    def close(self) -> None:
        """It is someone else's."""


class Choice:
    """The order of choice. Each way of getting a broker is tried only when it is reached.

    Attributes:
        home: where a local broker keeps its data.
        environment: read for ``KAFKA_BOOTSTRAP_SERVERS``.
        report: told in a line what is being fetched.
        port: of a local broker; None means 9092 if it is free, else another.
        stand_in: whether ``auto`` may end at Tansu, which is not Kafka.
        guarded: makes the guard of a local broker, given its directory; None leaves it open to all, for tests.
    """

    def __init__(
        self,
        home: Path,
        *,
        environment: Mapping[str, str],
        report: Callable[[str], None],
        port: int | None = None,
        stand_in: bool = False,
        guarded: Callable[[Path], Guard] | None = None,
    ) -> None:
        self._home = home
        self._environment = environment
        self._report = report
        self._port = port
        self._stand_in = stand_in
        self._guarded = guarded

    def broker(self, kind: BrokerKind = BrokerKind.AUTO) -> Broker:
        """The broker of that kind.

        Raises:
            CannotStart: it cannot be had; for ``auto``, none can: the message has the reason of each.
        """
        ways: dict[BrokerKind, Callable[[], Broker]] = {
            BrokerKind.ENV: self._given,
            BrokerKind.JARS: self._jars,
            BrokerKind.CONTAINERS: self._container,
            BrokerKind.TANSU: self._tansu,
        }
        if kind is not BrokerKind.AUTO:
            return ways[kind]()
        if not self._stand_in:
            del ways[BrokerKind.TANSU]
        reasons = []
        for name, way in ways.items():
            try:
                return way()
            except CannotStart as error:
                reasons.append(f"  {name}: {error}")
        raise CannotStart("No Kafka can be had on this machine:\n" + "\n".join(reasons))

    def _given(self) -> Broker:
        bootstrap_servers = self._environment.get(BOOTSTRAP_VARIABLE)
        if not bootstrap_servers:
            raise CannotStart(f"{BOOTSTRAP_VARIABLE} is not set.")
        return GivenBroker(bootstrap_servers)

    def _jars(self) -> Broker:
        java = find_java()
        jars = kafka_jars(user_cache(), self._report)
        home = self._home / "kafka"
        return JarBroker(home, java=java, jars=jars, port=self._free_port(), guard=self._guard(home))

    def _container(self) -> Broker:
        if not engine_answers():
            raise CannotStart("no Docker engine answers.")
        home = self._home / "kafka"
        return ContainerBroker(home, port=self._free_port(), guard=self._guard(home))

    def _guard(self, home: Path) -> Guard | None:
        return None if self._guarded is None else self._guarded(home)

    def _tansu(self) -> Broker:
        return TansuBroker(binary=tansu_binary(), port=self._free_port())

    def _free_port(self) -> int | None:
        if self._port is not None and not is_free(self._port):
            raise CannotStart(f"port {self._port} (HEADRACE_KAFKA_PORT) is taken.")
        return self._port


@contextlib.contextmanager
def running(broker: Broker, log: Path) -> Iterator[Process | None]:
    """Run a broker for the length of a with block; yields its process, None where there was nothing to run.

    Raises:
        CannotStart: it ended, or did not answer in time; the message ends with what it wrote last.
    """
    process = None
    try:
        broker.prepare()
        if broker.command():
            process = Process("broker", broker.command(), log=log)
            process.start()
        _wait(broker, process)
        yield process
    finally:
        if process is not None:
            process.stop(STOP_GRACE)
        broker.close()


def _wait(broker: Broker, process: Process | None) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not broker.answers():
        if process is not None and not process.running():
            raise CannotStart(f"The broker ended while starting:\n{process.last_words()}")
        if time.monotonic() > deadline:
            said = f":\n{process.last_words()}" if process is not None else "."
            raise CannotStart(f"No Kafka answers at {broker.bootstrap_servers} after {READY_TIMEOUT:.0f} s{said}")
        time.sleep(0.05)
