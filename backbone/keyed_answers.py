"""From receipts to the answers that are remembered of keyed publishes, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.publishing.known_answers import Answer
from schemas.model.event import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.kafka.records import Partition, Record
    from backbone.publishing.idempotency import IdempotencyKey


def known_by_name(keys: Mapping[str, IdempotencyKey], answers: Sequence[Answer | None]) -> dict[str, Answer]:
    """The answers that there are, by the names of their keys."""
    return {name: answer for name, answer in zip(keys, answers, strict=True) if answer is not None}


def places_of(records: Sequence[Record]) -> tuple[Partition, ...]:
    """Where records go, each place once."""
    return tuple(dict.fromkeys((record.topic, record.partition) for record in records))


def first_of_each(keys: Sequence[IdempotencyKey | None], known: Mapping[str, Answer]) -> list[int]:
    """The indexes of the events to write: not yet answered, and of several with one id only the first."""
    seen = set(known)
    fresh = []
    for index, key in enumerate(keys):
        if key is None or key.key not in seen:
            fresh.append(index)
        if key is not None:
            seen.add(key.key)
    return fresh


def answer_of(key: IdempotencyKey, receipts: Sequence[Receipt]) -> Answer:
    """What is remembered of a publish."""
    names = tuple(dict.fromkeys(receipt.topic for receipt in receipts))
    indexes = {name: index for index, name in enumerate(names)}
    places = tuple((indexes[receipt.topic], receipt.partition, receipt.offset) for receipt in receipts)
    return Answer(key.body_hash, names, places, receipts[0].received_at if receipts else 0)


def repeated(answer: Answer, ids: Sequence[str]) -> list[Receipt]:
    """The receipts that a repeat gets."""
    return [
        Receipt(
            id=event_id,
            topic=answer.topics[topic],
            partition=partition,
            offset=offset,
            received_at=answer.received_at,
            repeated=True,
        )
        for event_id, (topic, partition, offset) in zip(ids, answer.places, strict=True)
    ]
