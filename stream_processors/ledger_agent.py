"""The ledger agent: batches of everything that happened go into SQL, then their offsets are committed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, cast

from schemas import timestamps
from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Message, Partition
    from stream_processors.dead_letters import DeadLetters
    from stream_processors.ledger import LedgerIndexer
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.reader import Batch, BatchReader

log = logging.getLogger(__name__)

_BACKOFF = 1.0
"""Seconds to wait when Kafka or the database cannot take it."""
_EXPIRY_INTERVAL = 3_600.0
"""Seconds between two looks for what is past its retention; only a worker that indexes looks."""


class LedgerAgent:
    """Indexes batches one at a time; a batch may be indexed twice, which changes nothing.

    Args:
        catalog: is made to catch up before each batch: its event types say what the ledger keeps.
        reader: where the batches come from.
        indexer: writes them; hands its poison to ``dead_letters``.
        dead_letters: written before the offsets are committed.
        create: makes the ledger's tables; called before the first batch, until the database has let it.
        expire: deletes from the ledger what happened before a time (microseconds since the epoch).
        retention: how long the ledger keeps what happened, in seconds.
        metrics: of this process.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        reader: BatchReader,
        indexer: LedgerIndexer,
        dead_letters: DeadLetters,
        create: Callable[[], None],
        expire: Callable[[int], int],
        retention: float,
        metrics: ProcessorMetrics,
    ) -> None:
        self.reader = reader
        self._catalog = catalog
        self._indexer = indexer
        self._dead_letters = dead_letters
        self._create = create
        self._created = False
        self._expire = expire
        self._retention = retention
        self._expire_at = 0.0
        self._metrics = metrics
        self._closing = threading.Event()
        self._busy = threading.Lock()

    def handle(self, batch: Batch) -> None:
        """Index a batch, again and again while Kafka or the database is away; dropped when its generation is over."""
        with self._busy:
            while batch.generation == self.reader.generation and not self.reader.stopping:
                try:
                    self._index(batch)
                except Unavailable as error:
                    log.warning("a batch was not indexed; trying again", extra={"error": str(error)})
                    self._closing.wait(_BACKOFF)
                else:
                    return

    def go_on(self) -> bool:
        """Nothing is left undone."""
        return False

    def close(self) -> None:
        """Close the producer of dead letters, after the batch that is being indexed."""
        self._closing.set()
        with self._busy:
            self._dead_letters.close()

    def _index(self, batch: Batch) -> None:
        if not self._created:
            self._create()
            self._created = True
        self._catalog.catch_up()
        self._dead_letters.forget()
        self._indexer.index(cast("list[Message]", batch.messages))
        self._metrics.set_aside.labels("ledger").inc(self._dead_letters.write())
        offsets: dict[Partition, int] = {}
        for message in batch.messages:
            offsets[message.topic(), message.partition()] = message.offset() + 1
        self.reader.commit(offsets)
        self._metrics.indexed_records.inc(len(batch.messages))
        self._expire_old()

    def _expire_old(self) -> None:
        if time.monotonic() < self._expire_at:
            return
        self._expire_at = time.monotonic() + _EXPIRY_INTERVAL
        expired = self._expire(timestamps.now() - int(self._retention * 1_000_000))
        log.info("the ledger's retention was applied", extra={"rows": expired})
