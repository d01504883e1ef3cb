"""Starts Python programs by fork, so that what the planes import is loaded once and not by every plane of a test.

To import a plane takes seconds of CPU. A pytest process that starts planes has one server, which has imported them all
and done nothing else: it has no thread, no event loop and no Kafka client. A program runs in a fork of it, with the
environment, directory, files and arguments that it would be executed with. It is killed if pytest dies.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(__file__).parents[2]
_LONGEST_REQUEST = 1 << 20


class Forked:
    """A program that was started by fork; used like a ``subprocess.Popen``.

    Args:
        command: ``-c`` and Python source, or ``-m`` and a module; then arguments.
        env: its whole environment; ours unless given.
        stdin, stdout, stderr: its files; ours unless given.

    Attributes:
        returncode: the exit status once ``poll`` or ``wait`` saw it, negative for a signal.
    """

    def __init__(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        stdin: IO[Any] | int = 0,
        stdout: IO[Any] | int = 1,
        stderr: IO[Any] | int = 2,
    ) -> None:
        self.returncode: int | None = None
        self._command = command
        program = {
            "command": command,
            "environment": dict(os.environ if env is None else env),
            "directory": str(Path.cwd()),
        }
        files = [file if isinstance(file, int) else file.fileno() for file in (stdin, stdout, stderr)]
        self._answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(_server(_root()), [json.dumps(program).encode()], [theirs.fileno(), *files])
        self.pid = int(self._answers.recv(64))

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended; after ``timeout`` seconds raises ``subprocess.TimeoutExpired``."""
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self._command, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._answers.recv(64)))
            self._answers.close()
        return self.returncode


def _root() -> Path:
    """Where what is executed would import the planes from: the directory that it is started in may have a copy."""
    here = Path.cwd()
    return here if (here / "processes").is_dir() else _ROOT


@functools.cache
def _server(root: Path) -> socket.socket:
    """The connection to the server of this process that has the planes of ``root``, which ends when it is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
    nothing = subprocess.DEVNULL  # the programs' standard output is buffered as that of one that writes to a file
    with theirs:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            stdin=nothing,
            stdout=nothing,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Import the planes, and fork for each request until nobody is left who could make one."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest and for the programs
    ended = signal.signal(signal.SIGCHLD, _reap)
    importlib.import_module("tests.support.signatures").remember_signatures()
    for package in ("processes", "operations.commands"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    for family in importlib.import_module("families.http").families():
        # FastAPI reads every route's signature once more where it is included.
        importlib.import_module("fastapi").FastAPI().include_router(family.control)
    gc.freeze()
    while (received := socket.recv_fds(requests, _LONGEST_REQUEST, 4))[0]:
        answers, *files = received[1]
        if os.fork() != 0:
            for file in received[1]:
                os.close(file)
            continue
        signal.signal(signal.SIGCHLD, ended)
        if (pid := os.fork()) != 0:
            _mind(pid, socket.socket(fileno=answers))
        requests.close()
        signal.signal(signal.SIGINT, interrupted)
        _run(files, **json.loads(received[0]))
        return


def _reap(*_: object) -> None:
    """Let those go who minded a program that has ended; their CPU time counts as ours then."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _mind(pid: int, answers: socket.socket) -> None:
    """Tell the pid of a program and, when it ends, how; kill it if nobody listens any more."""
    answers.send(b"%d" % pid)
    if answers in select.select([answers, os.pidfd_open(pid)], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
        os._exit(0)
    answers.send(b"%d" % os.waitpid(pid, 0)[1])
    os._exit(0)


def _run(files: list[int], command: list[str], environment: dict[str, str], directory: str) -> None:
    """Be the program."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    option, program, *arguments = command
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(program, vars(sys.modules["__main__"]))  # noqa: S102  # as the interpreter does


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
