"""Why requests are answered that Kafka or the storage is unavailable: the log says it, the caller is not told."""

from __future__ import annotations

import logging
import time

from schemas.model.errors import HeadraceError, Unavailable

log = logging.getLogger(__name__)

_NOTE_EVERY = 1.0
"""Seconds between two lines."""


class RefusalLog:
    """Counts refusals, and says at most once a second how many there were and why the last one."""

    def __init__(self) -> None:
        self._count = 0
        self._noted_at = -_NOTE_EVERY

    def note(self, error: HeadraceError) -> None:
        """Take note of an error that is about to be answered."""
        if not isinstance(error, Unavailable):
            return
        self._count += 1
        now = time.monotonic()
        if now - self._noted_at >= _NOTE_EVERY:
            log.warning("requests are refused", extra={"count": self._count, "reason": str(error)})
            self._noted_at, self._count = now, 0
