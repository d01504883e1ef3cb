"""The ledger agent: indexes batches of records into SQL, then commits their offsets."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from schemas.model import timestamps
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Partition
    from stream_processors.indexing.balance_watch import BalanceWatch
    from stream_processors.indexing.indexer import LedgerIndexer
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.runtime.dead_letters import DeadLetters
    from stream_processors.runtime.reader import Batch, BatchReader

log = logging.getLogger(__name__)

_BACKOFF = 1.0
"""Seconds to wait when Kafka or the database cannot take it."""
_EXPIRY_INTERVAL = 3_600.0
"""Seconds between two deletions of rows past their retention; only a worker that indexes deletes."""
_TIDYING = 0.2
"""Seconds after a batch that deleting may take, but for its last statement."""


class LedgerAgent:
    """Indexes batches one at a time. To index a batch twice changes nothing.

    Args:
        catalog: brought up to date before each batch; its event types say what the ledger keeps.
        reader: source of the batches.
        indexer: writes the batches; passes poison records to ``dead_letters``.
        dead_letters: writes them before the offsets are committed.
        create: makes the ledger's tables; called before the first batch, until it succeeds.
        watch: started and stopped with the agent.
        expire: deletes some of the rows from before a time (microseconds since the epoch), and returns how many; 0
            says that none was left.
        fill_in: completes some rows that earlier versions wrote, likewise.
        retention: seconds for which the ledger keeps rows.
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
        watch: BalanceWatch,
        expire: Callable[[int], int],
        fill_in: Callable[[], int],
        retention: float,
        metrics: ProcessorMetrics,
    ) -> None:
        self.reader = reader
        self._catalog = catalog
        self._indexer = indexer
        self._dead_letters = dead_letters
        self._create = create
        self._watch = watch
        self._created = False
        self._expire = expire
        self._fill_in = fill_in
        self._retention = retention
        self._tidy_at = 0.0
        self._tidied = 0
        self._metrics = metrics
        self._closing = threading.Event()
        self._busy = threading.Lock()
        watch.start()

    def handle(self, batch: Batch) -> None:
        """Index a batch; repeat it while Kafka or the database is away; drop it when its generation is over."""
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
        """Return False: this agent leaves no work behind."""
        return False

    def close(self) -> None:
        """Close the producer of dead letters, after the batch that is being indexed."""
        self._closing.set()
        self._watch.stop()
        with self._busy:
            self._dead_letters.close()

    def _index(self, batch: Batch) -> None:
        if not self._created:
            self._create()
            self._created = True
        self._catalog.catch_up()
        self._dead_letters.forget()
        self._indexer.index(batch.messages)
        self._metrics.set_aside.labels("ledger").inc(self._dead_letters.write())
        offsets: dict[Partition, int] = {}
        for message in batch.messages:
            offsets[message.topic(), message.partition()] = message.offset() + 1
        self.reader.commit(offsets)
        self._metrics.indexed_records.inc(len(batch.messages))
        self._tidy()

    def _tidy(self) -> None:
        """Apply the retention, and complete old rows, for a moment after each batch: indexing goes on in between."""
        begun = time.monotonic()
        if begun < self._tidy_at:
            return
        before = timestamps.now() - int(self._retention * 1_000_000)
        rows = 1
        try:
            while rows and time.monotonic() - begun < _TIDYING:
                rows = self._expire(before) + self._fill_in()
                self._tidied += rows
        except Unavailable as error:
            log.warning("the ledger's retention was not applied", extra={"error": str(error)})
            self._tidy_at = time.monotonic() + _EXPIRY_INTERVAL
            return
        if not rows:
            self._tidy_at = time.monotonic() + _EXPIRY_INTERVAL
            log.info("the ledger's retention was applied", extra={"rows": self._tidied})
            self._tidied = 0
