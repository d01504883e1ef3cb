"""The webhook connector: the way of a delivery from its record to its endpoint.

``accept`` (read the record) → ``_queue`` (cancel it, put it off, or let it wait for its endpoint) → ``_attempt``
(render, sign, send) → ``_outcome`` (attempt, retry or dead letter) → ``_commit`` (write that; the offset is finished).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.retrying import retry
from connectors.webhook.attempts import again_record, reason_of_error
from connectors.webhook.endpoint_queue import HOLD, SHORT_HOLD, SOONEST, EndpointQueue
from connectors.webhook.endpoint_queues import EndpointQueues
from connectors.webhook.in_flight import InFlight
from connectors.webhook.kept_exchange import kept_request
from connectors.webhook.ordered.deliveries import OrderedDeliveries
from connectors.webhook.outcomes import Job, OrderedJob, Outcomes, is_healthy
from connectors.webhook.stall_clock import StallClock
from connectors.webhook.transport import Response
from schemas.model import timestamps
from schemas.model.delivery import GroupedDelivery, read_delivery
from schemas.model.errors import CorruptRecord, HeadraceError, ProjectionFailed
from schemas.model.standing import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import ConsumedRecord, Record
    from connectors.shared.offsets import PartitionProgress
    from connectors.webhook.authorization import Authorizer
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.health import HealthBook
    from connectors.webhook.metrics import WebhookMetrics
    from connectors.webhook.ordered.calls import Calls
    from connectors.webhook.rendering import Renderer, Request
    from connectors.webhook.settings import WebhookSettings
    from schemas.model.delivery import Headers
    from schemas.model.endpoint import Endpoint

log = logging.getLogger(__name__)

_FORGET_EVERY = 60.0
"""Seconds between two searches for queues without work."""

_LOOK_EVERY = 0.5
"""Seconds between two measurements of the backlog."""

_SHORTEST_WAIT = 0.001
"""Seconds of the shortest timer for a token: a timer may be a little early."""

_CROWDED = 4
"""Past a quarter of ``max_pending`` the queues become shorter: the partition never waits for slow endpoints."""


class WebhookConnector:
    """Sends deliveries to WEB_HOOK endpoints; the ``Handler`` of a ``Worker``.

    Args:
        catalog: has the endpoints.
        states: tells which endpoints are paused or disabled.
        renderer: turns a delivery into a signed request.
        authorizer: sends requests with the credentials of their endpoints.
        calls: makes the requests of endpoints with a template.
        outcomes: decides how a delivery goes on, and writes it.
        health: is told of open circuit breakers.
        metrics: counters.
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
        health: HealthBook,
        metrics: WebhookMetrics,
        settings: WebhookSettings,
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._renderer = renderer
        self._authorizer = authorizer
        self._outcomes = outcomes
        self._health = health
        self._metrics = metrics
        self._settings = settings
        self._queues: EndpointQueues[Job] = EndpointQueues()
        self._in_flight = InFlight()
        self._calls = calls
        self._clock = StallClock()
        self._ordered = OrderedDeliveries(
            catalog=catalog, states=states, calls=calls, outcomes=outcomes, in_flight=self._in_flight, clock=self._clock
        )
        self._queued = 0
        self._again = SOONEST
        self._looked_at = self._forgot_at = self._clock.now()

    @property
    def pending(self) -> int:
        """Deliveries that wait in a queue or are in flight."""
        return self._queued + self._ordered.queued + len(self._in_flight)

    def accept(
        self, message: ConsumedRecord, headers: Headers, progress: PartitionProgress, *, crowded: bool = False
    ) -> None:
        """Take one record of ``deliveries.webhook``."""
        try:
            delivery = read_delivery(headers)
            if isinstance(delivery, GroupedDelivery):
                ordered = OrderedJob(
                    message=message, headers=headers, delivery=delivery, progress=progress, crowded=crowded
                )
                self._ordered.accept(ordered)
            else:
                job = Job(message=message, headers=headers, delivery=delivery, progress=progress, crowded=crowded)
                self._queue(job)
        except CorruptRecord as error:
            self._write(message, progress, self._outcomes.poison(message, str(error)))
        except Exception as error:  # noqa: BLE001  # a record that ends the worker would end its successor too
            self._write(message, progress, self._outcomes.fault(message, error))

    def _queue(self, job: Job) -> None:
        """Let a delivery wait for its endpoint; cancel it if it has none that takes deliveries."""
        endpoint = self._endpoint(job)
        if endpoint is None:
            self._start(job, partial(self._cancel, job))
        else:
            self._queue_for(endpoint, job)

    def _queue_for(self, endpoint: Endpoint, job: Job) -> None:
        now = self._clock.now()
        queue = self._queue_of(endpoint, job)
        queue.partition = job.progress
        pause = self._states.pause_left(endpoint)
        if pause > 0:
            self._postpone(queue, job, now, "paused", pause)
        elif job.is_test and (ticket := queue.begin_test(now, job.order)) is not None:
            self._start(job, partial(self._attempt, queue, ticket, job))
        elif not job.crowded and queue.offer(job, now, job.order, self._within()):
            self._queued += 1
            self._start_next(queue)
        else:
            self._postpone(queue, job, now, _why(queue, now))

    def _queue_of(self, endpoint: Endpoint, job: Job) -> EndpointQueue[Job]:
        """The endpoint's queue, with the bounds that the endpoint has now."""
        queue = self._queues.of(endpoint.id, endpoint.max_in_flight, endpoint.updated_at)
        queue.limit_rate(endpoint.rate_limit, job.progress.assigned_at)
        if queue.is_new:
            queue.is_new = False
            closed = (self._states.health(endpoint).closed_until or 0) / 1_000 - timestamps.now() / 1_000_000
            if closed > 0:
                queue.close(self._clock.now(), closed)
        return queue

    def _start_next(self, queue: EndpointQueue[Job]) -> None:
        """Start as many attempts as the endpoint's window and its rate limit allow."""
        while (taken := queue.take(self._clock.now())) is not None:
            self._queued -= 1
            ticket, job = taken
            self._start(job, partial(self._attempt, queue, ticket, job))
        wait = queue.token_wait()
        if wait > 0 and not queue.wakes:
            queue.wakes = True
            asyncio.get_running_loop().call_later(max(wait, _SHORTEST_WAIT), self._wake, queue)

    def _wake(self, queue: EndpointQueue[Job]) -> None:
        queue.wakes = False
        self._start_next(queue)

    async def _attempt(self, queue: EndpointQueue[Job], ticket: int, job: Job) -> None:
        """Send one delivery, and write the outcome."""
        healthy: bool | None = None
        endpoint: Endpoint | None = None
        try:
            # The endpoint of this moment: it may have been edited while the delivery waited.
            endpoint = self._endpoint(job)
            if endpoint is None:
                self._start(job, partial(self._cancel, job))
                return
            if endpoint.held_since is not None:
                self._postpone(queue, job, self._clock.now(), "paused", self._states.pause_left(endpoint))
                return
            self._queue_of(endpoint, job)
            started_at = timestamps.now()
            try:
                response = await self._send(queue, job, endpoint, started_at)
            except CorruptRecord as error:
                records = self._outcomes.poison(job.message, str(error))
            except ProjectionFailed as error:
                records = self._outcomes.unprojectable(job, error, started_at)
            else:
                healthy = is_healthy(response)
                records = self._outcome(queue, job, endpoint, response, started_at)
        finally:
            now = self._clock.now()
            was_closed = queue.closed_for(now) > 0
            queue.done(ticket, now, healthy=healthy)
            seconds = queue.closed_for(now)
            if endpoint is not None and (was_closed or seconds > 0):
                self._health.closed(endpoint, seconds, timestamps.now())
            self._start_next(queue)
        await self._commit(job.message, job.progress, records)

    def _outcome(
        self, queue: EndpointQueue[Job], job: Job, endpoint: Endpoint, response: Response, started_at: int
    ) -> list[Record]:
        """Decide how the delivery goes on; an endpoint that is paused or disabled from now on gets nothing more."""
        endpoint = self._catalog.view.endpoint(endpoint.id) or endpoint
        records = self._outcomes.of_try(job, endpoint, response, started_at)
        if self._states.disabled_reason(endpoint) or self._states.pause_left(endpoint) > 0:
            for waiting in queue.remove(lambda _: True):
                self._queued -= 1
                self._queue(waiting)
        return records

    async def _commit(self, message: ConsumedRecord, progress: PartitionProgress, records: Sequence[Record]) -> None:
        """Write the outcome of a record; once Kafka has it, the record's offset is finished and may be committed."""
        await self._outcomes.write(message, progress, records)

    def tick(self) -> None:
        """Put off deliveries that waited for too long, and drop queues without work."""
        now = self._clock.now()
        within = self._within()
        for queue in self._queues.all():
            self._start_edited(queue, now)
            for job in queue.overdue(now, within):
                self._queued -= 1
                self._postpone(queue, job, now, _why(queue, now))
        self._ordered.tick(now)
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._again = self._queues.again()
            self._show_oldest(now)
        if now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            self._queues.forget_idle(now)
            self._ordered.forget_idle(now)
        self._metrics.pending.set(self.pending)

    def _start_edited(self, queue: EndpointQueue[Job], now: float) -> None:
        """Look at once whether an endpoint that may not be called was edited."""
        job = queue.first if queue.is_held(now) else None
        endpoint = None if job is None else self._endpoint(job)
        if job is not None and endpoint is not None and endpoint.updated_at > queue.edited_at:
            self._start_next(self._queue_of(endpoint, job))

    async def drain(self, parts: Collection[PartitionProgress], seconds: float) -> None:
        """Write the waiting deliveries of these partitions to their end, and wait for those in flight.

        So all offsets can be committed. A delivery that was put off would else be sent twice: from its tier, and
        because its offset comes after that of a delivery that waits.
        """
        for queue in self._queues.all():
            for job in queue.remove(lambda job: job.progress in parts):
                self._queued -= 1
                self._write(job.message, job.progress, [again_record(job.message, job.delivery)])
            if queue.partition in parts:
                queue.backlog.clear()
        self._ordered.hand_on(parts)
        await self._in_flight.drain(parts, seconds)

    async def close(self) -> None:
        """Abandon the deliveries in flight: their offsets are not committed, so they are sent again."""
        await self._in_flight.close()

    def _endpoint(self, job: Job) -> Endpoint | None:
        """The endpoint, if this process knows one that takes deliveries."""
        endpoint = self._catalog.view.endpoint(job.delivery.endpoint)
        return None if endpoint is None or self._states.disabled_reason(endpoint) is not None else endpoint

    async def _cancel(self, job: Job) -> None:
        """Cancel a delivery, unless its endpoint is newer, or was enabled later, than this process has read."""
        await retry(self._catalog.caught_up)
        if job.progress.closing:
            return
        endpoint = self._catalog.view.endpoint(job.delivery.endpoint)
        reason = self._states.disabled_reason(endpoint) if endpoint else "the endpoint was deleted"
        if endpoint is None or reason is not None:
            records = self._outcomes.cancelled(job.delivery, str(reason), deleted=endpoint is None)
            await self._commit(job.message, job.progress, records)
        else:
            self._queue_for(endpoint, job)

    async def _send(self, queue: EndpointQueue[Job], job: Job, endpoint: Endpoint, started_at: int) -> Response:
        """Make the request; an endpoint that cannot be asked is a response without a status.

        Raises:
            CorruptRecord: the event cannot be read or rendered.
            ProjectionFailed: the endpoint's projection cannot be evaluated for it.
        """
        sent: Request | None = None

        async def make() -> Request:
            """Render it each time that it is sent; the rate limit counts each."""
            nonlocal sent
            if sent is not None:
                queue.charge()
            sent = await self._render(job, endpoint)
            return sent

        try:
            if endpoint.request is not None:
                return await self._calls.make(job.message.value(), job.headers, job.delivery, endpoint, started_at)
            response = await self._authorizer.send(make, endpoint, endpoint.timeout or self._settings.timeout)
        except (CorruptRecord, ProjectionFailed):
            raise
        except HeadraceError as error:
            # Something about the endpoint that can be mended: a try that failed.
            return Response(error=str(error), duration=0.0, failure=reason_of_error(error))
        except Exception as error:  # one event that our own code cannot handle must not hold up the partition's offset
            log.exception("a request cannot be made", extra={"delivery": job.delivery.id})
            # The error's text may hold credentials.
            error_text = f"the request cannot be made: {type(error).__name__}"
            return Response(error=error_text, duration=0.0, failure=Reason.INTERNAL)
        self._metrics.duration.observe(response.duration)
        if response.forbidden:
            self._metrics.refused.inc()
        if sent is None or not self._settings.kept_bytes:
            return response
        return msgspec.structs.replace(response, sent=kept_request(sent, endpoint, self._settings.kept_bytes))

    async def _render(self, job: Job, endpoint: Endpoint) -> Request:
        """Render the request as it is sent now, with a signature of this second."""

        def request() -> Awaitable[Request]:
            now = timestamps.now() // 1_000_000
            return self._renderer.request(job.message.value(), job.headers, job.delivery, endpoint, now)

        try:
            return await retry(request)
        except HeadraceError:
            raise
        except Exception as error:  # one record that our own code cannot handle must not stop the others
            log.exception("cannot render a delivery", extra={"delivery": job.delivery.id})
            raise CorruptRecord(f"cannot be rendered: {error!r}") from error

    def _postpone(self, queue: EndpointQueue[Job], job: Job, now: float, reason: str, pause: float = 0.0) -> None:
        """Put a delivery on a retry tier until it is its turn, and a pause of ``pause`` seconds is over."""
        back_at = queue.put_off(now, job.order, now + pause, self._again, crowded=job.crowded)
        self._write(job.message, job.progress, self._outcomes.postponed(job, back_at - now, reason))

    def _within(self) -> float:
        """Seconds of each endpoint's work that may wait."""
        return HOLD if self.pending * _CROWDED <= self._settings.max_pending else SHORT_HOLD

    def _show_oldest(self, now: float) -> None:
        busy = [order for order in (self._queues.oldest(now), self._ordered.oldest(now)) if order is not None]
        paused = self._queues.oldest(now, held=True)
        for reason, order in (("busy", min(busy, default=None)), ("paused", paused)):
            age = 0.0 if order is None else max(0.0, (timestamps.now() - order[0]) / 1_000_000)
            self._metrics.oldest_waiting.labels(reason).set(age)

    def _start(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        self._in_flight.start(job.progress, self._outcomes.guard(job.message, job.progress, work))

    def _write(self, message: ConsumedRecord, progress: PartitionProgress, records: Sequence[Record]) -> None:
        work = partial(self._commit, message, progress, records)
        self._in_flight.start(progress, self._outcomes.guard(message, progress, work))


def _why(queue: EndpointQueue[Job], now: float) -> str:
    """What a delivery that does not fit its queue waits for."""
    return "limited" if queue.is_limited(now) else "busy"
