"""``headrace processors``: one worker that routes events to deliveries and indexes the ledger."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from backbone import logs
from backbone.catalog.decoders import Decoders
from backbone.catalog.reader import Catalog
from backbone.exposition import Exposition, exposed
from backbone.health import Health
from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.topology import ensure_internal_topics
from backbone.kafka.transaction import TransactionalProducer
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from backbone.private_directory import close_directory
from backbone.slots import claimed_slot
from backbone.startup import persist
from backbone.stop_limit import StopLimit
from stream_processors.app import create_app, run_app
from stream_processors.dead_letters import DeadLetters
from stream_processors.faults import parse_fault
from stream_processors.ledger import LedgerIndexer
from stream_processors.ledger_agent import LedgerAgent
from stream_processors.live_index import LiveIndex
from stream_processors.metrics import ProcessorMetrics
from stream_processors.open_sockets import OpenSockets
from stream_processors.reader import BatchReader, from_the_beginning
from stream_processors.router import WRITTEN, Router

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings
    from stream_processors.app import BatchAgent
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)

_SEVERAL_BROKERS = 0.5
"""Seconds by which the clocks of several brokers are taken to differ."""

_LEDGER_GATHERS = 0.1
"""Seconds. A view may be that old; the router, in the same process, has the time that small batches would take."""

_READER_OPTIONS: dict[str, Any] = {
    # Ends of partitions are of no interest here, and would cut batches short.
    "enable.partition.eof": False,
    # How long a request for offsets may wait behind an idle fetch.
    "fetch.wait.max.ms": 50,
    # Bytes fetched ahead, and so the most that one batch can hold.
    "queued.max.messages.kbytes": 32_768,
}


def run(settings: ProcessorSettings) -> None:
    """Work until SIGTERM or SIGINT; what is in flight is finished first. Kafka may start later.

    Raises:
        Misconfigured: a setting cannot be obeyed.
    """
    logs.start("processors", settings.log_level)
    close_directory(settings.backbone.data_dir)
    with claimed_slot(settings.backbone.data_dir, "router", settings.slot) as slot:
        asyncio.run(_serve(settings, slot))


async def _serve(settings: ProcessorSettings, slot: int) -> None:
    stop, limit = asyncio.Event(), StopLimit()

    def begin_to_stop() -> None:
        limit.begin()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, begin_to_stop)
    admin = Admin(settings.kafka)
    registry = CollectorRegistry()
    health = Health(settings.kafka)
    Exposition(
        settings.web_host,
        settings.web_port,
        variable="HEADRACE_PROCESSORS_WEB_PORT",
        registry=exposed(registry),
        unready=health.reason,
    )
    if not await persist(stop, lambda: ensure_internal_topics(admin)):
        return
    metrics = ProcessorMetrics(registry)
    catalog = Catalog(
        settings.kafka,
        settings.backbone.secret_keys,
        on_forged=metrics.catalog_forged.inc,
        on_stall=metrics.consumers_replaced.inc,
    )
    catalog.start()
    sockets = OpenSockets(settings.kafka, metrics.consumers_replaced.inc)
    agents: list[BatchAgent] = []
    try:
        if not await persist(stop, catalog.caught_up):
            return
        identity = f"headrace-router-{settings.backbone.node_id}-{slot}"
        index = LiveIndex(catalog, sockets, skew=await _skew(settings, admin))
        agents.append(_router(settings, identity, catalog, index, metrics))
        if settings.ledger:
            agents.append(_ledger(settings, slot, catalog, metrics))
        app = create_app(settings, f"{identity}-{os.getpid()}", agents)
        await run_app(app, agents, stop, on_ready=health.ready)
    finally:
        for agent in agents:
            await asyncio.to_thread(agent.close)
        await asyncio.to_thread(sockets.stop)
        await asyncio.to_thread(catalog.stop)
    log.info("stopped")


def _consumer(kafka: KafkaSettings, group: str, metrics: ProcessorMetrics, **callbacks: Any) -> BatchConsumer:
    return BatchConsumer(kafka, group=group, on_stall=metrics.consumers_replaced.inc, **callbacks, **_READER_OPTIONS)


def _router(
    settings: ProcessorSettings, transactional_id: str, catalog: Catalog, index: LiveIndex, metrics: ProcessorMetrics
) -> Router:
    reader = BatchReader(
        agent="router",
        new_consumer=partial(_consumer, settings.kafka, settings.group, metrics),
        topics=index.topics,
        start=index.start_offsets,
        batch_events=settings.batch_events,
        metrics=metrics,
    )
    return Router(
        catalog=catalog,
        index=index,
        decoders=Decoders(catalog),
        reader=reader,
        new_producer=partial(
            TransactionalProducer,
            settings.kafka,
            transactional_id,
            timeout=settings.transaction_timeout,
            writes_to=WRITTEN,
        ),
        transaction_deliveries=settings.transaction_deliveries,
        metrics=metrics,
        before_commit=parse_fault(settings.fault_before_commit),
    )


def _ledger(settings: ProcessorSettings, slot: int, catalog: Catalog, metrics: ProcessorMetrics) -> LedgerAgent:
    engine = open_ledger(settings.backbone.ledger_url)
    writer = LedgerWriter(engine)
    if engine.dialect.name == "sqlite":
        # A file that cannot be opened is a mistake of the installation; a server may come up later than the router.
        writer.create()
    dead_letters = DeadLetters(
        partial(TransactionalProducer, settings.kafka, f"headrace-ledger-{settings.backbone.node_id}-{slot}")
    )
    indexer = LedgerIndexer(
        writer=writer, view=catalog.view, decode=Decoders(catalog).decode, set_aside=dead_letters.add
    )
    reader = BatchReader(
        agent="ledger",
        new_consumer=partial(_consumer, settings.kafka, settings.ledger_group, metrics),
        topics=indexer.topics,
        start=from_the_beginning,
        batch_events=settings.batch_events,
        metrics=metrics,
        gather=_LEDGER_GATHERS,
    )
    return LedgerAgent(
        catalog=catalog,
        reader=reader,
        indexer=indexer,
        dead_letters=dead_letters,
        create=writer.create,
        expire=writer.expire,
        retention=settings.ledger_retention,
        metrics=metrics,
    )


async def _skew(settings: ProcessorSettings, admin: Admin) -> int:
    """Milliseconds that subscriptions match early, because the catalog's broker and an event's may differ in time."""
    allowance = settings.skew_allowance
    if allowance is None:
        allowance = _SEVERAL_BROKERS if await admin.broker_count() > 1 else 0.0
    return int(allowance * 1_000)
