"""The replayer: built, run until it is told to stop, taken down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING

from backbone.catalog.decoders import Decoders
from backbone.catalog.reader import Catalog
from backbone.endpoint_states import EndpointStateView
from backbone.kafka.admin import Admin
from backbone.kafka.consumer_loop import ConsumerLoop
from backbone.kafka.retrying import retry_unless
from backbone.kafka.topology import ensure_internal_topics
from backbone.kafka.transaction import TransactionalProducer
from backbone.runs.view import RunView
from schemas.model import topics
from stream_processors.routing.skew import router_skew
from stream_processors.runs.executor import GROUP, RunExecutor
from stream_processors.runs.held_ranges import HeldRanges
from stream_processors.runs.letters import Letters
from stream_processors.runtime.fault_injection import parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.settings import ProcessorSettings

_WRITTEN = (topics.WEBHOOK_REPLAYS, topics.ROUTING_RECEIPTS, topics.DEAD_LETTER_MARKS, topics.RUNS)


async def serve_runs(
    stopping: asyncio.Event, on_ready: Callable[[], None], *, settings: ProcessorSettings, metrics: ProcessorMetrics
) -> None:
    """Execute runs until ``stopping`` is set; what is written by then stays, and another process goes on.

    Args:
        stopping: ends it.
        on_ready: called once all runs are known.
        settings: of this process.
        metrics: of this process.
    """
    kafka = settings.kafka
    admin = Admin(kafka)
    if not await retry_unless(stopping, lambda: ensure_internal_topics(admin)):
        return
    async with contextlib.AsyncExitStack() as stack:
        on_stall = metrics.consumers_replaced.inc
        catalog = Catalog(kafka, settings.backbone.secret_keys, on_forged=metrics.catalog_forged.inc, on_stall=on_stall)
        view, letters = RunView(kafka, on_stall), Letters(kafka, on_stall)
        states = EndpointStateView(kafka, on_stall)
        catalog.start()
        stack.push_async_callback(asyncio.to_thread, catalog.stop)
        stack.push_async_callback(asyncio.to_thread, view.stop)
        stack.push_async_callback(asyncio.to_thread, letters.stop)
        stack.push_async_callback(asyncio.to_thread, states.stop)
        if not (await retry_unless(stopping, catalog.caught_up) and await retry_unless(stopping, view.caught_up)):
            return
        states.start()
        executor = RunExecutor(
            settings=kafka,
            catalog=catalog,
            decoders=Decoders(catalog),
            view=view,
            letters=letters,
            states=states,
            held=HeldRanges(kafka, settings.group),
            skew=await router_skew(settings, admin),
            new_producer=partial(
                TransactionalProducer,
                kafka,
                timeout=settings.transaction_timeout,
                writes_to=_WRITTEN,
                is_lock=True,
            ),
            metrics=metrics,
            before_commit=parse_fault(settings.fault_before_commit),
        )
        loop = ConsumerLoop(kafka, group=GROUP, topics=[topics.RUNS], member=executor, batch=1_000, on_stall=on_stall)
        ended = threading.Event()
        thread = threading.Thread(target=loop.run, args=[ended], name="runs", daemon=True)
        thread.start()
        on_ready()
        try:
            await stopping.wait()
        finally:
            ended.set()
            await asyncio.to_thread(thread.join)
