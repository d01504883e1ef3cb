"""What is written down about a delivery: the verdict on a try, and the records that follow from it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record, dead_letter
from connectors.attempts import attempt_record, dead_record, retry_record, smaller
from connectors.schedule import DEFAULT_SCHEDULE, next_delay
from schemas import timestamps
from schemas.delivery import Delivery, GroupedDelivery, Headers, Outcome
from schemas.errors import PayloadTooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Message
    from connectors.backlog import Order
    from connectors.endpoint_states import EndpointStates
    from connectors.http_client import Answer
    from connectors.metrics import WebhookMetrics
    from connectors.offsets import PartitionProgress
    from connectors.settings import WebhookSettings
    from schemas.subscription import Endpoint

log = logging.getLogger(__name__)

_PAUSING = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))

AGAIN = 0.5
"""Seconds between tries while Kafka does not answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One delivery in the hands of this process; ``headers`` are all of its record's."""

    message: Message
    headers: Headers
    delivery: Delivery
    progress: PartitionProgress

    @property
    def order(self) -> Order:
        """Its place in line."""
        return self.delivery.routed_at, self.delivery.source.offset


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupJob:
    """One event for all its contracts, in the hands of this process; ``headers`` are all of its record's."""

    message: Message
    headers: Headers
    delivery: GroupedDelivery
    progress: PartitionProgress

    @property
    def order(self) -> Order:
        """Its place in line."""
        return self.delivery.routed_at, self.delivery.source.offset


