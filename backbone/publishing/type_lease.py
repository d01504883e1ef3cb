"""The lease under which a process publishes events with keys: its copy of the catalog is not older than that.

A topic grows in order only if no process writes by the former number of partitions while others write by the new one.
So a growth is a record of the catalog, and a process may publish for ``type_lease`` seconds after it has asked for the
end of the catalog and read up to it. Whoever carries on a growth waits for longer than that. The lease is checked just
before events are handed to Kafka's client, and once more when they are acknowledged: a process that was stopped in
between tells nobody that its events are written.

The clock only grows, counts the time in which the machine was suspended, and knows nothing of the time of day.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING

from backbone.kafka.producer import LIBRDKAFKA_TIMEOUT_AFTER
from backbone.kafka.records import partition_for
from schemas.model.errors import Frozen, Moved, NotAcknowledged, NotWritten, Unavailable
from schemas.model.growth import GrowthOrder, GrowthState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.errors import HeadraceError
    from schemas.model.growth import Growth

_SLACK = 1.1
"""By this factor a wait is longer than the lease: clocks of two machines do not run quite alike."""

_MOST_WAIT = 4.0
"""Seconds that a publish waits for a lease."""

_RENEW_TIMEOUT = 10.0

monotonic: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds, also those in which the machine was suspended."""


def seconds_until_expired(settings: KafkaSettings) -> float:
    """After a record of the catalog was seen, no process has a lease on an older catalog any more."""
    return settings.type_lease * _SLACK


def seconds_of_freeze(settings: KafkaSettings) -> float:
    """Until publishers have no lease from before the freeze, and nothing in flight."""
    return seconds_until_expired(settings) + settings.delivery_timeout + LIBRDKAFKA_TIMEOUT_AFTER


class TypeLease:
    """Of one process, on the present version of all event types; used on its event loop.

    Args:
        catalog: of this process.
        settings: says how long a lease is.
        clock: seconds that only grow.
    """

    def __init__(self, catalog: Catalog, settings: KafkaSettings, clock: Callable[[], float] = monotonic) -> None:
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._until = float("-inf")
        self._renewal: asyncio.Task[None] | None = None

    @property
    def version(self) -> int:
        """Of the catalog."""
        return self._catalog.view.version

    @property
    def is_any_frozen(self) -> bool:
        """Whether any event type must not be published."""
        return self._catalog.view.is_growing

    @property
    def is_held(self) -> bool:
        """Whether it has not expired."""
        return self._clock() < self._until

    async def held(self) -> None:
        """Return while the lease is held; it is renewed in the background in its second half.

        Raises:
            NotWritten: it has expired, and Kafka does not answer.
        """
        left = self._until - self._clock()
        if left > self._settings.type_lease / 2:
            return
        self._renewing()
        if left <= 0:
            try:
                async with asyncio.timeout(_MOST_WAIT):
                    while not self.is_held:
                        await asyncio.shield(self._renewing())
            except (Unavailable, TimeoutError) as error:
                raise NotWritten(f"the lease on event types is not renewed: {error}") from error

    def permit(self) -> Permit:
        """A permit for events that are encoded from now on."""
        return Permit(self, self.version)

    def refusal(self, records: Sequence[Record]) -> HeadraceError | None:
        """Why records with keys must not be written now, going by the catalog; None if they may."""
        view = self._catalog.view
        for topic, of_topic in _keyed(records).items():
            growth, event_type = view.growth(topic), view.event_type(topic)
            if growth is not None and not growth.is_ended:
                return _frozen(growth, self._settings)
            if event_type is None or _have_moved(of_topic, event_type.effective_partitions):
                return Moved(f"{topic}: the number of partitions has changed", retry_after=1)
        return None

    def doubt(self, records: Sequence[Record]) -> HeadraceError | None:
        """Why records that Kafka has acknowledged must not be told as written, going by the catalog."""
        view = self._catalog.view
        for topic, of_topic in _keyed(records).items():
            growth, event_type = view.growth(topic), view.event_type(topic)
            if growth is None or growth.order is not GrowthOrder.KEEP or event_type is None:
                continue
            is_late = growth.state is GrowthState.DRAINING
            if is_late or _have_moved(of_topic, event_type.effective_partitions):
                return NotAcknowledged(f"{topic}: written after its partitions were frozen")
        return None

    def _renewing(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew())
            self._renewal.add_done_callback(_retrieve)
        return self._renewal

    async def _renew(self) -> None:
        asked_at = self._clock()
        await self._catalog.caught_up(_RENEW_TIMEOUT)
        self._until = asked_at + self._settings.type_lease


class Permit:
    """To publish events that were encoded by one version of the catalog; cheap to check while it has not changed.

    Args:
        lease: of the process.
        version: of the catalog, before the events were encoded.
    """

    __slots__ = ("_lease", "_version")

    def __init__(self, lease: TypeLease, version: int) -> None:
        self._lease = lease
        self._version = version

    async def held(self, records: Sequence[Record]) -> None:
        """See ``TypeLease.held``; events without keys have no order, and need no lease."""
        if _have_keys(records):
            await self._lease.held()

    def check(self, records: Sequence[Record]) -> None:
        """Refuse events early, before anything is claimed for them.

        Raises:
            Frozen: the partitions of their type grow.
            Moved: they were encoded for another number of partitions.
        """
        if (refused := self._refusal(records)) is not None:
            raise refused

    def refusal(self, records: Sequence[Record]) -> HeadraceError | None:
        """Why the events must not be handed to Kafka now; None if they may."""
        if self._lease.is_held or not _have_keys(records):
            return self._refusal(records)
        return NotWritten("the lease on event types has expired")

    def _refusal(self, records: Sequence[Record]) -> HeadraceError | None:
        if self._lease.version == self._version and not self._lease.is_any_frozen:
            return None
        return self._lease.refusal(records)

    async def check_written(self, records: Sequence[Record]) -> None:
        """Refuse to acknowledge events that this process wrote when it had no right to any more.

        Raises:
            NotAcknowledged: they are written, where a reader may find them after later ones.
        """
        lease = self._lease
        if not lease.is_held and _have_keys(records):
            try:
                await lease.held()
            except NotWritten as error:
                raise NotAcknowledged(str(error)) from error
        if lease.version != self._version and (doubt := lease.doubt(records)) is not None:
            raise doubt


def _frozen(growth: Growth, settings: KafkaSettings) -> Frozen:
    """The error of a publish to a type that grows; by the time of day, which is only a hint here."""
    most = seconds_of_freeze(settings) + seconds_until_expired(settings)
    left = growth.created_at / 1e6 + most - time.time()
    return Frozen(f"{growth.topic} grows to {growth.partitions} partitions", retry_after=int(min(max(left, 1.0), most)))


def _have_keys(records: Sequence[Record]) -> bool:
    return any(record.key is not None for record in records)


def _keyed(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.key is not None:
            found.setdefault(record.topic, []).append(record)
    return found


def _have_moved(records: Sequence[Record], partitions: int) -> bool:
    return any(partition_for(record.key or b"", partitions) != record.partition for record in records)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take the outcome of a renewal that nobody may wait for."""
    if not task.cancelled():
        task.exception()
