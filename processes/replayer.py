"""``headrace replayer``: executes runs, which resend, replay and redrive deliveries."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from backbone.process import logs
from backbone.process.build_info import show_build
from backbone.process.exposition import Exposition, exposed
from backbone.process.health import Health
from backbone.process.private_directory import close_directory
from backbone.process.stop_limit import stopping_on_signal
from stream_processors.metrics import ProcessorMetrics
from stream_processors.runs.main import serve_runs

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)


def run(settings: ProcessorSettings) -> None:
    """Execute runs until SIGTERM or SIGINT. Kafka may start later.

    Raises:
        Misconfigured: a setting cannot be obeyed.
    """
    logs.start("replayer", settings.log_level)
    close_directory(settings.backbone.data_dir)
    asyncio.run(_run_until_signal(settings))


async def _run_until_signal(settings: ProcessorSettings) -> None:
    stopping = stopping_on_signal()
    registry = CollectorRegistry()
    show_build("replayer", registry)
    health = Health(settings.kafka)
    Exposition(
        settings.web_host,
        settings.replayer_web_port,
        variable="HEADRACE_PROCESSORS_REPLAYER_WEB_PORT",
        registry=exposed(registry),
        unready=health.reason,
        hosts=settings.backbone.http_hosts,
    )
    await serve_runs(stopping, health.ready, settings=settings, metrics=ProcessorMetrics(registry))
    log.info("stopped")
