"""One child process: its own process group, its output in a file, never left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BOUND = Path(__file__).with_name("end_with_parent.py")

LOG_BYTES = 10 * 1024 * 1024
"""Past which a log goes on in an empty file; what was in it is kept beside it, once."""


class Process:
    """A command that runs until it is stopped, and that ends if this process dies first.

    It has a process group of its own, so that Ctrl-C reaches only the one who decides in which order things stop.
    Start it from a thread that lives as long as the process is wanted: the kernel counts the thread as the parent.

    Args:
        name: for the person who watches.
        command: what to run.
        env: its environment, over ours.
        log: see below.
        without: whether a variable of our environment is kept from it, such as a secret that it has no use for.

    Attributes:
        log: file that its standard output and standard error are appended to; None inherits ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        without: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        self.name = name
        self._without = without
        self.command = [str(part) for part in command]
        self.env = dict(env or {})
        self.log = log
        self._log_start = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start it, with our environment, but for what ``without`` tells, and ``env`` over it."""
        command = [sys.executable, "-S", "-E", str(_BOUND), str(os.getpid()), *self.command]
        ours = {name: value for name, value in os.environ.items() if not self._without(name)}
        environment = {**ours, **self.env}
        if self.log is None:
            self._child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )

    def bound_log(self) -> None:
        """Move a log that has become long to ``<name>.log.1``, in place of what was there; call it now and then.

        Its content is copied and the file emptied, since the process goes on writing to the same one. What is written
        between the two, a moment, is lost; so is what no disk has room for.
        """
        with contextlib.suppress(OSError):
            if self.log is None or self.log.stat().st_size <= LOG_BYTES:
                return
            with contextlib.suppress(OSError):
                shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
            os.truncate(self.log, 0)
            self._log_start = 0

    def exit_status(self) -> int | None:
        """Its exit status, or None while it runs or before it was started."""
        return self._child.poll() if self._child else None

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status once it has ended; None if ``timeout`` seconds pass first."""
        if self._child is None:
            return None
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask it to end; one that has ended is left alone."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def stop(self, grace: float) -> None:
        """Ask it to end, and after ``grace`` seconds end it and everything in its process group."""
        if self._child is None:
            return
        self.terminate()
        self.wait(grace)
        self.kill()

    def kill(self) -> None:
        """End it and whatever is left of its process group, at once."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def last_words(self, lines: int = 15) -> str:
        """The end of what it wrote since it was last started."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as output:
            output.seek(self._log_start)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])
