"""A process of the stream processors: signals, slots, metrics and health around one agent or two."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from backbone.process import logs
from backbone.process.build_info import show_build
from backbone.process.exposition import Exposition, exposed
from backbone.process.health import Health
from backbone.process.instance_slots import claimed_slot
from backbone.process.private_directory import close_directory
from backbone.process.stop_limit import stopping_on_signal
from backbone.tracing.settings import open_tracing
from families import registry
from stream_processors.main import Slots, serve
from stream_processors.metrics import ProcessorMetrics

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetricsPort:
    """Where a process serves its metrics and its health.

    Attributes:
        number: None: nowhere.
        variable: the setting that it comes from, for the error.
    """

    number: int | None
    variable: str


def run_agents(name: str, settings: ProcessorSettings, port: MetricsPort, *, router: bool, ledger: bool) -> None:
    """Run the agents until SIGTERM or SIGINT; what is in flight is finished first. Kafka may start later.

    Args:
        name: of the process, in its logs.
        settings: of the process.
        port: where its metrics are.
        router: whether it routes.
        ledger: whether it indexes the ledger.

    Raises:
        Misconfigured: a setting cannot be obeyed.
    """
    logs.start(name, settings.log_level)
    directory = settings.backbone.data_dir
    close_directory(directory)
    with contextlib.ExitStack() as held:

        def slot(kind: str, *, wanted: bool) -> int | None:
            return held.enter_context(claimed_slot(directory, kind, settings.slot)) if wanted else None

        slots = Slots(router=slot("router", wanted=router), ledger=slot("ledger", wanted=ledger))
        asyncio.run(serve_until_signal(name, settings, slots, port))


async def serve_until_signal(name: str, settings: ProcessorSettings, slots: Slots, port: MetricsPort) -> None:
    """Run the agents that have slots; see ``run_agents``."""
    stopping = stopping_on_signal()
    collected = CollectorRegistry()
    show_build(name, collected)
    health = Health(settings.kafka)
    Exposition(
        settings.web_host,
        port.number,
        variable=port.variable,
        registry=exposed(collected),
        unready=health.reason,
        hosts=settings.backbone.http_hosts,
    )
    tracing = None if slots.router is None else open_tracing(settings.tracing, name)
    try:
        await serve(
            stopping,
            health.ready,
            settings=settings,
            slots=slots,
            unfiltered=registry.SOCKETS,
            metrics=ProcessorMetrics(collected),
            tracing=tracing,
        )
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
    log.info("stopped")
