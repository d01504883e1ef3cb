"""Removes runs that ended long ago, so that neither the topic ``runs`` nor its views grow without bound."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backbone.runs.records import forgetting_records, partition_of
from schemas.model.run import RunKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backbone.catalog.view import CatalogView
    from backbone.kafka.transaction import TransactionalProducer
    from backbone.runs.view import KnownRun, RunView

log = logging.getLogger(__name__)

_BETWEEN = 60.0
"""Seconds between two looks."""

_MOST = 500
"""Runs that one transaction removes."""


class EndedRuns:
    """Writes tombstones for runs that ended longer ago than deliveries are kept.

    Until then a repeat of a request with its idempotency key finds the run that it made. The backfill of a subscription
    stays for as long as the subscription: who links the same again must not be sent everything a second time.

    Args:
        view: of all runs.
        retention: seconds, of deliveries.
        new_producer: builds the producer that writes the tombstones.
    """

    def __init__(self, view: RunView, retention: float, new_producer: Callable[[], TransactionalProducer]) -> None:
        self._view = view
        self._retention = retention
        self._new_producer = new_producer
        self._next_look = 0.0

    def remove(self, own: Collection[int], catalog: CatalogView, now: float, instant: int) -> None:
        """Remove those of some partitions, if it is time to look. Blocks for a moment.

        Args:
            own: partitions of the topic ``runs``.
            catalog: says which subscriptions there are.
            now: seconds; monotonic.
            instant: microseconds since the epoch.

        Raises:
            Unavailable, TransactionAborted: Kafka does not take it; they are looked for again later.
        """
        if now < self._next_look:
            return
        self._next_look = now + _BETWEEN
        if not self._found(own, catalog, instant):
            return
        # One that was begun again meanwhile has not ended.
        self._view.catch_up()
        found = self._found(own, catalog, instant)[:_MOST]
        producer = self._new_producer()
        try:
            producer.start()
            producer.begin()
            for known in found:
                for record in forgetting_records(known.run, self._view.partitions):
                    producer.produce(record)
            producer.commit()
        finally:
            producer.close()
        log.info("ended runs removed", extra={"runs": len(found)})

    def _found(self, own: Collection[int], catalog: CatalogView, instant: int) -> list[KnownRun]:
        before = instant - int(self._retention * 1_000_000)
        return [
            known
            for known in self._view.runs()
            if known.is_ended
            and known.progress is not None
            and known.progress.changed_at < before
            and partition_of(known.run.lock, self._view.partitions) in own
            and not _is_kept(known, catalog)
        ]


def _is_kept(known: KnownRun, catalog: CatalogView) -> bool:
    run = known.run
    is_of_subscription = run.kind is RunKind.BACKFILL and run.held_since is None
    return is_of_subscription and any(catalog.subscription(each) is not None for each in run.subscriptions)
