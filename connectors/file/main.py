"""The file sink: one thread that reads and writes, one that tails the catalog."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.event_files import event_files
from backbone.kafka.admin import Admin
from backbone.kafka.outbox import Outbox
from backbone.kafka.retrying import retry_blocking
from backbone.kafka.topology import ensure_internal_topics_now
from backbone.kafka.transaction import TransactionalProducer
from connectors.file.rendering import LineRenderer
from connectors.file.sink import GROUP, FileSink
from schemas.model import topics
from schemas.model.ids import new_id

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from backbone.kafka.settings import KafkaSettings
    from backbone.process.settings import BackboneSettings
    from connectors.file.metrics import FileMetrics
    from connectors.file.settings import FileSettings
    from connectors.shared.body import Bodies


def serve_files(
    stopping: threading.Event,
    on_health: Callable[[bool], None],
    *,
    kafka: KafkaSettings,
    backbone: BackboneSettings,
    settings: FileSettings,
    bodies: Bodies,
    metrics: FileMetrics,
    group: str = GROUP,
) -> None:
    """Publish event files until ``stopping`` is set. Blocks.

    Args:
        stopping: ends it.
        on_health: called with True once it can do its work, with False while files cannot be written.
        kafka: how to reach Kafka.
        backbone: where files are, and the secret keys.
        settings: when a file is cut.
        bodies: the formats that endpoints may ask for.
        metrics: counters to use.
        group: the consumer group.

    Raises:
        Misconfigured: files cannot be kept where ``HEADRACE_FILES_URL`` says.
    """
    files = event_files(backbone.files_url)
    catalog = Catalog(
        kafka,
        backbone.secret_keys,
        on_forged=metrics.catalog_forged.inc,
        on_stall=metrics.consumers_replaced.inc,
    )
    with contextlib.ExitStack() as stack:
        if not retry_blocking(stopping, lambda: ensure_internal_topics_now(Admin(kafka))):
            return
        catalog.start()
        stack.callback(catalog.stop)
        if not retry_blocking(stopping, catalog.catch_up):
            return
        # Nobody takes over from it, so its id is its own: no other sink may be fenced by it.
        new_producer = functools.partial(
            TransactionalProducer, kafka, f"headrace-files-{new_id()}", writes_to=[topics.ATTEMPTS, topics.DEAD_LETTERS]
        )
        outbox = Outbox(new_producer)
        stack.callback(outbox.close)
        FileSink(
            kafka,
            files=files,
            renderer=LineRenderer(catalog, bodies),
            write=outbox.write,
            on_health=on_health,
            metrics=metrics,
            settings=settings,
            group=group,
        ).run(stopping)
