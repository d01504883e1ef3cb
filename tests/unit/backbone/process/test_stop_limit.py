"""A process that hangs when it is told to stop, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_HANGS = """
import os, signal, sys, time
from backbone.process import stop_limit
stop_limit._LEAST, stop_limit._MOST_ORPHANED = 30.0, 0.2
limit = stop_limit.StopLimit()
if sys.argv[1] == "orphaned":
    limit._parent = -1
else:
    stop_limit._LEAST = 0.0
    limit = stop_limit.StopLimit(more=0.2)
limit.begin()
limit.begin()
time.sleep(20)
"""


def test_a_process_that_does_not_stop_is_ended() -> None:
    for how in ("orphaned", "supervised"):
        ended = subprocess.run([sys.executable, "-c", _HANGS, how], capture_output=True, timeout=60, check=False)
        assert ended.returncode == 1, ended.stderr
        assert b"ended" in ended.stderr
