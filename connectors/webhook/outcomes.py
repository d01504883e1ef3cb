"""Decides the outcome of a try, and writes the records that follow from it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from backbone.endpoint_states import PAUSED
from backbone.kafka.records import Record, dead_letter
from backbone.kafka.retrying import PAUSE
from connectors.webhook.attempts import attempt_record, dead_record, retry_record, smaller
from connectors.webhook.operational_events import disabled, paused
from connectors.webhook.retry_schedule import DEFAULT_SCHEDULE, next_delay
from schemas.model import timestamps
from schemas.model.delivery import Delivery, GroupedDelivery, Headers, Outcome
from schemas.model.errors import PayloadTooLarge, Unavailable
from schemas.model.ids import LIVE, TEST
from schemas.model.operational_event import is_operational
from schemas.model.standing import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import ConsumedRecord
    from connectors.shared.offsets import PartitionProgress
    from connectors.webhook.backlog import Order
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.health import HealthBook
    from connectors.webhook.metrics import WebhookMetrics
    from connectors.webhook.operational_publisher import OperationalPublisher
    from connectors.webhook.settings import WebhookSettings
    from connectors.webhook.transport import Response
    from schemas.model.endpoint import Endpoint
    from schemas.model.errors import ProjectionFailed

log = logging.getLogger(__name__)

_BEHIND = 1 << 62
"""Is added to the time of a run's delivery: more microseconds than any live delivery has."""

