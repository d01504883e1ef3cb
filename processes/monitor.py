"""``headrace monitor``: watches topics and consumer groups."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from backbone.process import logs
from backbone.process.build_info import show_build
from backbone.process.exposition import Exposition
from backbone.process.health import Health
from backbone.process.private_directory import close_directory
from backbone.process.stop_limit import stopping_on_signal
from stream_processors.metrics import ProcessorMetrics
from stream_processors.monitoring.exposition import SnapshotCollector
from stream_processors.monitoring.main import serve_monitor

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)


def run(settings: ProcessorSettings) -> None:
    """Watch the cluster until SIGTERM or SIGINT. Kafka may start later.

    Raises:
        Misconfigured: a setting cannot be obeyed.
    """
    logs.start("monitor", settings.log_level)
    # It would tell of every login, once a minute and broker.
    logging.getLogger("aiokafka.conn").setLevel(logging.WARNING)
    close_directory(settings.backbone.data_dir)
    asyncio.run(_run_until_signal(settings))


async def _run_until_signal(settings: ProcessorSettings) -> None:
    stopping = stopping_on_signal()
    registry, shown = CollectorRegistry(), SnapshotCollector()
    registry.register(shown)
    show_build("monitor", registry)
    health = Health(settings.kafka)
    Exposition(
        settings.web_host,
        settings.monitor_web_port,
        variable="HEADRACE_PROCESSORS_MONITOR_WEB_PORT",
        registry=registry,
        unready=health.reason,
        hosts=settings.backbone.http_hosts,
    )
    await serve_monitor(stopping, health.ready, settings=settings, metrics=ProcessorMetrics(registry), shown=shown)
    log.info("stopped")
