"""A file sink's process: one thread that reads and writes, one that tails the catalog."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import threading
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.files import event_files
from backbone.health import Health
from backbone.kafka.admin import Admin
from backbone.kafka.topology import ensure_internal_topics_now
from backbone.kafka.transaction import TransactionalProducer
from backbone.stop_limit import StopLimit
from connectors.exposition import expose
from connectors.file_sink import GROUP, FileSink
from connectors.lines import LineRenderer
from connectors.metrics import FileMetrics
from schemas import topics
from schemas.errors import Unavailable
from schemas.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from connectors.settings import ConnectorSettings

log = logging.getLogger(__name__)

_START_AGAIN = 1.0


def run(settings: ConnectorSettings) -> None:
    """Run a file sink until SIGTERM or SIGINT."""
    stopping, limit = threading.Event(), StopLimit()

    def stop(*_: object) -> None:
        limit.begin()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    health = Health(settings.kafka)
    expose(settings, health)
    serve_files(settings, stopping, functools.partial(_mark, health), FileMetrics())


def serve_files(
    settings: ConnectorSettings,
    stopping: threading.Event,
    on_health: Callable[[bool], None],
    metrics: FileMetrics,
    group: str = GROUP,
) -> None:
    """Publish event files until ``stopping`` is set.

    Args:
        settings: of this process.
        stopping: ends it.
        on_health: told True once it can do its work, False while files cannot be written.
        metrics: counters to use.
        group: the consumer group.

    Raises:
        Misconfigured: files cannot be kept where ``HEADRACE_FILES_URL`` says.
    """
    files = event_files(settings.backbone.files_url)
    catalog = Catalog(
        settings.kafka,
        settings.backbone.secret_keys,
        on_forged=metrics.catalog_forged.inc,
        on_stall=metrics.consumers_replaced.inc,
    )
    with contextlib.ExitStack() as stack:
        if not _persist(stopping, lambda: ensure_internal_topics_now(Admin(settings.kafka))):
            return
        catalog.start()
        stack.callback(catalog.stop)
        if not _persist(stopping, catalog.catch_up):
            return
        outbox = _Outbox(settings.kafka)
        stack.callback(outbox.close)
        FileSink(
            settings.kafka,
            files=files,
            renderer=LineRenderer(catalog),
            write=outbox.write,
            on_health=on_health,
            metrics=metrics,
            settings=settings.file,
            group=group,
        ).run(stopping)


class _Outbox:
    """Writes records, each list of them as a whole; its producer comes into being with the first."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # Nobody takes over from it, so no other sink may be fenced by it.
        self._transactional_id = f"headrace-files-{new_id()}"
        self._producer: TransactionalProducer | None = None

    def write(self, records: Sequence[Record]) -> None:
        """Return once Kafka has them.

        Raises:
            Unavailable: it has not.
        """
        try:
            if self._producer is None:
                written = [topics.ATTEMPTS, topics.DEAD_LETTERS]
                self._producer = TransactionalProducer(self._settings, self._transactional_id, writes_to=written)
                self._producer.start()
            self._producer.begin()
            for record in records:
                self._producer.produce(record)
            self._producer.commit()
        except Unavailable:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; a later record connects again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()


def _mark(health: Health, healthy: bool) -> None:  # noqa: FBT001  # the one thing that it is told
    if healthy:
        health.ready()
    else:
        health.unready("Event files cannot be written.")


def _persist(stopping: threading.Event, call: Callable[[], object]) -> bool:
    """Try until it works, True, or it shall stop, False: Kafka may start after us."""
    while not stopping.is_set():
        try:
            call()
        except Unavailable as error:
            log.warning("waiting for Kafka: %s", error)
            stopping.wait(_START_AGAIN)
        else:
            return True
    return False
