"""Whether a process can do its work: for its supervisor, and for ``/readyz``."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin
from backbone.kafka.write_probe import WriteProbe
from backbone.process.collection import spare_the_collector
from backbone.process.readiness import mark_ready, mark_unready
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings

_ANSWER_SECONDS = 2.0
"""Within which Kafka has to answer, and to acknowledge what is written."""

_PROBE_AFTER = 5.0
"""Seconds after an acknowledgement until another record is written to see whether there is one."""


class Health:
    """Of one process; it begins as not ready.

    Args:
        kafka: asked each time whether it answers, and now and then whether it acknowledges what is written.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin: Admin | None = None
        self._probe: WriteProbe | None = None
        self._acknowledged_at = float("-inf")
        self._asking = threading.Lock()
        self._was_ready = False
        self._why: str | None = "It is starting."

    def ready(self) -> None:
        """Note that the process can do its work; the first time, tune its garbage collector."""
        if not self._was_ready:
            self._was_ready = True
            spare_the_collector()
        self._why = None
        mark_ready()

    def unready(self, why: str) -> None:
        """Note that it cannot for now."""
        self._why = why
        mark_unready()

    def reason(self) -> str | None:
        """Return why it cannot, or None. Takes seconds while Kafka does not answer; for a thread."""
        if self._why is not None:
            return self._why
        with self._asking:
            try:
                self._ask()
            except HeadraceError as error:
                return str(error)
        return None

    def _ask(self) -> None:
        self._admin = self._admin or Admin(self._kafka, timeout=_ANSWER_SECONDS)
        self._admin.partition_counts_now()
        if time.monotonic() - self._acknowledged_at < _PROBE_AFTER:
            return
        self._probe = self._probe or WriteProbe(self._kafka, _ANSWER_SECONDS)
        self._probe.write()
        self._acknowledged_at = time.monotonic()
