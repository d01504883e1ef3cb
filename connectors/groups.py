"""Runs the contracts of an event (eventhos): groups one after another, their members side by side, one try each.

A contract that fails stops nothing. The record's offset is finished when every contract's attempt is written. What is
left of a record whose groups take long is written to ``deliveries.webhook`` as a record of its own, so that the offset
waits for one group rather than for all of them; a worker that loses the partition hands over in the same way. Events of
one type share a lane: however slow their contracts are, they hold up no others, and what does not fit is put off to the
retry tiers.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from connectors.attempts import again_record
from connectors.lanes import Lane, Lanes
from connectors.outcomes import AGAIN, GroupJob, Outcomes
from schemas import timestamps
from schemas.errors import CorruptRecord, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Record
    from connectors.backlog import Order
    from connectors.calls import Calls
    from connectors.endpoint_states import EndpointStates
    from connectors.offsets import PartitionProgress
    from connectors.tasks import Tasks
    from connectors.work_clock import WorkClock
    from schemas.delivery import Contract, Delivery
    from schemas.subscription import Endpoint

_AT_ONCE = 64
"""Most events of one type whose contracts run at the same time in one process."""

_HOLD = 5.0
"""Seconds after which the groups that are left become a record of their own."""


class ContractGroups:
    """Takes grouped deliveries from the webhook connector.

    Args:
        catalog: knows the endpoints.
        states: knows which of them are disabled.
        calls: makes the calls.
        outcomes: writes what became of them.
        tasks: where the work is under way.
        clock: of the lanes.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        states: EndpointStates,
        calls: Calls,
        outcomes: Outcomes,
        tasks: Tasks,
        clock: WorkClock,
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._calls = calls
        self._outcomes = outcomes
        self._tasks = tasks
        self._clock = clock
        self._lanes: Lanes[GroupJob] = Lanes()
        self.queued = 0
        """Events that wait for their lane."""

    def accept(self, job: GroupJob) -> None:
        """Take one event with its contracts."""
        now = self._clock.now()
        lane = self._lanes.of(job.delivery.source.topic, _AT_ONCE)
        if lane.offer(job, now, job.order):
            self.queued += 1
            self._pump(lane)
        else:
            self._postpone(lane, job, now)

    def tick(self, now: float) -> None:
        """Put off what has queued for too long; ``now`` by the clock."""
        for lane in self._lanes.all():
            for job in lane.overdue(now):
                self.queued -= 1
                self._postpone(lane, job, now)

    def oldest(self, now: float) -> Order | None:
        """The place in line of the event that waits for the longest."""
        return self._lanes.oldest(now)

    def forget_idle(self, now: float) -> None:
        """Forget lanes without work."""
        self._lanes.forget_idle(now)

    def hand_on(self, parts: Collection[PartitionProgress]) -> None:
        """Write what these partitions queue to their end, for the next owner."""
        for lane in self._lanes.all():
            for job in lane.remove(lambda job: job.progress in parts):
                self.queued -= 1
                self._write(job, [again_record(job.message, job.delivery)])

    def _pump(self, lane: Lane[GroupJob]) -> None:
        while (taken := lane.take(self._clock.now())) is not None:
            self.queued -= 1
            ticket, job = taken
            work = partial(self._run, lane, ticket, job)
            self._tasks.start(job.progress, self._outcomes.guard(job.message, job.progress, work))

    async def _run(self, lane: Lane[GroupJob], ticket: int, job: GroupJob) -> None:
        try:
            records = await self._run_groups(job)
        finally:
            # The lane knows how long these events take; whether an endpoint works is no matter of all its contracts.
            lane.done(ticket, self._clock.now(), healthy=True)
            self._pump(lane)
        if records is None:
            return
        if records:
            await self._outcomes.note(job.message, records)
        job.progress.finish(int(job.message.offset() or 0))

    async def _run_groups(self, job: GroupJob) -> list[Record] | None:
        """What there is to write before the offset is finished; None when the partition's next owner goes on."""
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

    async def _execute(self, job: GroupJob, contract: Contract) -> bool:
        """Run one contract and write its attempt; False when nothing is known of it, and nothing written."""
        delivery = job.delivery.delivery(contract)
        endpoint = await self._endpoint(delivery)
        if isinstance(endpoint, str):
            await self._outcomes.note(job.message, self._outcomes.cancelled(delivery, endpoint))
            return True
        started_at = timestamps.now()
        answer = await self._calls.make(job.message.value(), job.headers, delivery, endpoint, started_at)
        records = self._outcomes.of_contract(job, delivery, answer, started_at)
        await self._outcomes.note(job.message, records)
        return bool(records)

    async def _endpoint(self, delivery: Delivery) -> Endpoint | str:
        """The contract's endpoint, or why it cannot be called."""
        endpoint = self._catalog.view.endpoint(delivery.endpoint)
        if endpoint is None or self._states.disabled_reason(endpoint) is not None:
            # It may be newer, or enabled later, than this process has read.
            await self._caught_up()
            endpoint = self._catalog.view.endpoint(delivery.endpoint)
        if endpoint is None:
            return "the endpoint was deleted"
        return self._states.disabled_reason(endpoint) or endpoint

    async def _caught_up(self) -> None:
        while True:
            try:
                await self._catalog.caught_up()
            except Unavailable:
                await asyncio.sleep(AGAIN)
            else:
                return

    def _postpone(self, lane: Lane[GroupJob], job: GroupJob, now: float) -> None:
        seconds = lane.put_off(now, job.order, again=self._lanes.again()) - now
        self._write(job, self._outcomes.postponed(job, seconds, "busy"))

    def _write(self, job: GroupJob, records: Sequence[Record]) -> None:
        work = partial(self._outcomes.write, job.message, job.progress, records)
        self._tasks.start(job.progress, self._outcomes.guard(job.message, job.progress, work))


def _remainder(job: GroupJob, left: Sequence[Contract]) -> Record:
    return again_record(job.message, msgspec.structs.replace(job.delivery, contracts=tuple(left)))
