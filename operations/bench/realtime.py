"""``realtime.connects``, ``fanout`` and ``connection_bytes``: a realtime node against a bare server of aiohttp."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import fill, order_type
from operations.errors import CannotStart
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.bench.rig import Rig

SOCKETS = 500
EVENTS = 1_000
SINGLE = 300
IDLE = 2_000
CODE = "bench.pushed"
_MARKER = '"offset":'
"""Once in every publication."""
_SETTLE = 2.0
_PAUSE = 0.02
"""Seconds between two events that come alone: what comes together is sent together."""


class Talker:
    """A process that answers a line on its standard input with a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def hear(self) -> str:
        """The next line that it prints."""
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise CannotStart(f"A process of the benchmark ended with {self._process.wait()}.")
        return line

    def ask(self, line: str) -> str:
        """Send a line, hear one."""
        pipe = _pipe(self._process.stdin)
        pipe.write(f"{line}\n")
        pipe.flush()
        return self.hear()


def figures(rig: Rig) -> list[Figure]:
    """Events go through HTTP and the router to one channel that every socket is subscribed to."""
    port = free_port()
    environment = {"HEADRACE_REALTIME_PORT": str(port), "HEADRACE_REALTIME_PING_INTERVAL": "600"}
    with rig.plane("ingest"):
        producer = order_type(rig, CODE)
        channel = open_channel(rig)
        hello = greeting(rig, channel)
        fill(rig, producer, CODE, EVENTS)
    with rig.plane("connector", "websocket", **environment) as node:
        connects, idle = connecting(rig, node, port, hello)
    with (
        rig.plane("connector", "websocket", **environment) as node,
        clients(rig, port, SOCKETS, hello) as crowd,
    ):
        used = cpu_seconds(node)
        with rig.plane("router"):
            seconds = float(crowd.ask(str(EVENTS * SOCKETS)))
            used = cpu_seconds(node) - used
        with rig.plane("ingest"), rig.plane("router"):
            single = cpu_seconds(node)
            for _ in range(SINGLE):
                fill(rig, producer, CODE, 1, batch=1)
                time.sleep(_PAUSE)
            crowd.ask(str((EVENTS + SINGLE) * SOCKETS))
            single = cpu_seconds(node) - single
    text = _push(channel)
    bare_idle = _bare(rig, IDLE, 0, text)
    bare_used = _bare(rig, SOCKETS, EVENTS, text)["cpu"]
    pushed, alone = EVENTS * SOCKETS / used, SINGLE * SOCKETS / single
    bare = EVENTS * SOCKETS / bare_used
    bare_connects = IDLE / bare_idle["connecting"]
    bare_bytes = (bare_idle["after"] - bare_idle["before"]) / IDLE
    return [
        Figure(
            stage="realtime.connects",
            value=connects,
            unit="connects/CPU-s",
            yardstick=bare_connects,
            ratio=connects / bare_connects,
            goal=1.0,
            against="bare server, its handshake alone",
            wall=f"{IDLE:,} clients, each with a token and a subscription",
        ),
        Figure(
            stage="fanout",
            value=pushed,
            unit="pushes/CPU-s",
            yardstick=bare,
            ratio=pushed / bare,
            goal=0.5,
            against=f"bare broadcast to {SOCKETS} sockets",
            wall=f"{EVENTS * SOCKETS / seconds:,.0f}/s",
        ),
        Figure(
            stage="fanout.single",
            value=alone,
            unit="pushes/CPU-s",
            yardstick=bare,
            ratio=alone / bare,
            goal=0.9,
            against=f"bare broadcast to {SOCKETS} sockets",
            wall=f"one event every {_PAUSE * 1_000:.0f} ms",
        ),
        Figure(
            stage="connection_bytes",
            value=idle,
            unit="bytes",
            yardstick=bare_bytes,
            ratio=bare_bytes / idle,
            goal=1.0,
            against="bare server",
            wall=f"{IDLE:,} idle connections, each with a subscription",
        ),
    ]


def connecting(rig: Rig, pid: int, port: int, hello: str) -> tuple[float, float]:
    """Clients that a server lets connect per CPU-second, and resident bytes of one when it is idle."""
    empty, used = resident_bytes(pid), cpu_seconds(pid)
    with clients(rig, port, IDLE, hello):
        used = cpu_seconds(pid) - used
        time.sleep(_SETTLE)
        return IDLE / used, (resident_bytes(pid) - empty) / IDLE


def resident_bytes(pid: int) -> int:
    """Resident memory of one process (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_channel(rig: Rig) -> str:
    """The channel of a new endpoint that gets the events of this stage."""
    endpoint = rig.call("POST", "/headrace/v1/endpoints", {"name": "bench", "type": "WEB_SOCKET"})
    chosen = rig.call("POST", "/headrace/v1/filters", {"name": "bench", "types": [{"code": CODE}]})
    rig.call("POST", "/headrace/v1/subscriptions", {"filter": chosen["id"], "endpoint": endpoint["id"]})
    return f"endpoint:{endpoint['id']}"


def greeting(rig: Rig, channel: str) -> str:
    """The first command of a client, with a token for a channel."""
    token = rig.call("POST", "/headrace/v1/realtime/connection-token", {"channels": [channel]})["token"]
    return json.dumps({"id": 1, "connect": {"token": token}})


def _push(channel: str) -> str:
    """As long as a push of the workload's events."""
    event = {
        "specversion": "1.0",
        "id": "x" * 36,
        "source": "x" * 36,
        "type": CODE,
        "time": "x" * 24,
        "data": "x" * 320,
    }
    return json.dumps({"push": {"channel": channel, "pub": {"data": event, "offset": 1_000}}}, separators=(",", ":"))


@contextlib.contextmanager
def clients(rig: Rig, port: int, connections: int, hello: str) -> Iterator[Talker]:
    """Connected clients in a process of their own (``operations.bench.sockets``)."""
    job = {"host": "127.0.0.1", "port": port, "connections": connections, "hello": hello, "marker": _MARKER}
    with _talker(rig, [sys.executable, "-m", "operations.bench.sockets"], job) as crowd:
        crowd.hear()
        yield crowd


def _bare(rig: Rig, connections: int, times: int, text: str) -> dict[str, float]:
    """What the bare server says of itself: resident bytes, and CPU seconds of connecting and of sending ``text``."""
    port = free_port()
    script = str(Path(__file__).parent / "yardsticks" / "bare_broadcast.py")
    with _talker(rig, [sys.executable, script], {"port": port, "text": text}) as server:
        server.hear()
        with clients(rig, port, connections, "") as crowd:
            time.sleep(_SETTLE)
            found: dict[str, float] = json.loads(server.ask(f"{connections} {times}"))
            crowd.ask(str(connections * times))
    return found


@contextlib.contextmanager
def _talker(rig: Rig, command: list[str], job: dict[str, object]) -> Iterator[Talker]:
    path = rig.home / f"job-{time.monotonic_ns()}.json"
    path.write_text(json.dumps(job))
    with subprocess.Popen([*command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Talker(process)
        finally:
            process.terminate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise CannotStart("a process without pipes")
    return pipe
