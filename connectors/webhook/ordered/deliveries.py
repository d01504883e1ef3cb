"""Runs the ordered deliveries of an event: group after group, the members of a group in parallel, one try each.

A delivery that fails stops nothing. The record's offset is finished when the attempt of every delivery is written.
Groups that are left after some seconds become a record of their own on ``deliveries.webhook``, so that the offset waits
for one group and not for all; a worker that loses the partition hands over in the same way. Events of one type share a
queue: however slow their endpoints are, they hold up no others, and events that do not fit wait on the retry tiers.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.retrying import retry
from connectors.webhook.attempts import again_record
from connectors.webhook.endpoint_queues import EndpointQueues
from schemas.model import timestamps
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Record
    from connectors.shared.offsets import PartitionProgress
    from connectors.webhook.backlog import Order
    from connectors.webhook.endpoint_queue import EndpointQueue
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.in_flight import InFlight
    from connectors.webhook.ordered.calls import Calls
    from connectors.webhook.outcomes import OrderedJob, Outcomes
    from connectors.webhook.stall_clock import StallClock
    from schemas.model.delivery import Contract, Delivery
    from schemas.model.endpoint import Endpoint

_AT_ONCE = 64
"""Most events of one type whose deliveries run at the same time in one process."""

_HOLD = 5.0
"""Seconds after which the groups that are left become a record of their own."""


class OrderedDeliveries:
    """Takes grouped deliveries from the webhook connector.

    Args:
        catalog: has the endpoints.
        states: tells which endpoints are disabled.
        calls: makes the calls.
        outcomes: decides and writes the outcomes.
        in_flight: runs the work.
        clock: of the queues.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        states: EndpointStates,
        calls: Calls,
        outcomes: Outcomes,
        in_flight: InFlight,
        clock: StallClock,
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._calls = calls
        self._outcomes = outcomes
        self._in_flight = in_flight
        self._clock = clock
        self._queues: EndpointQueues[OrderedJob] = EndpointQueues()
        self.queued = 0
        """Events that wait in a queue."""

    def accept(self, job: OrderedJob) -> None:
        """Take one event with its deliveries."""
        now = self._clock.now()
        queue = self._queues.of(job.delivery.source.topic, _AT_ONCE)
        if not job.crowded and queue.offer(job, now, job.order):
            self.queued += 1
            self._start_next(queue)
        else:
            self._postpone(queue, job, now)

    def tick(self, now: float) -> None:
        """Put off events that waited for too long; ``now`` by the clock."""
        for queue in self._queues.all():
            for job in queue.overdue(now):
                self.queued -= 1
                self._postpone(queue, job, now)

    def oldest(self, now: float) -> Order | None:
        """The place in line of the event that has waited for the longest."""
        return self._queues.oldest(now)

    def forget_idle(self, now: float) -> None:
        """Drop queues without work."""
        self._queues.forget_idle(now)

    def hand_on(self, parts: Collection[PartitionProgress]) -> None:
        """Write the waiting events of these partitions to their end, for the next owner."""
        for queue in self._queues.all():
            for job in queue.remove(lambda job: job.progress in parts):
                self.queued -= 1
                self._write(job, [again_record(job.message, job.delivery)])

    def _start_next(self, queue: EndpointQueue[OrderedJob]) -> None:
        while (taken := queue.take(self._clock.now())) is not None:
            self.queued -= 1
            ticket, job = taken
            work = partial(self._run, queue, ticket, job)
            self._in_flight.start(job.progress, self._outcomes.guard(job.message, job.progress, work))

    async def _run(self, queue: EndpointQueue[OrderedJob], ticket: int, job: OrderedJob) -> None:
        try:
            records = await self._run_groups(job)
        finally:
            # The queue measures how long these events take; whether one endpoint works says nothing of the others.
            queue.done(ticket, self._clock.now(), healthy=True)
            self._start_next(queue)
        if records is None:
            return
        if records:
            await self._outcomes.note(job.message, records)
        job.progress.finish(job.message.offset())

    async def _run_groups(self, job: OrderedJob) -> list[Record] | None:
        """Return what is to be written before the offset is finished; None when the partition's next owner goes on."""
        started = time.monotonic()
        left: Sequence[Contract] = job.delivery.contracts
        for group in job.delivery.groups():
            if job.progress.revoked:
                return None
            if left is not job.delivery.contracts and (job.progress.closing or time.monotonic() - started > _HOLD):
                return [_remainder(job, left)]
            try:
                written = await asyncio.gather(*(self._execute(job, contract) for contract in group))
            except CorruptRecord as error:
                return self._outcomes.poison(job.message, str(error))
            if not all(written):
                return None
            left = left[len(group) :]
        return []

    async def _execute(self, job: OrderedJob, contract: Contract) -> bool:
        """Make one delivery and write its attempt.

        Return False if the partition was taken away before the outcome was known; nothing has been written then.
        """
        delivery = job.delivery.delivery(contract)
        endpoint = await self._endpoint(delivery)
        if isinstance(endpoint, str):
            deleted = self._catalog.view.endpoint(delivery.endpoint) is None
            await self._outcomes.note(job.message, self._outcomes.cancelled(delivery, endpoint, deleted=deleted))
            return True
        started_at = timestamps.now()
        response = await self._calls.make(job.message.value(), job.headers, delivery, endpoint, started_at)
        records = self._outcomes.of_ordered(job, delivery, response, started_at)
        await self._outcomes.note(job.message, records)
        return bool(records)

    async def _endpoint(self, delivery: Delivery) -> Endpoint | str:
        """The endpoint, or why it cannot be called."""
        endpoint = self._catalog.view.endpoint(delivery.endpoint)
        if endpoint is None or self._states.disabled_reason(endpoint) is not None:
            # It may be newer, or enabled later, than this process has read.
            await retry(self._catalog.caught_up)
            endpoint = self._catalog.view.endpoint(delivery.endpoint)
        if endpoint is None:
            return "the endpoint was deleted"
        return self._states.disabled_reason(endpoint) or endpoint

    def _postpone(self, queue: EndpointQueue[OrderedJob], job: OrderedJob, now: float) -> None:
        seconds = queue.put_off(now, job.order, again=self._queues.again(), crowded=job.crowded) - now
        self._write(job, self._outcomes.postponed(job, seconds, "busy"))

    def _write(self, job: OrderedJob, records: Sequence[Record]) -> None:
        work = partial(self._outcomes.write, job.message, job.progress, records)
        self._in_flight.start(job.progress, self._outcomes.guard(job.message, job.progress, work))


def _remainder(job: OrderedJob, left: Sequence[Contract]) -> Record:
    return again_record(job.message, msgspec.structs.replace(job.delivery, contracts=tuple(left)))
