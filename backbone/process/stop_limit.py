"""A process that was told to stop ends within its limit, also when Kafka is gone and a client waits for it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading

log = logging.getLogger(__name__)

_LEAST = 10.0
"""Seconds. What is not committed by then is done again after the next start."""

_MOST_ORPHANED = 5.0
"""Seconds when the process that started this one is gone: its Kafka, if it was a local one, goes with it."""


class StopLimit:
    """Made when the process starts; ``begin`` is called when it is told to stop.

    Args:
        more: seconds that the process needs besides, for work under way.
    """

    def __init__(self, *, more: float = 0.0) -> None:
        self._most = _LEAST + more
        self._parent = os.getppid()
        self._begun = False

    def begin(self) -> None:
        """End the process when it has not ended in time. Calls after the first change nothing."""
        if self._begun:
            return
        self._begun = True
        seconds = self._most if os.getppid() == self._parent else _MOST_ORPHANED
        timer = threading.Timer(seconds, _end, [seconds])
        timer.daemon = True
        timer.start()


def stopping_on_signal(*, more: float = 0.0) -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; from then on the process has a limit to end in.

    Args:
        more: see ``StopLimit``.
    """
    stopping, limit = asyncio.Event(), StopLimit(more=more)

    def stop() -> None:
        limit.begin()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopping


def _end(seconds: float) -> None:
    log.warning("not stopped after %g s: ended", seconds)
    os._exit(1)
