"""An installation with every plane as a process, made to be disturbed: killed, paused, starved of disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from backbone.process.readiness import READY_FILE
from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.supervisor.ports import free_port, is_free
from operations.supervisor.processes import Process
from tests.support.kafka_cluster import NODES, KafkaCluster

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path

ADMIN_KEY = "hra_endurance-administrator-key"

PLANES: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "router-1": ("router",),
    "router-2": ("router",),
    "ledger-1": ("ledger",),
    "ledger-2": ("ledger",),
    "replayer": ("replayer",),
    "webhooks": ("connector", "webhook"),
    "realtime": ("connector", "websocket"),
    "files": ("connector", "file"),
}
"""Name of a process to the arguments of ``headrace``."""

DISKS = ("files", "ledger")
_DISK_SIZE = "2g"
"""The ledger of fifty rounds takes 350 MB. A disk that is full for good is no fault of the round."""
_READY_SECONDS = 300.0
_STOP_GRACE = 30.0


class Site:
    """One broker or three, and the planes.

    Args:
        home: directory of all data and logs.
        brokers: 1 or 3.

    Attributes:
        cluster: the brokers when there are three.
        disks: name to directory; each is a small file system where this user may mount one.
    """

    def __init__(self, home: Path, brokers: int = 1) -> None:
        self.home = home
        self.cluster = KafkaCluster(home / "kafka") if brokers == len(NODES) else None
        self.disks = {name: home / name for name in DISKS}
        self.mounted: set[str] = set()
        self.http_port, self.realtime_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.realtime_url = f"ws://127.0.0.1:{self.realtime_port}/connection/websocket"
        self._single = None if self.cluster else _jar_broker(home / "kafka")
        self._broker: Process | None = None
        self.processes: dict[str, Process] = {}

    @property
    def bootstrap(self) -> str:
        """For Kafka's clients."""
        broker = self.cluster or self._single
        assert broker is not None
        return broker.bootstrap_servers

    @property
    def ledger(self) -> Path:
        """The ledger's SQLite file."""
        return self.disks["ledger"] / "ledger.sqlite3"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start everything; end everything with the block."""
        try:
            for name, path in self.disks.items():
                path.mkdir(parents=True)
                self._mount(name, path)
            self.start_broker()
            for name in PLANES:
                self.start(name)
            self.wait_ready(*PLANES)
            yield
        finally:
            self._end()

    def start(self, plane: str) -> None:
        """Start a plane's process; returns at once."""
        if plane not in self.processes:
            command = [sys.executable, "-m", "operations", *PLANES[plane]]
            self.processes[plane] = Process(
                plane, command, env=self._environment(plane), log=self.home / "logs" / f"{plane}.log"
            )
        self._ready_file(plane).unlink(missing_ok=True)
        self.processes[plane].start()

    def kill(self, plane: str) -> None:
        """SIGKILL."""
        self.processes[plane].kill()

    def stop(self, plane: str) -> None:
        """SIGTERM, and the time to finish what is in flight."""
        self.processes[plane].stop(_STOP_GRACE)

    def signal(self, plane: str, number: signal.Signals) -> None:
        """Send a signal to a plane's process group."""
        _signal(self.processes[plane], number)

    def wait_ready(self, *planes: str) -> None:
        """Wait until processes can do their work.

        Raises:
            RuntimeError: one ended, or takes too long; says what it logged last.
        """
        deadline = time.monotonic() + _READY_SECONDS
        for plane in planes:
            while not self._is_ready(plane):
                process = self.processes[plane]
                if not process.running() or time.monotonic() > deadline:
                    raise RuntimeError(f"{plane} is not ready: {process.last_words(5)}")
                time.sleep(0.05)

    def start_broker(self) -> None:
        """Start the broker or the cluster, and wait until it answers."""
        if self.cluster:
            self.cluster.start()
            return
        assert self._single is not None
        if self._broker is None:
            self._single.prepare()
            self._broker = Process("kafka", self._single.command(), log=self.home / "logs" / "kafka.log")
        self._broker.start()
        deadline = time.monotonic() + _READY_SECONDS
        while not self._single.answers():
            if not self._broker.running() or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka does not start: {self._broker.last_words(5)}")
            time.sleep(0.05)

    def kill_broker(self) -> None:
        """SIGKILL of the only broker."""
        assert self._broker is not None
        self._broker.kill()

    def signal_broker(self, number: signal.Signals) -> None:
        """Send a signal to the only broker."""
        assert self._broker is not None
        _signal(self._broker, number)

    def fill_disk(self, name: str) -> None:
        """Leave no room on a disk."""
        used = shutil.disk_usage(self.disks[name]).used
        self._resize(name, str(used))

    def free_disk(self, name: str) -> None:
        """Give a disk its room back."""
        self._resize(name, _DISK_SIZE)

    def _environment(self, plane: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            READY_FILE: str(self._ready_file(plane)),
            "HEADRACE_DATA_DIR": str(self.home / "data"),
            "HEADRACE_ADMIN_KEY": ADMIN_KEY,
            "HEADRACE_HTTP_PORT": str(self.http_port),
            "HEADRACE_REALTIME_PORT": str(self.realtime_port),
            "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
            "HEADRACE_LEDGER_URL": f"sqlite:///{self.ledger}",
            "HEADRACE_FILES_URL": self.disks["files"].as_uri(),
            "HEADRACE_FILE_MAX_AGE": "1",
        }

    def _is_ready(self, plane: str) -> bool:
        return self._ready_file(plane).exists() and (plane != "ingest" or not is_free(self.http_port))

    def _ready_file(self, plane: str) -> Path:
        return self.home / f"{plane}.ready"

    def _mount(self, name: str, path: Path) -> None:
        options = ["-t", "tmpfs", "-o", f"size={_DISK_SIZE}", "tmpfs", str(path)]
        if os.geteuid() == 0 and subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0:
            self.mounted.add(name)

    def _resize(self, name: str, size: str) -> None:
        options = f"remount,size={size}"
        subprocess.run(["mount", "-o", options, str(self.disks[name])], capture_output=True, check=True)

    def _end(self) -> None:
        for process in self.processes.values():
            process.kill()
        if self._broker is not None:
            self._broker.kill()
        if self.cluster:
            self.cluster.close()
        if self._single is not None:
            self._single.close()
        for name in self.mounted:
            subprocess.run(["umount", "--lazy", str(self.disks[name])], capture_output=True, check=False)


def _jar_broker(home: Path) -> JarBroker:
    return JarBroker(home, java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())


def _signal(process: Process, number: signal.Signals) -> None:
    if process.pid is not None and process.running():
        os.killpg(process.pid, number)
