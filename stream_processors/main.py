"""The plane: a router, a ledger agent, or both over one catalog, as agents of one Faust worker."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backbone.catalog.decoders import Decoders
from backbone.catalog.reader import Catalog
from backbone.kafka.admin import Admin
from backbone.kafka.alternating import AlternatingProducer
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.retrying import retry_unless
from backbone.kafka.topology import ensure_internal_topics
from backbone.kafka.transaction import TransactionalProducer
from backbone.ledger.balance import Balance
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model import timestamps
from stream_processors.indexing.agent import LedgerAgent
from stream_processors.indexing.balance_watch import BalanceWatch
from stream_processors.indexing.indexer import LedgerIndexer
from stream_processors.routing.live_index import LiveIndex
from stream_processors.routing.router import WRITTEN, Router
from stream_processors.routing.skew import router_skew
from stream_processors.routing.socket_presence import OpenSockets
from stream_processors.runtime.dead_letters import DeadLetters
from stream_processors.runtime.fault_injection import parse_fault
from stream_processors.runtime.faust_host import create_app, run_app
from stream_processors.runtime.reader import BatchReader, from_the_beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backbone.kafka.settings import KafkaSettings
    from backbone.tracing.spans import Tracing
    from schemas.model.endpoint import BodyFormat
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.runtime.faust_host import BatchAgent
    from stream_processors.settings import ProcessorSettings

_LEDGER_GATHERS = 0.1
"""Seconds by which the ledger may lag. Larger batches leave more CPU time for the router on the same machine."""

_READER_OPTIONS: dict[str, Any] = {
    # Ends of partitions are not needed, and would make batches small.
    "enable.partition.eof": False,
    # How long a request for offsets may wait behind an idle fetch.
    "fetch.wait.max.ms": 50,
    # Bytes fetched ahead, and so the most that one batch can hold.
    "queued.max.messages.kbytes": 32_768,
}

_WATCH_OPTIONS: dict[str, Any] = {"fetch.wait.max.ms": 50, "queued.min.messages": 1}


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Which agents a process runs, each with the slot that its transactional id is made of.

    Attributes:
        router: None runs no router.
        ledger: None runs no ledger agent.
    """

    router: int | None = None
    ledger: int | None = None


async def serve(
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
    *,
    settings: ProcessorSettings,
    slots: Slots,
    unfiltered: Collection[BodyFormat],
    metrics: ProcessorMetrics,
    tracing: Tracing | None = None,
) -> None:
    """Run the agents until ``stopping`` is set; what is in flight is finished first. Kafka may start later.

    Args:
        stopping: ends it.
        on_ready: called once every agent has found its topics.
        settings: of this process.
        slots: the agents to run, at least one.
        unfiltered: the body formats whose sockets get all events while no event filter restricts them.
        metrics: of this process.
        tracing: makes the spans of the router; None makes none.

    Raises:
        Misconfigured: the ledger's file cannot be opened.
    """
    admin = Admin(settings.kafka)
    if not await retry_unless(stopping, lambda: ensure_internal_topics(admin)):
        return
    catalog = Catalog(
        settings.kafka,
        settings.backbone.secret_keys,
        on_forged=metrics.catalog_forged.inc,
        on_stall=metrics.consumers_replaced.inc,
    )
    catalog.start()
    sockets = OpenSockets(settings.kafka, metrics.consumers_replaced.inc)
    agents: dict[str, BatchAgent] = {}
    try:
        if not await retry_unless(stopping, catalog.caught_up):
            return
        if slots.router is not None:
            identity = _identity("router", settings, slots.router)
            skew = await router_skew(settings, admin)
            index = LiveIndex(catalog, sockets, skew=skew, unfiltered=unfiltered)
            agents[identity] = _router(settings, identity, catalog, index, metrics=metrics, tracing=tracing)
        if slots.ledger is not None:
            identity = _identity("ledger", settings, slots.ledger)
            agents[identity] = _ledger(settings, identity, catalog, metrics)
        running = list(agents.values())
        app = create_app(settings, f"{next(iter(agents))}-{os.getpid()}", running)
        await run_app(app, running, stopping, on_ready=on_ready)
    finally:
        for agent in agents.values():
            await asyncio.to_thread(agent.close)
        await asyncio.to_thread(sockets.stop)
        await asyncio.to_thread(catalog.stop)


def _identity(kind: str, settings: ProcessorSettings, slot: int) -> str:
    """Return the transactional id of an agent."""
    return f"headrace-{kind}-{settings.backbone.node_id}-{slot}"


def _consumer(kafka: KafkaSettings, group: str, metrics: ProcessorMetrics, **callbacks: Any) -> BatchConsumer:
    return BatchConsumer(kafka, group=group, on_stall=metrics.consumers_replaced.inc, **callbacks, **_READER_OPTIONS)


def _router(
    settings: ProcessorSettings,
    transactional_id: str,
    catalog: Catalog,
    index: LiveIndex,
    *,
    metrics: ProcessorMetrics,
    tracing: Tracing | None,
) -> Router:
    reader = BatchReader(
        agent="router",
        new_consumer=partial(_consumer, settings.kafka, settings.group, metrics),
        topics=index.topics,
        start=index.start_offsets,
        batch_events=settings.batch_events,
        metrics=metrics,
    )
    producer = partial(TransactionalProducer, settings.kafka, timeout=settings.transaction_timeout, writes_to=WRITTEN)
    return Router(
        catalog=catalog,
        index=index,
        decoders=Decoders(catalog),
        reader=reader,
        # An id ends in its slot's number, so no other router has the second one.
        new_producer=lambda: AlternatingProducer(producer(transactional_id), producer(f"{transactional_id}-second")),
        transaction_deliveries=settings.transaction_deliveries,
        metrics=metrics,
        before_commit=parse_fault(settings.fault_before_commit),
        spans=None if tracing is None else tracing.processed(settings.group),
    )


def _ledger(
    settings: ProcessorSettings, transactional_id: str, catalog: Catalog, metrics: ProcessorMetrics
) -> LedgerAgent:
    engine = open_ledger(settings.backbone.ledger_url)
    writer = LedgerWriter(engine)
    if engine.dialect.name == "sqlite":
        # A file that cannot be opened is a mistake in the installation; a server may start later.
        writer.create()
    dead_letters = DeadLetters(partial(TransactionalProducer, settings.kafka, transactional_id))
    indexer = LedgerIndexer(
        writer=writer, view=catalog.view, decode=Decoders(catalog).decode, set_aside=dead_letters.add
    )

    def expire(before: int) -> int:
        now = timestamps.now()
        lapsed = writer.lapse(now - settings.kafka.delivery_retention * 1_000_000, now)
        metrics.expired_letters.inc(lapsed)
        return lapsed + writer.expire(before)

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
        watch=BalanceWatch(
            topics=indexer.noted_topics,
            workspaces=lambda: [workspace.name for workspace in catalog.view.workspaces()],
            new_consumer=partial(BatchConsumer, settings.kafka, group=None, **_WATCH_OPTIONS),
            create=writer.create,
            complete=writer.complete,
            balance=Balance(engine),
            metrics=metrics,
        ),
        expire=expire,
        fill_in=writer.fill_in,
        retention=settings.ledger_retention,
        metrics=metrics,
    )
