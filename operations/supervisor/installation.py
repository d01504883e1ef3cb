"""An installation on one machine: which processes it is made of, and with which environment each runs."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead

from backbone.process.exposition import SHARED_METRICS
from backbone.process.private_directory import close_directory
from backbone.process.readiness import READY_FILE
from operations.broker.selection import BOOTSTRAP_VARIABLE, STOP_GRACE
from operations.errors import CannotStart
from operations.private_files import write_private
from operations.supervisor.health_ports import VARIABLES, HealthPorts
from operations.supervisor.locks import DirectoryLock
from operations.supervisor.processes import Process
from operations.supervisor.supervisor import Part

if TYPE_CHECKING:
    from pathlib import Path

    from operations.broker.selection import Broker
    from operations.settings import OperationsSettings

PLANES = {
    "ingest": ("ingest",),
    "router": ("router",),
    "ledger": ("ledger",),
    "replayer": ("replayer",),
    "monitor": ("monitor",),
    "webhooks": ("connector", "webhook"),
    "realtime": ("connector", "websocket"),
    "files": ("connector", "file"),
}
"""Name to arguments of ``headrace``."""

HEADRACE = (sys.executable, "-P", "-m", "operations")
"""Not from the working directory (``-P``), where somebody may have packages of these names."""

LOOPBACK = "127.0.0.0/8"

DECIDED = (
    BOOTSTRAP_VARIABLE,
    "HEADRACE_HTTP_HOST",
    "HEADRACE_HTTP_PORT",
    "HEADRACE_REALTIME_HOST",
    "HEADRACE_REALTIME_PORT",
)
"""What a start decides and a later command on the same data directory wants to know."""


CONSUMER_SERVERS = "consumer_servers"
"""Where consumers of teams connect; no variable, for the planes connect elsewhere."""

_ADMIN_KEY = "HEADRACE_ADMIN_KEY"


def running_file(data_dir: Path) -> Path:
    """Where an installation writes what it decided, as a JSON object: variables in capitals, and what else is told."""
    return data_dir / "run" / "environment.json"


def broker_file(data_dir: Path) -> Path:
    """Where ``headrace broker`` writes how planes connect to it, as a JSON object of environment names."""
    return data_dir / "kafka" / "environment.json"


def broker_environment(broker: Broker) -> dict[str, str]:
    """How planes connect to a broker."""
    return {BOOTSTRAP_VARIABLE: broker.bootstrap_servers, **broker.client_environment}


class Installation:
    """The broker and the planes as parts for a supervisor.

    Between ``prepare`` and ``close`` its data directory is its own.

    Attributes:
        local_webhooks: let webhooks go to this machine too, as the tour's receiver needs.
    """

    def __init__(self, settings: OperationsSettings, broker: Broker, *, local_webhooks: bool = False) -> None:
        self._settings = settings
        self._broker = broker
        self._local_webhooks = local_webhooks
        self._home = settings.data_dir.resolve()
        self._lock = DirectoryLock(self._home / "lock")
        self._health_ports = HealthPorts(settings, _ports_of(settings, broker))

    def prepare(self) -> None:
        """Take the data directory, and clear what the processes of the last start left for each other.

        Raises:
            CannotStart: another installation runs on the directory, or it cannot be written.
        """
        make_home(self._home)
        try:
            if not self._lock.take():
                raise CannotStart(f"Headrace is up already on {self._home}; stop it, or set HEADRACE_DATA_DIR.")
            shutil.rmtree(self._run, ignore_errors=True)
            for name in ("", *PLANES):
                self._metrics_of(name).mkdir(parents=True, exist_ok=True)
            decided = {name: self.environment()[name] for name in (*DECIDED, *self._broker.client_environment)}
            told = {**decided, CONSUMER_SERVERS: self._broker.consumer_servers}
            write_private(running_file(self._home), json.dumps(told))
        except OSError as error:
            raise _unusable(self._home, error) from error

    def close(self) -> None:
        """Give the data directory back; after all parts have ended."""
        running_file(self._home).unlink(missing_ok=True)
        self._lock.give_back()

    def broker_parts(self) -> list[Part]:
        """The local broker; none where Kafka is given."""
        return broker_parts(self._broker, self._home, self._settings.start_timeout)

    def plane_parts(self) -> list[Part]:
        """Every plane, each with a file that tells when it can do its work; no ledger where it is switched off."""
        wanted = {name: arguments for name, arguments in PLANES.items() if name != "ledger" or self._settings.ledger}
        return [self._plane(name, arguments) for name, arguments in wanted.items()]

    def environment(self) -> dict[str, str]:
        """What all of them are told besides our own environment."""
        allow = [part for part in self._settings.webhook_allow.split(",") if part]
        if self._local_webhooks and LOOPBACK not in allow:
            allow.append(LOOPBACK)
        return {
            **broker_environment(self._broker),
            "HEADRACE_DATA_DIR": str(self._home),
            "HEADRACE_HTTP_HOST": self._settings.http_host,
            "HEADRACE_HTTP_PORT": str(self._settings.http_port),
            "HEADRACE_REALTIME_HOST": self._settings.realtime_host,
            "HEADRACE_REALTIME_PORT": str(self._settings.realtime_port),
            "HEADRACE_WEBHOOK_ALLOW": ",".join(allow),
            SHARED_METRICS: str(self._metrics),
            # One port for three connectors: each is told its own.
            "HEADRACE_CONNECTOR_METRICS_PORT": "",
        }

    @property
    def _run(self) -> Path:
        return self._home / "run"

    @property
    def _metrics(self) -> Path:
        return self._run / "metrics"

    def _metrics_of(self, plane: str) -> Path:
        """Return where a plane has its metrics: below the HTTP plane's, which shows all that is there.

        Those of the router and the ledger are only on their own ports where a setting gave them one; the router's shows
        the ledger's metrics too, as it did when both were one process, unless the ledger was given one.
        """
        if plane == "ledger" and self._settings.ledger_web_port is not None:
            return self._run / "metrics-ledger"
        if plane in {"router", "ledger"} and self._settings.processors_web_port is not None:
            return self._run / "metrics-processors"
        return self._metrics / plane if plane in VARIABLES else self._metrics

    def _plane(self, name: str, arguments: tuple[str, ...]) -> Part:
        ready_file = self._run / f"{name}.ready"
        metrics = self._metrics_of(name)
        environment = {**self.environment(), READY_FILE: str(ready_file), SHARED_METRICS: str(metrics)}
        process = Process(
            name,
            [*HEADRACE, *arguments],
            env=environment,
            log=_log(self._home, name),
            without=lambda variable: name != "ingest" and variable == _ADMIN_KEY,
        )
        note = {"ingest": self._settings.base_url, "realtime": self._settings.realtime_url}.get(name, "")

        def prepare() -> None:
            ready_file.unlink(missing_ok=True)
            # What an ended process had pending would be added to what its successor has.
            if process.pid is not None:
                mark_process_dead(process.pid, str(metrics))  # type: ignore[no-untyped-call]  # the library's
            if name in VARIABLES:
                port = self._health_ports.of(name)
                process.env[VARIABLES[name]] = str(port)
                part.note = f"health and metrics at port {port}"

        part = Part(
            process=process,
            ready=ready_file.exists,
            note=note,
            before_start=prepare,
            start_timeout=self._settings.start_timeout,
            patient=self._broker.resumes,
        )
        return part


def make_home(home: Path) -> None:
    """Make the data directory, for its owner only.

    Raises:
        CannotStart: that is impossible there.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_directory(home)
        _log(home, "").parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(home, error) from error


