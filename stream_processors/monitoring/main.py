"""The monitor: built, run until it is told to stop, taken down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin
from backbone.kafka.cluster import Cluster
from backbone.kafka.producer import Producer
from backbone.kafka.retrying import retry_unless
from backbone.kafka.topology import ensure_internal_topics
from backbone.operations.records import figures_record, tombstone
from backbone.operations.view import OperationsView
from schemas.model import timestamps
from schemas.model.cluster_figures import GROUP, KEYS, TOPIC
from schemas.model.errors import Unavailable
from stream_processors.monitoring.snapshot import ClusterWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import Record
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.monitoring.exposition import SnapshotCollector
    from stream_processors.monitoring.snapshot import Snapshot
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)

_OUR_GROUPS = "headrace-"


async def serve_monitor(
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
    *,
    settings: ProcessorSettings,
    metrics: ProcessorMetrics,
    shown: SnapshotCollector,
) -> None:
    """Look at the cluster again and again until ``stopping`` is set, and write what has changed.

    Args:
        stopping: ends it.
        on_ready: called once the first figures are written.
        settings: of this process.
        metrics: of this process.
        shown: shows the latest figures.
    """
    kafka = settings.kafka
    admin = Admin(kafka)
    if not await retry_unless(stopping, lambda: ensure_internal_topics(admin)):
        return
    async with contextlib.AsyncExitStack() as stack:
        view = OperationsView(kafka, metrics.consumers_replaced.inc)
        stack.push_async_callback(asyncio.to_thread, view.stop)
        if not await retry_unless(stopping, view.caught_up):
            return
        producer = Producer(kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        cluster = Cluster(kafka)
        stack.push_async_callback(asyncio.to_thread, cluster.close)
        named = {settings.group, settings.ledger_group}
        watch = ClusterWatch(cluster, lambda group: group.startswith(_OUR_GROUPS) or group in named)
        while not stopping.is_set():
            try:
                shown.snapshot = snapshot = await asyncio.to_thread(watch.look, timestamps.now(), view)
                await view.caught_up()
                await producer.send(changed_records(view, snapshot))
                on_ready()
            except Unavailable as error:
                log.warning("no figures of the cluster", extra={"reason": str(error)})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), settings.monitor_interval)


def changed_records(view: OperationsView, snapshot: Snapshot) -> list[Record]:
    """What has to be written after a snapshot: what differs, tombstones of what is gone, and last the overview.

    Args:
        view: what was written before.
        snapshot: the present.
    """
    topics = [each for each in snapshot.topics.values() if view.topic(each.topic) != each]
    groups = [each for each in snapshot.groups.values() if view.group(each.group) != each]
    gone = [f"{TOPIC}{each.topic}" for each in view.topics() if each.topic not in snapshot.topics]
    if not any(each.startswith("consumer groups") for each in snapshot.overview.missing):
        gone += [f"{GROUP}{each.group}" for each in view.groups() if each.group not in snapshot.groups]
    gone += [f"{KEYS}{worker}" for worker in view.old_key_counts(snapshot.overview.taken_at)]
    return [
        *map(figures_record, topics),
        *map(figures_record, groups),
        *map(tombstone, gone),
        figures_record(snapshot.overview),
    ]