class Outcomes:
    """Decides what becomes of deliveries and writes it to Kafka.

    Args:
        states: takes pauses and disablings.
        producer: takes the records.
        metrics: counts.
        settings: bounds.
    """

    def __init__(
        self, *, states: EndpointStates, producer: Producer, metrics: WebhookMetrics, settings: WebhookSettings
    ) -> None:
        self._states = states
        self._producer = producer
        self._metrics = metrics
        self._settings = settings
        self._waiting = False

    def of_try(self, job: Job, endpoint: Endpoint, answer: Answer, started_at: int) -> list[Record]:
        """2xx is delivered; 410 disables the endpoint; all else fails and is tried again while the schedule lasts.

        429 and 503 with ``Retry-After`` pause the endpoint for all of that time. ``endpoint`` is as it is now: what was
        asked of one that was edited after ``started_at`` (microseconds since the epoch) another URL asked for, and it
        is a failure like any other.
        """
        now = timestamps.now()
        if is_success(answer):
            self._metrics.latency.observe((now - job.delivery.routed_at) / 1_000_000)
            return [self._tried(job.delivery, Outcome.DELIVERED, answer, started_at)]
        if job.progress.revoked:
            return []  # the partition's next owner makes this try again, and decides
        edited = endpoint.updated_at > started_at
        if answer.status == HTTPStatus.GONE and not edited:
            reason = "the endpoint answered 410 Gone"
            # As of the request: an edit that this process has not read yet counts as well.
            disabling = self._states.disable(endpoint.id, reason, started_at)
            return [disabling, *self._dead(job.message, job.delivery, f"{reason} and is disabled", answer, started_at)]
        asked = None if answer.retry_after is None or edited else min(answer.retry_after, self._settings.max_pause)
        pausing = None
        if asked and answer.status in _PAUSING:
            pausing = self._states.pause(endpoint, now // 1_000 + int(asked * 1_000), now)
        records = [] if pausing is None else [pausing]
        number = job.delivery.attempts + 1
        schedule = DEFAULT_SCHEDULE if endpoint.retry_schedule is None else endpoint.retry_schedule
        delay = next_delay(schedule, number, asked)
        if delay is None:
            reason = f"attempt {number} failed, and it was the last: {_failure(answer)}"
            return records + self._dead(job.message, job.delivery, reason, answer, started_at)
        next_at = now + int(delay * 1_000_000)
        tried = msgspec.structs.replace(job.delivery, attempts=number)
        retry = retry_record(job.message, tried, due=next_at // 1_000, now=now // 1_000)
        return [*records, self._tried(job.delivery, Outcome.RETRYING, answer, started_at, next_at), retry]

    def of_contract(self, job: GroupJob, delivery: Delivery, answer: Answer, started_at: int) -> list[Record]:
        """A contract has one try: 2xx is delivered, all else is dead, and says nothing about the endpoint."""
        if is_success(answer):
            self._metrics.latency.observe((timestamps.now() - delivery.routed_at) / 1_000_000)
            return [self._tried(delivery, Outcome.DELIVERED, answer, started_at)]
        if job.progress.revoked:
            return []  # the partition's next owner runs it again, and decides
        return self._dead(job.message, delivery, f"the contract's call failed: {_failure(answer)}", answer, started_at)

    def postponed(self, job: Job | GroupJob, seconds: float, reason: str) -> list[Record]:
        """Onto a retry tier without a try, to come back in ``seconds``; a delivery that is too old is dead."""
        now = timestamps.now()
        if now - job.delivery.routed_at > self._settings.max_age * 1_000_000:
            given_up = f"could not be tried for {self._settings.max_age:g} s: the endpoint was {reason}"
            deliveries = [job.delivery] if isinstance(job.delivery, Delivery) else job.delivery.deliveries()
            self._metrics.attempts.labels(Outcome.DEAD.value).inc(len(deliveries))
            return [
                record
                for delivery in deliveries
                for record in (
                    attempt_record(delivery, Outcome.DEAD, started_at=now, error=given_up),
                    dead_record(job.message, delivery, reason=given_up),
                )
            ]
        self._metrics.postponed.labels(reason).inc()
        due = now // 1_000 + int(seconds * 1_000) + 1
        return [retry_record(job.message, job.delivery, due=due, now=now // 1_000)]

    def cancelled(self, delivery: Delivery, reason: str) -> list[Record]:
        """Ended without a try, because the endpoint is disabled or gone."""
        self._metrics.attempts.labels(Outcome.CANCELLED.value).inc()
        return [attempt_record(delivery, Outcome.CANCELLED, started_at=timestamps.now(), error=reason)]

    def poison(self, message: Message, reason: str) -> list[Record]:
        """A record that is no delivery, or whose event cannot be read."""
        self._metrics.poison.labels(str(message.topic())).inc()
        return [dead_letter(message, reason=reason)]

    def fault(self, message: Message, error: Exception) -> list[Record]:
        """A record that our own code cannot handle."""
        log.error("handling a delivery failed", exc_info=error, extra={"offset": message.offset()})
        # What the error says may hold credentials.
        return self.poison(message, f"it cannot be handled: {type(error).__name__}")

    async def write(self, message: Message, progress: PartitionProgress, records: Sequence[Record]) -> None:
        """Write down all that became of a record; only then is its offset finished.

        Without records nothing is known of it, and its offset stays as it is.
        """
        if records:
            await self.note(message, records)
            progress.finish(int(message.offset() or 0))

    async def note(self, message: Message, records: Sequence[Record]) -> None:
        """Write down a part of what became of a record, however long Kafka takes."""
        while records:
            try:
                await self._producer.send(records, final=True)
            except (PayloadTooLarge, Unavailable) as error:
                # Those before the one that is too large may be written: then that is the cause, and not the error.
                if isinstance(error, PayloadTooLarge) or isinstance(error.__cause__, PayloadTooLarge):
                    fitting = [smaller(record, message, str(error)) for record in records]
                    if fitting == list(records):
                        raise
                    records = fitting
                    continue
                if not self._waiting:
                    log.warning("outcomes wait for Kafka: %s", error)
                self._waiting = True
                await asyncio.sleep(AGAIN)
            else:
                if self._waiting:
                    log.warning("outcomes are written again")
                self._waiting = False
                return

    async def guard(self, message: Message, progress: PartitionProgress, work: Callable[[], Awaitable[None]]) -> None:
        """Do work on a record; one that our own code cannot handle is set aside, or it would hold up its offset."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # ``fault`` logs it
            await self.write(message, progress, self.fault(message, error))

    def _dead(self, message: Message, delivery: Delivery, reason: str, answer: Answer, started_at: int) -> list[Record]:
        tried = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1)
        return [
            self._tried(delivery, Outcome.DEAD, answer, started_at),
            dead_record(message, tried, reason=reason, answer=answer),
        ]

    def _tried(
        self, delivery: Delivery, outcome: Outcome, answer: Answer, started_at: int, next_at: int | None = None
    ) -> Record:
        self._metrics.attempts.labels(outcome.value).inc()
        error = None if outcome is Outcome.DELIVERED else _failure(answer)
        return attempt_record(delivery, outcome, started_at=started_at, answer=answer, error=error, next_at=next_at)


def is_success(answer: Answer) -> bool:
    """Whether the receiver took it."""
    return answer.status is not None and HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


def is_healthy(answer: Answer) -> bool:
    """Whether the endpoint works: it answered, and neither with a server error nor with "too many"."""
    status = answer.status
    return status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS


def _failure(answer: Answer) -> str:
    if answer.status is None:
        return answer.error or "no answer"
    moved = HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST
    return f"answered {answer.status}{' (redirects are not followed)' if moved else ''}"
