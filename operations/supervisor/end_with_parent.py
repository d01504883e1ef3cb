"""Run a command that ends when the process that asked for it ends, however that happens.

    python bound.py PARENT_PID COMMAND [ARGUMENT...]

On Linux the kernel is asked to send SIGTERM at the parent's death and the command takes this process's place. Elsewhere
this process stays, waits for the command, and ends it when it finds itself orphaned. Run by its path and with the
standard library alone, so that it adds milliseconds to a start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY = 0.5


def main() -> int:
    """Become the command, or outlive it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the request took effect.
        if os.getppid() != parent:
            return 1
        os.execvp(command[0], command)  # noqa: S606 - the command's own arguments, no shell
    return _watch(parent, command)


def _watch(parent: int, command: list[str]) -> int:
    child = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while (status := child.poll()) is None:
        if os.getppid() != parent:
            child.terminate()
        time.sleep(_LOOK_EVERY)
    return status


if __name__ == "__main__":
    sys.exit(main())
