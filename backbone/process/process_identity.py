"""Tells whether the process that made a claim has ended, for processes of the same machine.

A worker that was killed sends nothing any more: its claims need not run out before a repeat takes them over. Other
machines' processes, and systems without ``/proc``, are never known to have ended.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

_ENDED = ("Z", "X")
"""States of processes that have ended and only wait to be noticed (proc_pid_stat(5))."""


def this_process() -> str:
    """The name of this process: boot, process namespace, process id and start time; empty where that is not known."""
    machine = _machine()
    started = _started(os.getpid())
    return f"{machine}/{os.getpid()}/{started}" if machine and started else ""


def has_ended(process: str) -> bool:
    """Whether a process of that name is known to have ended."""
    machine, _, rest = process.rpartition("/")
    machine, _, number = machine.rpartition("/")
    return bool(rest) and machine == _machine() and number.isdigit() and _started(int(number)) != rest


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(number: int) -> str:
    """When a process started, in ticks since the boot; empty when there is none."""
    try:
        # The name of the command, in parentheses, may contain anything.
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in _ENDED else fields[19]