_PAUSING = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One delivery that this process has accepted; ``headers`` are all of its record's.

    ``crowded``: its workspace has its share of this process's room, so that it waits on a retry tier.
    """

    message: ConsumedRecord
    headers: Headers
    delivery: Delivery
    progress: PartitionProgress
    crowded: bool = False

    @property
    def is_test(self) -> bool:
        """Whether it is a test send: tried once, past the circuit breaker."""
        return self.delivery.run.startswith(TEST)

    @property
    def order(self) -> Order:
        """Its place in line: live deliveries and test sends before those of runs."""
        delivery = self.delivery
        behind = 0 if delivery.run == LIVE or self.is_test else _BEHIND
        return behind + delivery.routed_at, delivery.source.offset


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderedJob:
    """One event with its ordered deliveries that this process has accepted; otherwise as ``Job``."""

    message: ConsumedRecord
    headers: Headers
    delivery: GroupedDelivery
    progress: PartitionProgress
    crowded: bool = False

    @property
    def order(self) -> Order:
        """Its place in line."""
        return self.delivery.routed_at, self.delivery.source.offset


class Outcomes:
    """Decides how deliveries go on, and writes it to Kafka.

    Args:
        states: is told of pauses and of endpoints to disable.
        producer: writes the records.
        metrics: counters.
        settings: bounds.
        health: is told of every try.
        operational: is told of dead letters.
    """

    def __init__(
        self,
        *,
        states: EndpointStates,
        producer: Producer,
        metrics: WebhookMetrics,
        settings: WebhookSettings,
        health: HealthBook,
        operational: OperationalPublisher | None = None,
    ) -> None:
        self._states = states
        self._health = health
        self._operational = operational
        self._producer = producer
        self._metrics = metrics
        self._settings = settings
        self._waiting = False
        # Looking a label up costs more than counting.
        self._counted = {outcome: metrics.attempts.labels(outcome.value) for outcome in Outcome}

    def of_try(self, job: Job, endpoint: Endpoint, response: Response, started_at: int) -> list[Record]:
        """Delivered on 2xx; 410 disables the endpoint; anything else is tried again while the schedule lasts.

        A failure after a span of nothing but failures disables the endpoint, too (see ``HealthBook``).

        429 and 503 with ``Retry-After`` pause the endpoint for all of that time. An endpoint that was edited after
        ``started_at`` (microseconds since the epoch) is neither disabled nor paused: its former URL asked for it.

        A test send is tried once, and leaves nothing but its attempt.
        """
        now = timestamps.now()
        if job.is_test:
            outcome = Outcome.DELIVERED if is_success(response) else Outcome.DEAD
            return [self._tried(job.delivery, outcome, response, started_at)]
        quiet = is_operational(job.delivery.source.topic)
        if is_success(response):
            self._metrics.latency.observe((now - job.delivery.routed_at) / 1_000_000)
            attempt = self._tried(job.delivery, Outcome.DELIVERED, response, started_at)
            return [*self._health.succeeded(endpoint, now, quiet=quiet), attempt]
        if job.progress.revoked:
            return []  # the partition's next owner makes this try again, and decides
        edited = endpoint.updated_at > started_at
        records: list[Record] = []
        disable = None
        if not edited:
            failure = _failure(response)
            records, disable = self._health.failed(
                endpoint, failure, response.status, started_at=started_at, now=now, quiet=quiet
            )
            if response.status == HTTPStatus.GONE:
                disable = "the endpoint answered 410 Gone"
        if disable is not None:
            # As of the request: an edit that this process has not read yet counts as well.
            told = () if quiet else (disabled(endpoint, disable, started_at, now),)
            records.append(self._states.disable(endpoint.id, disable, started_at, told))
            reason = f"{disable}; the endpoint is disabled"
            return records + self._dead(job.message, job.delivery, reason, response, started_at)
        asked = None if response.retry_after is None or edited else min(response.retry_after, self._settings.max_pause)
        pausing = None
        if asked and response.status in _PAUSING:
            pausing = self._pause(endpoint, now // 1_000 + int(asked * 1_000), now, quiet=quiet)
        records += [] if pausing is None else [pausing]
        number = job.delivery.attempts + 1
        schedule = DEFAULT_SCHEDULE if endpoint.retry_schedule is None else endpoint.retry_schedule
        # Another delivery's response may have paused the endpoint for longer: the next try is announced for then.
        delay = next_delay(schedule, number, max(asked or 0.0, self._states.pause_left(endpoint)))
        if delay is None:
            reason = f"attempt {number} failed, and it was the last: {_failure(response)}"
            return records + self._dead(job.message, job.delivery, reason, response, started_at)
        next_at = now + int(delay * 1_000_000)
        tried = msgspec.structs.replace(job.delivery, attempts=number)
        retry = retry_record(job.message, tried, due=-(-next_at // 1_000), now=now // 1_000)
        return [*records, self._tried(job.delivery, Outcome.RETRYING, response, started_at, next_at), retry]

    def _pause(self, endpoint: Endpoint, until: int, now: int, *, quiet: bool) -> Record | None:
        """Pause an endpoint; one that is paused already is not told of."""
        tell = not quiet and self._states.pause_left(endpoint) <= 0 and self._health.may_tell_of_pause(endpoint, now)
        return self._states.pause(endpoint, until, now, (paused(endpoint, until, PAUSED, now),) if tell else ())

    def of_ordered(self, job: OrderedJob, delivery: Delivery, response: Response, started_at: int) -> list[Record]:
        """Delivered on 2xx, else dead: an ordered delivery has one try, and its failure does not touch the endpoint."""
        if is_success(response):
            self._metrics.latency.observe((timestamps.now() - delivery.routed_at) / 1_000_000)
            return [self._tried(delivery, Outcome.DELIVERED, response, started_at)]
        if job.progress.revoked:
            return []  # the partition's next owner runs it again, and decides
        reason = f"the contract's call failed: {_failure(response)}"
        return self._dead(job.message, delivery, reason, response, started_at)

    def postponed(self, job: Job | OrderedJob, seconds: float, reason: str) -> list[Record]:
        """Put on a retry tier without a try, to come back in ``seconds``; dead if the delivery is too old."""
        now = timestamps.now()
        if now - job.delivery.routed_at > self._settings.max_age * 1_000_000:
            given_up = f"could not be tried for {self._settings.max_age:g} s: the endpoint was {reason}"
            deliveries = [job.delivery] if isinstance(job.delivery, Delivery) else job.delivery.deliveries()
            self._metrics.attempts.labels(Outcome.DEAD.value).inc(len(deliveries))
            return [
                record
                for delivery in deliveries
                for record in (
                    attempt_record(delivery, Outcome.DEAD, started_at=now, error=given_up, reason=Reason.EXPIRED),
                    dead_record(job.message, delivery, reason=given_up),
                )
            ]
        self._metrics.postponed.labels(reason).inc()
        due = now // 1_000 + int(seconds * 1_000) + 1
        return [retry_record(job.message, job.delivery, due=due, now=now // 1_000)]

    def unprojectable(self, job: Job, error: ProjectionFailed, started_at: int) -> list[Record]:
        """Dead without a request: the endpoint's projection cannot be evaluated for the event, however often."""
        told = f"the projection failed: {error}"
        self._metrics.attempts.labels(Outcome.DEAD.value).inc()
        return [
            attempt_record(job.delivery, Outcome.DEAD, started_at=started_at, error=told, reason=Reason.PROJECTION),
            dead_record(job.message, job.delivery, reason=told),
        ]

    def cancelled(self, delivery: Delivery, reason: str, *, deleted: bool) -> list[Record]:
        """Cancelled without a try, because the endpoint is disabled or ``deleted``."""
        self._metrics.attempts.labels(Outcome.CANCELLED.value).inc()
        why = Reason.DELETED if deleted else Reason.DISABLED
        now = timestamps.now()
        return [attempt_record(delivery, Outcome.CANCELLED, started_at=now, error=reason, reason=why)]

    def poison(self, message: ConsumedRecord, reason: str) -> list[Record]:
        """Set aside: the record is no delivery, or its event cannot be read."""
        self._metrics.poison.labels(message.topic()).inc()
        return [dead_letter(message, reason=reason)]

    def fault(self, message: ConsumedRecord, error: Exception) -> list[Record]:
        """Set aside: our own code cannot handle the record."""
        log.error("handling a delivery failed", exc_info=error, extra={"offset": message.offset()})
        # The error's text may hold credentials.
        return self.poison(message, f"it cannot be handled: {type(error).__name__}")

    async def write(self, message: ConsumedRecord, progress: PartitionProgress, records: Sequence[Record]) -> None:
        """Write the outcome of a record; only then is its offset finished.

        Without records the outcome is not known, and the offset stays unfinished.
        """
        if records:
            await self.note(message, records)
            if self._operational is not None:
                await self._operational.tell_of_dead(records)
            progress.finish(message.offset())

    async def note(self, message: ConsumedRecord, records: Sequence[Record]) -> None:
        """Write a part of a record's outcome, however long Kafka takes."""
        while records:
            try:
                await self._producer.send(records, final=True)
            except (PayloadTooLarge, Unavailable) as error:
                # If some were written before the one that is too large, that one is the cause and not the error.
                if isinstance(error, PayloadTooLarge) or isinstance(error.__cause__, PayloadTooLarge):
                    fitting = [smaller(record, message, str(error)) for record in records]
                    if fitting == list(records):
                        raise
                    records = fitting
                    continue
                if not self._waiting:
                    log.warning("outcomes wait for Kafka: %s", error)
                self._waiting = True
                await asyncio.sleep(PAUSE)
            else:
                if self._waiting:
                    log.warning("outcomes are written again")
                self._waiting = False
                return

    async def guard(
        self, message: ConsumedRecord, progress: PartitionProgress, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Do work on a record; set the record aside if our own code fails, or it would hold up the partition."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # ``fault`` logs it
            await self.write(message, progress, self.fault(message, error))

    def _dead(
        self, message: ConsumedRecord, delivery: Delivery, reason: str, response: Response, started_at: int
    ) -> list[Record]:
        tried = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1)
        return [
            self._tried(delivery, Outcome.DEAD, response, started_at),
            dead_record(message, tried, reason=reason, response=response),
        ]

    def _tried(
        self, delivery: Delivery, outcome: Outcome, response: Response, started_at: int, next_at: int | None = None
    ) -> Record:
        metrics = self._metrics
        self._counted[outcome].inc()
        metrics.endpoint_attempts.labels(metrics.endpoints.label(delivery.endpoint), outcome.value).inc()
        if not delivery.attempts and delivery.run == LIVE:
            metrics.first_attempt.observe(max(0.0, (started_at - delivery.routed_at) / 1_000_000))
        error = None if outcome is Outcome.DELIVERED else _failure(response)
        return attempt_record(
            delivery,
            outcome,
            started_at=started_at,
            response=response,
            error=error,
            next_at=next_at,
            keep=self._settings.kept_bytes,
        )


def is_success(response: Response) -> bool:
    """Whether the receiver took the event."""
    return response.status is not None and HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


def is_healthy(response: Response) -> bool:
    """Whether the endpoint works: it responded, and neither with 5xx nor with 429."""
    status = response.status
    return status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS


def _failure(response: Response) -> str:
    if response.status is None:
        return response.error or "no answer"
    moved = HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST
    return f"answered {response.status}{' (redirects are not followed)' if moved else ''}"
