"""The bare echo application under uvicorn, with the options that the HTTP plane has, as a process of its own."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from operations.supervisor.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_TIMEOUT = 20.0
_OPTIONS = ["--log-level", "warning", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]


class EchoServer(NamedTuple):
    """Where it is, and its process id."""

    url: str
    pid: int


@contextlib.contextmanager
def echo_server(log: Path) -> Iterator[EchoServer]:
    """Run one for the length of a with block.

    Raises:
        CannotStart: it did not listen in time.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "operations.bench.echo:app", "--port", str(port), *_OPTIONS]
    process = Process("echo", command, log=log)
    process.start()
    try:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _listens(port):
            if not process.running() or time.monotonic() > deadline:
                raise CannotStart(f"The echo server did not start:\n{process.last_words()}")
            time.sleep(0.05)
        yield EchoServer(f"http://127.0.0.1:{port}/", process.pid or 0)
    finally:
        process.stop(5)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
