"""The attempts of deliveries that ended together, many in a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.batched_attempts import Settled, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.model.delivery import Outcome

_TOGETHER = 1_000
"""Deliveries in one settlement, of about 250 bytes each."""

_MOST_BYTES = 500_000
"""Of a settlement. The ids that another producer wrote can be longer than ours."""

_ENCODER = msgspec.json.Encoder()


def settlement_records(
    deliveries: Sequence[Settled], outcome: Outcome, *, ended_at: int, error: str | None = None
) -> list[Record]:
    """Return the records that say what these deliveries came to; ``ended_at`` in microseconds since the epoch."""
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
