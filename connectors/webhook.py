"""The webhook connector: a delivery's way from its record to its endpoint.

``accept`` → ``_dispatch`` (cancelled, put off, or into its endpoint's lane) → ``_attempt`` (render, sign, send) →
``Outcomes`` (attempt, retry, dead letter are written; only then is the offset finished).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from connectors.attempts import again_record, header_list
from connectors.groups import ContractGroups
from connectors.http_client import Answer
from connectors.lanes import HOLD, PATIENCE, SOONEST, Lane, Lanes
from connectors.outcomes import AGAIN, GroupJob, Job, Outcomes, is_healthy
from connectors.tasks import Tasks
from connectors.work_clock import WorkClock
from schemas import timestamps
from schemas.delivery import GroupedDelivery, read_delivery
from schemas.errors import CorruptRecord, HeadraceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Message, Record
    from connectors.authorization import Authorizer
    from connectors.calls import Calls
    from connectors.endpoint_states import EndpointStates
    from connectors.metrics import WebhookMetrics
    from connectors.offsets import PartitionProgress
    from connectors.rendering import Renderer, Request
    from connectors.settings import WebhookSettings
    from schemas.subscription import Endpoint

log = logging.getLogger(__name__)

_FORGET_EVERY = 60.0
"""Seconds between looks for lanes without work."""

_LOOK_EVERY = 0.5
"""Seconds between looks at all that waits."""

_CROWDED = 4
"""The queues become shorter when they hold more than this part of what the process may hold: the partition never
waits for slow endpoints."""


class WebhookConnector:
    """Sends deliveries to WEB_HOOK endpoints; the ``Handler`` of a ``Worker``.

    Args:
        catalog: knows the endpoints.
        states: knows which of them are paused or disabled.
        renderer: turns a delivery into a signed request.
        authorizer: makes the requests, with the credentials of their endpoints.
        calls: makes the requests of endpoints with a template.
        outcomes: decides and writes what becomes of deliveries.
        metrics: counts.
        settings: timeouts and bounds.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        states: EndpointStates,
        renderer: Renderer,
        authorizer: Authorizer,
        calls: Calls,
        outcomes: Outcomes,
        metrics: WebhookMetrics,
        settings: WebhookSettings,
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._renderer = renderer
        self._authorizer = authorizer
        self._outcomes = outcomes
        self._metrics = metrics
        self._settings = settings
        self._lanes: Lanes[Job] = Lanes()
        self._tasks = Tasks()
        self._calls = calls
        self._clock = WorkClock()
        self._groups = ContractGroups(
            catalog=catalog, states=states, calls=calls, outcomes=outcomes, tasks=self._tasks, clock=self._clock
        )
        self._queued = 0
        self._again = SOONEST
        self._looked_at = self._forgot_at = self._clock.now()

    @property
    def pending(self) -> int:
        """Deliveries queued or under way."""
        return self._queued + self._groups.queued + len(self._tasks)

    def accept(self, message: Message, progress: PartitionProgress) -> None:
        """Take one record of ``deliveries.webhook``."""
        headers = header_list(message)
        try:
            delivery = read_delivery(headers)
            if isinstance(delivery, GroupedDelivery):
                self._groups.accept(GroupJob(message=message, headers=headers, delivery=delivery, progress=progress))
            else:
                self._dispatch(Job(message=message, headers=headers, delivery=delivery, progress=progress))
        except CorruptRecord as error:
            self._write(message, progress, self._outcomes.poison(message, str(error)))
        except Exception as error:  # noqa: BLE001  # a record that ends the worker would end its successor too
            self._write(message, progress, self._outcomes.fault(message, error))

    def tick(self) -> None:
        """Put off what has queued for too long, and forget lanes without work."""
        now = self._clock.now()
        within = self._within()
        for lane in self._lanes.all():
            for job in lane.overdue(now, within):
                self._queued -= 1
                self._postpone(lane, job, now, "busy")
        self._groups.tick(now)
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._again = self._lanes.again()
            self._show_oldest(now)
        if now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            self._lanes.forget_idle(now)
            self._groups.forget_idle(now)
        self._metrics.pending.set(self.pending)

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Write what these partitions queue to their end, for the next owner, and wait for what is under way.

        So all offsets can be committed. What was put off would else be sent twice: from its tier, and because its
        offset comes after that of a delivery in the queue.
        """
        for lane in self._lanes.all():
            for job in lane.remove(lambda job: job.progress in parts):
                self._queued -= 1
                self._write(job.message, job.progress, [again_record(job.message, job.delivery)])
            if lane.partition in parts:
                lane.backlog.clear()
        self._groups.hand_on(parts)
        await self._tasks.drain(parts, seconds)

    async def close(self) -> None:
        """Abandon what is still under way: its offset is not committed, so that it is sent again."""
        await self._tasks.close()

    async def _look_again(self, job: Job) -> None:
        """Before a delivery is given up: the endpoint may be newer, or enabled later, than this process has read."""
        while True:
            try:
                await self._catalog.caught_up()
            except Unavailable:
                await asyncio.sleep(AGAIN)
            else:
                break
        if job.progress.closing:
            return
        endpoint = self._catalog.view.endpoint(job.delivery.endpoint)
        reason = self._states.disabled_reason(endpoint) if endpoint else "the endpoint was deleted"
        if endpoint is None or reason is not None:
            await self._outcomes.write(job.message, job.progress, self._outcomes.cancelled(job.delivery, str(reason)))
        else:
            self._hand_to_lane(job, endpoint)

    def _dispatch(self, job: Job) -> None:
        endpoint = self._catalog.view.endpoint(job.delivery.endpoint)
        if endpoint is None or self._states.disabled_reason(endpoint) is not None:
            self._start(job, partial(self._look_again, job))
        else:
            self._hand_to_lane(job, endpoint)

    def _hand_to_lane(self, job: Job, endpoint: Endpoint) -> None:
        now = self._clock.now()
        lane = self._lanes.of(endpoint.id, endpoint.max_in_flight, endpoint.updated_at)
        lane.partition = job.progress
        pause = self._states.pause_left(endpoint)
        if pause > 0:
            self._postpone(lane, job, now, "paused", pause)
        elif lane.offer(job, now, job.order, self._within()):
            self._queued += 1
            self._pump(lane)
        else:
            self._postpone(lane, job, now, "busy")

    def _within(self) -> float:
        """Seconds of each endpoint's work that may queue."""
        return HOLD if self.pending * _CROWDED <= self._settings.max_pending else PATIENCE

    def _show_oldest(self, now: float) -> None:
        busy = [order for order in (self._lanes.oldest(now), self._groups.oldest(now)) if order is not None]
        paused = self._lanes.oldest(now, held=True)
        for reason, order in (("busy", min(busy, default=None)), ("paused", paused)):
            age = 0.0 if order is None else max(0.0, (timestamps.now() - order[0]) / 1_000_000)
            self._metrics.oldest_waiting.labels(reason).set(age)

    def _pump(self, lane: Lane[Job]) -> None:
        while (taken := lane.take(self._clock.now())) is not None:
            self._queued -= 1
            ticket, job = taken
            self._start(job, partial(self._attempt, lane, ticket, job))

    async def _attempt(self, lane: Lane[Job], ticket: int, job: Job) -> None:
        healthy: bool | None = None
        try:
            # As it is now: it may have been edited while the delivery queued.
            endpoint = self._catalog.view.endpoint(job.delivery.endpoint)
            if endpoint is None or self._states.disabled_reason(endpoint) is not None:
                self._start(job, partial(self._look_again, job))
                return
            started_at = timestamps.now()
            try:
                answer = await self._send(job, endpoint, started_at)
            except CorruptRecord as error:
                self._write(job.message, job.progress, self._outcomes.poison(job.message, str(error)))
                return
            healthy = is_healthy(answer)
            endpoint = self._catalog.view.endpoint(endpoint.id) or endpoint
            records = self._outcomes.of_try(job, endpoint, answer, started_at)
            if self._states.disabled_reason(endpoint) or self._states.pause_left(endpoint) > 0:
                self._send_elsewhere(lane)
        finally:
            lane.done(ticket, self._clock.now(), healthy=healthy)
            self._pump(lane)
        await self._outcomes.write(job.message, job.progress, records)

    async def _send(self, job: Job, endpoint: Endpoint, started_at: int) -> Answer:
        try:
            if endpoint.request is not None:
                return await self._calls.make(job.message.value(), job.headers, job.delivery, endpoint, started_at)
            made = partial(self._render, job, endpoint)
            answer = await self._authorizer.send(made, endpoint, endpoint.timeout or self._settings.timeout)
        except CorruptRecord:
            raise
        except HeadraceError as error:
            # Something about the endpoint that can be mended: a try that failed.
            return Answer(error=str(error), duration=0.0)
        except Exception as error:  # one event that our own code cannot handle must not hold up the partition's offset
            log.exception("a request cannot be made", extra={"delivery": job.delivery.id})
            # What it says may hold credentials.
            return Answer(error=f"the request cannot be made: {type(error).__name__}", duration=0.0)
        self._metrics.duration.observe(answer.duration)
        if answer.forbidden:
            self._metrics.refused.inc()
        return answer

    async def _render(self, job: Job, endpoint: Endpoint) -> Request:
        """As it is sent now, with a signature of this second."""
        while True:
            try:
                return await self._renderer.request(
                    job.message.value(), job.headers, job.delivery, endpoint, timestamps.now() // 1_000_000
                )
            except Unavailable:
                await asyncio.sleep(AGAIN)
            except HeadraceError:
                raise
            except Exception as error:  # one record that our own code cannot handle must not stop the others
                log.exception("cannot render a delivery", extra={"delivery": job.delivery.id})
                raise CorruptRecord(f"cannot be rendered: {error!r}") from error

    def _send_elsewhere(self, lane: Lane[Job]) -> None:
        """The endpoint is paused or disabled since just now: what queues for it must not be tried."""
        for job in lane.remove(lambda _: True):
            self._queued -= 1
            self._dispatch(job)

    def _start(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.start(job.progress, self._outcomes.guard(job.message, job.progress, work))

    def _postpone(self, lane: Lane[Job], job: Job, now: float, reason: str, pause: float = 0.0) -> None:
        """Onto a retry tier until it is its turn, and the pause of so many seconds is over."""
        back_at = lane.put_off(now, job.order, now + pause, self._again)
        self._write(job.message, job.progress, self._outcomes.postponed(job, back_at - now, reason))

    def _write(self, message: Message, progress: PartitionProgress, records: Sequence[Record]) -> None:
        work = partial(self._outcomes.write, message, progress, records)
        self._tasks.start(progress, self._outcomes.guard(message, progress, work))
