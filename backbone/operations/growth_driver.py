"""Carries on growths whose order is kept, in every process of the HTTP plane at once.

Those who freeze are those who thaw: as long as one process is there to refuse events, one is there to go on. Each
measures the waits by its own clock, from when it saw the record of the state; the first to have waited takes the growth
to the next state. So none relies on another, a crash costs at most one wait, and the time of day plays no part.
"""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial
from typing import TYPE_CHECKING

from backbone.publishing.type_lease import monotonic, seconds_of_freeze, seconds_until_expired
from schemas.model.errors import HeadraceError
from schemas.model.growth import GrowthState

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings
    from backbone.operations.draining import Draining
    from backbone.operations.growths import Growths
    from schemas.model.growth import Growth

log = logging.getLogger(__name__)

MOST_DRAINING = 60.0
"""Seconds for the groups of Headrace to read what was published before; then the growth is rolled back."""

_LOOK = 0.5
"""Seconds between two looks at the catalog."""

_ASK = 1.0, 3.0
"""Seconds between two questions about groups, at least and at most: of several processes few ask at once."""


class GrowthDriver:
    """Of one process, on its event loop.

    Args:
        catalog, growths, draining, settings: of this process.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        catalog: Catalog,
        growths: Growths,
        draining: Draining,
        settings: KafkaSettings,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._catalog = catalog
        self._growths = growths
        self._draining = draining
        self._settings = settings
        self._clock = clock
        self._driven: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Carry on all growths until it is cancelled."""
        try:
            while True:
                for growth in self._catalog.view.growing():
                    if growth.id not in self._driven:
                        task = asyncio.create_task(self._drive(growth))
                        self._driven[growth.id] = task
                        task.add_done_callback(partial(self._forget, growth.id))
                await asyncio.sleep(_LOOK)
        finally:
            for task in list(self._driven.values()):
                task.cancel()

    async def _drive(self, growth: Growth) -> None:
        """Carry on one growth until it has ended, however often Kafka does not answer."""
        while (present := self._present(growth)) is not None:
            try:
                if present.state is GrowthState.FREEZING:
                    await self._freeze(present)
                else:
                    await self._drain(present)
            except HeadraceError as error:
                log.warning("a growth waits for Kafka", extra={"topic": growth.topic, "error": str(error)})
                await asyncio.sleep(_LOOK)
            except Exception:  # the topic stays frozen until it goes on
                log.exception("a growth failed and is tried again", extra={"topic": growth.topic})
                await asyncio.sleep(_ASK[1])

    async def _freeze(self, growth: Growth) -> None:
        if await self._waited(growth, seconds_of_freeze(self._settings)):
            await self._growths.drain(growth)

    async def _drain(self, growth: Growth) -> None:
        # What was written by a process that woke up late is acknowledged to nobody after this wait.
        if not await self._waited(growth, seconds_until_expired(self._settings)):
            return
        ends: dict[Partition, int] = await asyncio.to_thread(self._draining.ends, growth)
        until = self._clock() + MOST_DRAINING
        while self._present(growth) == growth:
            event_type = self._catalog.view.event_type(growth.topic)
            behind = {}
            if event_type is not None:
                behind = await asyncio.to_thread(self._draining.behind, self._catalog.view, event_type, ends)
            if not behind:
                if await self._growths.finish(growth):
                    log.info("a topic has grown", extra={"topic": growth.topic, "partitions": growth.partitions})
            elif self._clock() > until:
                named = ", ".join(f"{group} by {left:,} offsets" for group, left in behind.items())
                reason = f"After {MOST_DRAINING:.0f} s these groups had not read what was published before: {named}."
                if await self._growths.roll_back(growth, reason):
                    log.warning("a growth was rolled back", extra={"topic": growth.topic, "reason": reason})
            else:
                await asyncio.sleep(random.uniform(*_ASK))

    async def _waited(self, growth: Growth, seconds: float) -> bool:
        """Wait from now on; False if the growth has changed meanwhile."""
        until = self._clock() + seconds
        while self._present(growth) == growth:
            left = until - self._clock()
            if left <= 0:
                return True
            await asyncio.sleep(min(left, _LOOK))
        return False

    def _forget(self, growth: str, _: asyncio.Task[None]) -> None:
        self._driven.pop(growth, None)

    def _present(self, growth: Growth) -> Growth | None:
        """The growth as it is now; None once it has ended."""
        found = self._catalog.view.growth(growth.topic)
        return found if found is not None and found.id == growth.id and not found.is_ended else None
