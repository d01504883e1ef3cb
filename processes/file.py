"""The process of ``headrace connector file``."""

from __future__ import annotations

import functools
import signal
import threading
from typing import TYPE_CHECKING

from backbone.process.health import Health
from backbone.process.stop_limit import StopLimit
from connectors.file import main
from connectors.file.metrics import FileMetrics
from families.delivery import BODIES
from processes.exposition import expose

if TYPE_CHECKING:
    from processes.settings import ConnectorSettings


def run(settings: ConnectorSettings) -> None:
    """Run a file sink until SIGTERM or SIGINT.

    Raises:
        Misconfigured: files cannot be kept where ``HEADRACE_FILES_URL`` says.
    """
    stopping, limit = threading.Event(), StopLimit()

    def stop(*_: object) -> None:
        limit.begin()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    health = Health(settings.kafka)
    expose("file", settings, health)
    main.serve_files(
        stopping,
        functools.partial(_report, health),
        kafka=settings.kafka,
        backbone=settings.backbone,
        settings=settings.file,
        bodies=BODIES,
        metrics=FileMetrics(),
    )


def _report(health: Health, healthy: bool) -> None:  # noqa: FBT001  # the sink calls it with this one value
    if healthy:
        health.ready()
    else:
        health.unready("Event files cannot be written.")
