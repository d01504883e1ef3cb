"""Centrifugo: connecting, and the memory of an idle connection with a subscription."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jwt

from operations.bench import realtime
from operations.bench.peers.comparison import Comparison, Unavailable
from operations.bench.setup import order_type
from operations.errors import CannotStart
from operations.supervisor.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.bench.rig import Rig

_VERSION = "v6.9.1"
_MODULE = f"github.com/centrifugal/centrifugo/v6@{_VERSION}"
_SECRET = "a secret of the benchmark, as long as it has to be"  # noqa: S105  # of a server that lives for seconds
_CHANNEL = "bench"
_BUILD_SECONDS = 1_200
_START_SECONDS = 30.0


def compare(rig: Rig, turns: int, programs: Path) -> list[Comparison]:
    """Both servers with a token for each client that names one channel, pings far apart, without TLS.

    Raises:
        Unavailable: there is no Centrifugo, and no Go to build it with.
    """
    program = _program(programs)
    connects, memory = (
        Comparison(
            stage=stage,
            peer=f"Centrifugo {_VERSION[1:]}",
            unit=unit,
            less=less,
            differs="Headrace asks its catalog whether the issuer of the token and its key still exist",
        )
        for stage, unit, less in (("realtime.connects", "connects/CPU-s", False), ("connection_bytes", "bytes", True))
    )
    with rig.plane("ingest"):
        order_type(rig, realtime.CODE)
        hello = realtime.greeting(rig, realtime.open_channel(rig))
    for _ in range(turns):
        port = free_port()
        environment = {"HEADRACE_REALTIME_PORT": str(port), "HEADRACE_REALTIME_PING_INTERVAL": "600"}
        with rig.plane("connector", "websocket", **environment) as pid:
            ours = realtime.connecting(rig, pid, port, hello)
        with _running(rig, program) as (pid, port):
            theirs = realtime.connecting(rig, pid, port, _hello())
        connects.turns.append((ours[0], theirs[0]))
        memory.turns.append((ours[1], theirs[1]))
    return [connects, memory]


def _program(programs: Path) -> Path:
    """The installed one, or one that Go builds once into ``programs``."""
    installed = shutil.which("centrifugo")
    if installed:
        return Path(installed)
    built = programs / "centrifugo"
    if not built.exists():
        go = shutil.which("go")
        if go is None:
            raise Unavailable("centrifugo is not installed, and there is no go to build it with")
        print(f"Building Centrifugo into {programs} (once, some minutes)")
        environment = {**os.environ, "GOBIN": str(programs)}
        done = subprocess.run(
            [go, "install", _MODULE],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_BUILD_SECONDS,
        )
        if done.returncode:
            raise Unavailable(f"go could not build centrifugo: {done.stderr.strip().splitlines()[-1]}")
    return built


@contextlib.contextmanager
def _running(rig: Rig, program: Path) -> Iterator[tuple[int, int]]:
    """Its process id and its port."""
    port = free_port()
    configuration = rig.home / "centrifugo.json"
    configuration.write_text(
        json.dumps(
            {
                "http_server": {"address": "127.0.0.1", "port": str(port)},
                "client": {"token": {"hmac_secret_key": _SECRET}, "ping_interval": "600s", "pong_timeout": "8s"},
                "channel": {"without_namespace": {"history_size": 10_000, "history_ttl": "1h", "force_recovery": True}},
                "log": {"level": "error"},
            }
        )
    )
    with subprocess.Popen([program, "-c", str(configuration)]) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while is_free(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CannotStart("Centrifugo did not start.")
                time.sleep(0.05)
            yield process.pid, port
        finally:
            process.terminate()


def _hello() -> str:
    claims = {"sub": "bench", "exp": int(time.time()) + 3_600, "channels": [_CHANNEL]}
    return json.dumps({"id": 1, "connect": {"token": jwt.encode(claims, _SECRET, algorithm="HS256")}})
