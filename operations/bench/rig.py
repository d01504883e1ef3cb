"""A throw-away installation to measure: a broker, planes started one by one, and an operator's HTTP client."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from backbone.process.readiness import READY_FILE
from operations.broker.selection import BOOTSTRAP_VARIABLE, BrokerKind, Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port, is_free
from operations.supervisor.processes import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READY_TIMEOUT = 60.0
_STOP_GRACE = 10.0
_JOB_TIMEOUT = 300.0


class Rig:
    """Where the stages run.

    Attributes:
        home: a directory of its own, with the logs.
        bootstrap: of the broker.
        base_url: where the HTTP plane answers while ``plane("ingest")`` runs.
        deliveries: that ``ledger.lists`` generates.
    """

    def __init__(self, home: Path, bootstrap: str) -> None:
        self.home = home
        self.bootstrap = bootstrap
        self._port = free_port()
        self.deliveries = 0
        self.base_url = f"http://127.0.0.1:{self._port}"

    @contextlib.contextmanager
    def plane(self, *arguments: str, **environment: str) -> Iterator[int]:
        """Run ``headrace <arguments>`` for the length of a with block, once it is ready; yields its process id."""
        ready = self.home / f"{uuid.uuid4()}.ready"
        env = {
            BOOTSTRAP_VARIABLE: self.bootstrap,
            "HEADRACE_DATA_DIR": str(self.home / "data"),
            "HEADRACE_HTTP_PORT": str(self._port),
            "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
            READY_FILE: str(ready),
            **environment,
        }
        name = "-".join(arguments)
        process = Process(
            name, [sys.executable, "-m", "operations", *arguments], env=env, log=self.home / f"{name}.log"
        )
        process.start()
        try:
            self._wait(process, ready.exists)
            if arguments[0] == "ingest":
                # It is ready a moment before it listens.
                self._wait(process, lambda: not is_free(self._port))
            yield process.pid or 0
        finally:
            process.stop(_STOP_GRACE)

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> Any:
        """Call our own API as the administrator, or with another key; returns the decoded answer."""
        headers = {"Authorization": f"Bearer {key or self.admin_key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.base_url}{path}", data=data, method=method, headers=headers)  # noqa: S310
        with urlopen(request, timeout=30) as response:  # noqa: S310  # our own server on loopback
            return json.loads(response.read() or b"null")

    @property
    def admin_key(self) -> str:
        """The key that the installation generated."""
        return (self.home / "data" / "admin-key").read_text().strip()

    def job(self, module: str, job: dict[str, object], *, python: str = sys.executable) -> dict[str, float]:
        """Run a yardstick of ``operations/bench/yardsticks`` as a process of its own; returns what it printed."""
        path = self.home / f"{module}-{uuid.uuid4()}.json"
        path.write_text(json.dumps({"bootstrap": self.bootstrap, **job}))
        script = Path(__file__).parent / "yardsticks" / f"{module}.py"
        done = subprocess.run(
            [python, str(script), str(path)], capture_output=True, text=True, check=False, timeout=_JOB_TIMEOUT
        )
        if done.returncode != 0:
            raise CannotStart(f"{module} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return result

    def load(self, url: str, body: bytes, *, seconds: float, connections: int, headers: list[str]) -> dict[str, Any]:
        """Run the load generator as a process of its own; refuses a run with any answer other than 2xx."""
        path = self.home / "body"
        path.write_bytes(body)
        command = [sys.executable, "-m", "operations.bench.load", url, str(path), str(seconds), str(connections)]
        done = subprocess.run([*command, *headers], capture_output=True, text=True, check=True, timeout=_JOB_TIMEOUT)
        result: dict[str, Any] = json.loads(done.stdout)
        if result["refused"] or not result["accepted"]:
            raise CannotStart(f"{url} answered {result['refused']} times not 2xx: {result['first_refusal']}")
        return result

    @staticmethod
    def _wait(process: Process, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT
        while not ready():
            if not process.running() or time.monotonic() > deadline:
                raise CannotStart(f"{process.name} did not become ready:\n{process.last_words()}")
            time.sleep(0.05)


@contextlib.contextmanager
def rig(home: Path) -> Iterator[Rig]:
    """A rig with a broker of its own in ``home``, or with that of ``KAFKA_BOOTSTRAP_SERVERS``."""
    home.mkdir(parents=True, exist_ok=True)
    broker = Choice(home, environment=os.environ, report=print, port=free_port(), stand_in=False).broker(
        BrokerKind.AUTO
    )
    with running(broker, home / "kafka.log"):
        print(f"Kafka: {broker.description}")
        yield Rig(home, broker.bootstrap_servers)
