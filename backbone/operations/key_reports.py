"""Tells the topic ``operations`` which keys are frequent among the events that this process publishes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from backbone.operations.records import figures_record, tombstone
from schemas.model import timestamps
from schemas.model.cluster_figures import KEYS, KeyCounts, TopicKeys
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from backbone.kafka.producer import Producer
    from backbone.publishing.hot_keys import HotKeys

log = logging.getLogger(__name__)

_EVERY = 15.0
"""Seconds between two reports."""

_MOST = 10
_LONGEST = 100
"""Characters of a key that are told."""

_MOST_TOPICS = 500


class KeyReports:
    """Of one process.

    Args:
        producer: writes them.
        hot_keys: what was counted.
    """

    def __init__(self, producer: Producer, hot_keys: HotKeys) -> None:
        self._producer = producer
        self._hot_keys = hot_keys
        self._worker = uuid4().hex
        self._has_reported = False

    async def run(self) -> None:
        """Report until this is cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.report()
            except Unavailable as error:
                log.info("frequent keys were not reported", extra={"reason": str(error)})

    async def report(self) -> None:
        """Write what is frequent now; nothing while nothing was counted.

        Raises:
            Unavailable: Kafka does not take it.
        """
        shares = self._hot_keys.shares(_MOST)
        self._hot_keys.fade()
        if not shares and not self._has_reported:
            return
        busiest = sorted(shares.items(), key=lambda each: -each[1].counted)[:_MOST_TOPICS]
        topics = {
            topic: TopicKeys(
                counted=round(found.counted, 1),
                keys=[(key.decode(errors="replace")[:_LONGEST], round(count, 1)) for key, count in found.keys],
            )
            for topic, found in busiest
        }
        await self._producer.send([figures_record(KeyCounts(worker=self._worker, at=timestamps.now(), topics=topics))])
        self._has_reported = bool(shares)

    async def end(self) -> None:
        """Take back what was reported: another process counts what comes now."""
        if self._has_reported:
            with contextlib.suppress(Unavailable):
                await self._producer.send([tombstone(f"{KEYS}{self._worker}")])
