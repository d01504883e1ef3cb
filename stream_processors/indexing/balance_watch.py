"""Watches the balance beside the ledger agent: is all that Kafka has in the ledger, does it add up, is anything tried?

It alerts by metrics and log lines; it changes nothing but the time until which the ledger is complete.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from backbone.kafka.read_to_end import read_to
from backbone.ledger.balance import BalanceQuery
from backbone.ledger.balance_tables import HOUR
from schemas.model import timestamps
from schemas.model.errors import Unavailable
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import Partition
    from backbone.ledger.balance import Balance
    from stream_processors.metrics import ProcessorMetrics

log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds between two looks whether the ledger is complete."""

_ASK_EVERY = 60.0
"""Seconds between two questions for the partitions of the topics: Kafka answers with all topics that there are."""

_COUNT_EVERY = 60.0
"""Seconds between two counts of what does not add up and of what waits."""

_COUNTED = 2 * HOUR
"""Microseconds before now that are counted, with the whole of their first hour."""

_MOST_SHOWN = 100
"""Rows that do not add up, which one look counts of a workspace."""

_FEW = 1_000
"""Offsets behind the end of a partition that may all be markers of transactions. With more, records are among them."""

_TAIL_SECONDS = 5.0
_SETTLE = 60_000_000
"""Microseconds that a delivery may wait before it counts as waiting."""


class BalanceWatch:
    """A thread beside the ledger agent.

    Args:
        topics: those whose reading the ledger notes.
        workspaces: the names of all.
        new_consumer: makes a consumer without a group; called again after Kafka was away.
        create: makes the ledger's tables.
        complete: notes that the ledger has all that Kafka had at a time (microseconds since the epoch).
        balance: reads the ledger.
        metrics: of this process.
    """

    def __init__(
        self,
        *,
        topics: Collection[str],
        workspaces: Callable[[], Iterable[str]],
        new_consumer: Callable[[], BatchConsumer],
        create: Callable[[], None],
        complete: Callable[[int], None],
        balance: Balance,
        metrics: ProcessorMetrics,
    ) -> None:
        self._topics = topics
        self._workspaces = workspaces
        self._new_consumer = new_consumer
        self._create = create
        self._complete = complete
        self._balance = balance
        self._metrics = metrics
        self._waiting = 0
        self._count_at = 0.0
        self._ask_at = 0.0
        self._partitions: list[Partition] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balance-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the look of this moment."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY):
            try:
                self._look_on()
            except Unavailable as error:
                log.warning("the balance cannot be watched now", extra={"reason": str(error)})
            except Exception:
                log.exception("watching the balance failed")

    def _look_on(self) -> None:
        self._create()
        consumer = self._new_consumer()
        try:
            while not self._stopping.wait(_LOOK_EVERY):
                if self.is_complete(consumer) and time.monotonic() >= self._count_at:
                    self._count_at = time.monotonic() + _COUNT_EVERY
                    self.count()
        finally:
            consumer.close()

    def is_complete(self, consumer: BatchConsumer) -> bool:
        """Look whether the ledger has everything that Kafka has, and note the time if so.

        Raises:
            Unavailable: Kafka or the database does not answer.
        """
        now = timestamps.now()
        if time.monotonic() >= self._ask_at:
            self._partitions = consumer.partitions_of(self._topics)
            self._ask_at = time.monotonic() + _ASK_EVERY
        watermarks = consumer.watermarks(self._partitions)
        indexed = self._balance.indexed()
        reached = {partition: max(indexed.get(partition, 0), first) for partition, (first, _) in watermarks.items()}
        ends = {partition: end for partition, (_, end) in watermarks.items() if reached[partition] < end}
        if any(end - reached[partition] > _FEW for partition, end in ends.items()):
            return False
        if ends and self._has_records(consumer, {partition: reached[partition] for partition in ends}, ends):
            return False
        self._complete(now)
        self._metrics.ledger_complete_until.set(now / 1_000_000)
        return True

    def count(self) -> None:
        """Count what does not add up and what waits without being tried; alert if there is any.

        Raises:
            Unavailable: the database does not answer.
        """
        now = timestamps.now()
        query = BalanceQuery(since=now - _COUNTED, until=now, unbalanced=True, limit=_MOST_SHOWN)
        workspaces = [ReadScope(workspace=name) for name in self._workspaces()]
        rows = [row for scope in workspaces for row in self._balance.rows(scope, query)]
        # In this hour events go on being routed while it is counted.
        wrong = [row for row in rows if row.hour + HOUR <= now - _SETTLE]
        self._metrics.unbalanced.set(len(wrong))
        for row in wrong:
            about = {"workspace": row.workspace, "endpoint": row.endpoint, "difference": row.difference}
            log.error("deliveries do not add up", extra={**about, "hour": timestamps.to_text(row.hour)})
        self._metrics.routing_faults.set(self._balance.fault_count())
        times = {"since": now - _COUNTED, "until": now - _SETTLE}
        waiting = sum(self._balance.waiting(scope.workspace, **times) for scope in workspaces)
        if waiting > self._waiting and not self._balance.tried(since=now - _SETTLE):
            log.error("deliveries wait and none is tried", extra={"waiting": waiting})
            self._metrics.untried.set(waiting)
        else:
            self._metrics.untried.set(0)
        self._waiting = waiting

    def _has_records(
        self, consumer: BatchConsumer, reached: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> bool:
        """Whether there are records before the ends. Markers of transactions and aborted records are none."""
        deadline = time.monotonic() + _TAIL_SECONDS

        def check() -> None:
            if time.monotonic() > deadline:
                raise Unavailable("the ends of topics cannot be read")

        consumer.assign(reached)
        try:
            found = read_to(consumer, ends, dict(reached), check=check, batch=1)
            return any(record.offset() < ends[record.topic(), record.partition()] for record in found)
        finally:
            consumer.assign({})
