"""The records of a delivery's outcome: attempts, retries, dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record, dead_letter, header_list
from connectors.webhook.kept_exchange import kept_head
from connectors.webhook.retry_schedule import tier_for
from schemas.model import topics
from schemas.model.delivery import Attempt, Delivery, GroupedDelivery, Outcome, event_headers
from schemas.model.errors import HeadraceError, NoAccessToken
from schemas.model.ids import attempt_id
from schemas.model.standing import Reason, reason_of_status

if TYPE_CHECKING:
    from backbone.kafka.records import ConsumedRecord
    from connectors.webhook.transport import Response

MAX_RESPONSE = 2_048
"""Characters of a response that a dead letter keeps."""

_LONGEST_KEY = 65_536
"""Bytes of a dead letter's key: far more than an endpoint's id has."""

_DELIVERIES = frozenset((topics.WEBHOOK_DELIVERIES, topics.WEBHOOK_REPLAYS, *topics.RETRY_TIERS.values()))

_ENCODER = msgspec.json.Encoder()


def attempt_record(
    delivery: Delivery,
    outcome: Outcome,
    *,
    started_at: int,
    response: Response | None = None,
    error: str | None = None,
    reason: Reason | None = None,
    next_at: int | None = None,
    keep: int = 0,
) -> Record:
    """The attempt, on ``attempts``; without a ``response``, of a delivery that ends without a request.

    Args:
        delivery: as it was consumed, before this try is counted.
        outcome: of this attempt.
        started_at: microseconds since the epoch.
        response: of the receiver.
        error: replaces the response's error.
        reason: why the delivery ended without a request; with a response, that one tells.
        next_at: when the next try is due, microseconds since the epoch.
        keep: characters of the response's body that are kept, with its headers; 0 keeps neither.
    """
    number = delivery.attempts + 1
    attempt = Attempt(
        id=attempt_id(delivery.id, delivery.run, number),
        delivery=delivery.id,
        event=delivery.event,
        endpoint=delivery.endpoint,
        workspace=delivery.workspace,
        source=delivery.source,
        run=delivery.run,
        number=number,
        outcome=outcome,
        started_at=started_at,
        duration=response.duration if response else 0.0,
        status=response.status if response else None,
        error=error or (response.error if response else None),
        response=response.body[:keep] if response and response.body and keep else None,
        next_at=next_at,
        execution=response.execution if response else None,
        reason=reason if response is None else _reason(outcome, response),
        routed_at=delivery.routed_at,
        request=response.sent if response else None,
        response_head=kept_head(response.headers) if response and response.headers and keep else None,
    )
    return Record(topics.ATTEMPTS, _ENCODER.encode(attempt), delivery.event.encode())


def _reason(outcome: Outcome, response: Response) -> Reason | None:
    if outcome is Outcome.DELIVERED:
        return None
    return response.failure if response.status is None else reason_of_status(response.status)


def reason_of_error(error: HeadraceError) -> Reason:
    """Why a request could not be made."""
    return Reason.AUTHORIZATION if isinstance(error, NoAccessToken) else Reason.ENDPOINT


def retry_record(message: ConsumedRecord, delivery: Delivery | GroupedDelivery, *, due: int, now: int) -> Record:
    """The delivery on the first retry tier that it waits on.

    Args:
        message: the record as it was consumed.
        delivery: for the next try.
        due: when to try again, milliseconds since the epoch.
        now: milliseconds since the epoch.
    """
    waiting = msgspec.structs.replace(delivery, due=due)
    headers = event_headers(header_list(message)) + waiting.to_headers()
    return Record(tier_for((due - now) / 1_000)[1], message.value(), waiting.record_key, headers)


def again_record(message: ConsumedRecord, delivery: Delivery | GroupedDelivery) -> Record:
    """The delivery at the end of its topic, untried."""
    headers = event_headers(header_list(message)) + delivery.handed_on().to_headers()
    return Record(delivery.webhook_topic, message.value(), delivery.record_key, headers)


def dead_record(
    message: ConsumedRecord, delivery: Delivery, *, reason: str, response: Response | None = None
) -> Record:
    """The whole delivery on ``dead-letters``, with the reason and the last response, so that it can be redriven.

    An ordered delivery is a delivery like any other there, without the others of its record.
    """
    extra = []
    if response is not None and response.status is not None:
        extra.append(("hr_dead_status", str(response.status).encode()))
    if response is not None and response.body:
        extra.append(("hr_dead_response", response.body[:MAX_RESPONSE].encode()))
    letter = dead_letter(message, reason=reason, kind="delivery", key=delivery.record_key, extra=extra)
    about = [header for header in letter.headers or [] if header[0].startswith("hr_dead_")]
    headers = event_headers(header_list(message)) + delivery.to_headers() + about
    return msgspec.structs.replace(letter, headers=headers)


def smaller(record: Record, message: ConsumedRecord, reason: str) -> Record:
    """Return a smaller record in place of one over Kafka's limit, or the record itself if it has no smaller form.

    A delivery becomes a dead letter, and a dead letter loses its value: it still names the offset of the original.
    Records of other producers can be larger than any of ours.
    """
    if record.topic in _DELIVERIES:
        key = record.key if len(record.key or b"") <= _LONGEST_KEY else None
        record = dead_letter(message, reason=f"cannot be tried again: {reason}", kind="delivery", key=key)
    elif record.topic != topics.DEAD_LETTERS:
        return record
    return msgspec.structs.replace(record, value=None)
