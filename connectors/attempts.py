"""The records that say what became of a delivery: attempts, retries, dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record, dead_letter, headers_of
from connectors.schedule import tier_for
from schemas import topics
from schemas.delivery import Attempt, Delivery, GroupedDelivery, Outcome, event_headers
from schemas.ids import attempt_id
from schemas.settlement import Settled, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Message
    from connectors.http_client import Answer

MAX_RESPONSE = 2_048
"""Characters of a response that an attempt or a dead letter keeps."""

_TOGETHER = 1_000
"""Deliveries in one settlement, of about 250 bytes each."""

_MOST_BYTES = 500_000
"""Of a settlement. The ids that another producer wrote can be longer than ours."""

_LONGEST_KEY = 65_536
"""Bytes of a dead letter's key: far more than an endpoint's id has."""

_DELIVERIES = frozenset((topics.WEBHOOK_DELIVERIES, *topics.RETRY_TIERS.values()))

_ENCODER = msgspec.json.Encoder()


def attempt_record(
    delivery: Delivery,
    outcome: Outcome,
    *,
    started_at: int,
    answer: Answer | None = None,
    error: str | None = None,
    next_at: int | None = None,
) -> Record:
    """One try on ``attempts``; without an ``answer``, a delivery that ends without a request.

    Args:
        delivery: as it was consumed, before this try is counted.
        outcome: where the delivery stands now.
        started_at: microseconds since the epoch.
        answer: what came of the request.
        error: replaces the answer's error.
        next_at: when the next try is due, microseconds since the epoch.
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
        duration=answer.duration if answer else 0.0,
        status=answer.status if answer else None,
        error=error or (answer.error if answer else None),
        response=answer.body[:MAX_RESPONSE] if answer and answer.body else None,
        next_at=next_at,
        execution=answer.execution if answer else None,
    )
    return Record(topics.ATTEMPTS, _ENCODER.encode(attempt), delivery.event.encode())


def settlement_records(
    deliveries: Sequence[Settled], outcome: Outcome, *, ended_at: int, error: str | None = None
) -> list[Record]:
    """The attempts of deliveries that ended together, many in a record."""
    records: list[Record] = []
    parts = [deliveries[at : at + _TOGETHER] for at in range(0, len(deliveries), _TOGETHER)]
    while parts:
        part = parts.pop()
        value = _ENCODER.encode(Settlement(outcome, ended_at, error, tuple(part)))
        if len(value) > _MOST_BYTES and len(part) > 1:
            half = len(part) // 2
            parts += [part[:half], part[half:]]
        else:
            records.append(Record(topics.ATTEMPTS, value))
    return records


def retry_record(message: Message, delivery: Delivery | GroupedDelivery, *, due: int, now: int) -> Record:
    """The delivery on the tier where it waits first.

    Args:
        message: the record as it was consumed.
        delivery: as it shall be tried again.
        due: when to try again, milliseconds since the epoch.
        now: milliseconds since the epoch.
    """
    waiting = msgspec.structs.replace(delivery, due=due)
    headers = event_headers(header_list(message)) + waiting.to_headers()
    return Record(tier_for((due - now) / 1_000)[1], message.value(), waiting.record_key, headers)


def again_record(message: Message, delivery: Delivery | GroupedDelivery) -> Record:
    """The delivery at the end of ``deliveries.webhook``, untried."""
    headers = event_headers(header_list(message)) + delivery.to_headers()
    return Record(topics.WEBHOOK_DELIVERIES, message.value(), delivery.record_key, headers)


def dead_record(message: Message, delivery: Delivery, *, reason: str, answer: Answer | None = None) -> Record:
    """The whole delivery on ``dead-letters``, with the reason and the last response, so that it can be redriven.

    A contract that failed is a delivery like any other there, whatever else its record carried.
    """
    extra = []
    if answer is not None and answer.status is not None:
        extra.append(("hr_dead_status", str(answer.status).encode()))
    if answer is not None and answer.body:
        extra.append(("hr_dead_response", answer.body[:MAX_RESPONSE].encode()))
    letter = dead_letter(message, reason=reason, kind="delivery", key=delivery.record_key, extra=extra)
    about = [header for header in letter.headers or [] if header[0].startswith("hr_dead_")]
    headers = event_headers(header_list(message)) + delivery.to_headers() + about
    return msgspec.structs.replace(letter, headers=headers)


def header_list(message: Message) -> list[tuple[str, bytes]]:
    """A message's headers as ``Delivery`` reads them; a null header becomes an empty one."""
    return [(name, value or b"") for name, value in headers_of(message)]


def smaller(record: Record, message: Message, reason: str) -> Record:
    """What to write of ``message`` instead of a record that Kafka does not take for its size, or the record itself.

    A delivery becomes a dead letter, and a dead letter goes without its value: it still says where the original is. The
    records of other producers can be larger than any of ours.
    """
    if record.topic in _DELIVERIES:
        key = record.key if len(record.key or b"") <= _LONGEST_KEY else None
        record = dead_letter(message, reason=f"cannot be tried again: {reason}", kind="delivery", key=key)
    elif record.topic != topics.DEAD_LETTERS:
        return record
    return msgspec.structs.replace(record, value=None)
