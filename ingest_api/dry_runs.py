"""Dry runs of filters and projections: few at a time, on threads, and of what the reader may see."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from backbone.publishing.dry_run import Looked, dry_run
from backbone.publishing.projection_dry_run import TriedOn, dry_run_projection
from backbone.thread_turns import ThreadTurns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backbone.catalog.reader import Catalog
    from ingest_api.settings import IngestSettings
    from schemas.model.endpoint import EventFilter
    from schemas.projections.projection import Projection
    from schemas.security.reading import ReadScope

Tried = TypeVar("Tried", Looked, TriedOn)
"""An event that a dry run has looked at."""

_AT_ONCE, _OF_WORKSPACE = 8, 2
"""At the same time; each has a Kafka consumer and a thread of its own."""


class DryRuns:
    """Runs them in turn.

    Args:
        settings: how to reach Kafka, and how long a request may take.
        catalog: this process's reader.
        in_time: waits no longer than a request may.
        readable: asks the ledger which of some events a reader may see, and were not redacted.
    """

    def __init__(
        self,
        settings: IngestSettings,
        catalog: Catalog,
        in_time: Callable[[Awaitable[object]], Awaitable[object]],
        readable: Callable[[ReadScope, Sequence[str]], Awaitable[set[str]]],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._in_time = in_time
        self._readable = readable
        self._threads = ThreadTurns()
        self._all = asyncio.Semaphore(_AT_ONCE)
        self._of: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_OF_WORKSPACE))

    async def of_filter(self, scope: ReadScope, event_filter: EventFilter, *, last: int) -> list[Looked]:
        """The last events of a filter's types that the reader may see, and whether it matches each.

        See ``backbone.publishing.dry_run``. The ledger says which they are; those that were redacted are left out.
        """
        return await self._tried(scope, functools.partial(dry_run, event_filter=event_filter, last=last))

    async def of_projection(self, scope: ReadScope, topic: str, projection: Projection, *, last: int) -> list[TriedOn]:
        """The last events of a type that the reader may see, and what a projection makes of each.

        See ``backbone.publishing.projection_dry_run``.
        """
        trying = functools.partial(dry_run_projection, topic=topic, projection=projection, last=last)
        return await self._tried(scope, trying)

    async def _tried(self, scope: ReadScope, trying: Callable[..., list[Tried]]) -> list[Tried]:
        await self._in_time(self._catalog.caught_up())
        seconds, of_workspace = self._settings.request_timeout, self._of[scope.workspace]
        await self._in_time(of_workspace.acquire())
        try:
            await self._in_time(self._all.acquire())
            try:
                found = await asyncio.to_thread(
                    trying, self._settings.kafka, self._catalog, seconds=seconds, turns=self._threads
                )
            finally:
                self._all.release()
        finally:
            of_workspace.release()
        # Kafka still has the payload of events that were redacted.
        readable = await self._readable(scope, [each.event_id for each in found])
        return [each for each in found if each.event_id in readable]