def broker_parts(broker: Broker, home: Path, start_timeout: float) -> list[Part]:
    """A local broker as part of whatever runs it; none where Kafka is given. It may take these seconds to start."""
    command = broker.command()
    if not command:
        return []
    return [
        Part(
            # The broker of others has no use for any secret of ours.
            process=Process("kafka", command, log=_log(home, "kafka"), without=_is_ours),
            # Asked often, and a broker that is not there yet is not waited for.
            ready=functools.partial(broker.answers, 0.5),
            note=f"{broker.description}, at {broker.consumer_servers}",
            start_timeout=start_timeout,
            patient=broker.resumes,
            stop_grace=STOP_GRACE,
        )
    ]


def _ports_of(settings: OperationsSettings, broker: Broker) -> set[int]:
    """The ports of the HTTP plane, the realtime node and the broker."""
    servers = f"{broker.bootstrap_servers},{broker.consumer_servers}".split(",")
    ports = {int(number) for each in servers if (number := each.rpartition(":")[2]).isdecimal()}
    return ports | {port for port in (settings.http_port, settings.realtime_port) if port is not None}


def _is_ours(variable: str) -> bool:
    # Which data directory a process belongs to is no secret, and helps who looks for it.
    return variable.startswith("HEADRACE_") and variable != "HEADRACE_DATA_DIR"


def _log(home: Path, name: str) -> Path:
    """Where a process writes."""
    return home / "logs" / f"{name}.log"


def _unusable(home: Path, error: OSError) -> CannotStart:
    return CannotStart(
        f"{home} cannot hold the data: {error.strerror}; set HEADRACE_DATA_DIR to a directory of your own."
    )
