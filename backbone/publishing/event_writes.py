"""Writes events to Kafka, except those that an earlier try under the same claim has already written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.publishing.landed_events import find_landed
from schemas.model.event import Receipt

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Ack, Record
    from backbone.kafka.settings import KafkaSettings
    from backbone.publishing.claims import Held
    from backbone.publishing.landed_events import Landed
    from backbone.publishing.type_lease import Permit
    from backbone.slices import Slices
    from backbone.tracing.spans import Tracing


class EventWrites:
    """Writes the records of events.

    Args:
        producer: of this process.
        settings: how to reach Kafka to search for earlier tries.
        slices: of the event loop, for large batches.
        tracing: makes a span for what is written together; None makes none.
    """

    def __init__(
        self, producer: Producer, settings: KafkaSettings, slices: Slices, tracing: Tracing | None = None
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._slices = slices
        self._tracing = tracing

    def begin(self, record: Record) -> asyncio.Future[list[Ack]]:
        """Write one record without a key; the future has its place."""
        return self._producer.send([record])

    async def send(
        self, ids: Sequence[str], records: Sequence[Record], received_at: int, permit: Permit, *, final: bool
    ) -> list[Receipt]:
        """Write all events; ``final`` as in ``Producer.send``."""
        await permit.held(records)
        if self._tracing is None or not records:
            acks = await self._producer.send(records, final=final, refusal=permit.refusal)
        else:
            with self._tracing.sending(ids, records) as span:
                acks = await self._producer.send(records, final=final, refusal=permit.refusal)
                span.acknowledged(acks)
        await permit.check_written(records)

        def receipt(written: tuple[str, Record, Ack]) -> Receipt:
            event_id, record, ack = written
            return Receipt(
                id=event_id, topic=record.topic, partition=ack.partition, offset=ack.offset, received_at=received_at
            )

        return await self._slices.begin().each(list(zip(ids, records, acks, strict=True)), receipt)

    async def write(
        self,
        events: Sequence[tuple[str, Record]],
        received_at: int,
        permit: Permit,
        *,
        lost: Mapping[str, Held | None],
        seconds: float,
    ) -> list[Receipt]:
        """Write the events that are not in Kafka yet.

        Args:
            events: ids and records.
            received_at: time of the events that are written.
            permit: from before the events were encoded.
            lost: for each id, the expired claim that was taken over, if any; its events are searched for.
            seconds: time limit.

        Raises:
            NotWritten: the search takes longer; nothing was written.
        """
        found = await self._find([event_id for event_id, _ in events], lost, seconds)
        missing = [(index, *event) for index, event in enumerate(events) if event[0] not in found]
        sent = await self.send(
            [event_id for _, event_id, _ in missing],
            [record for *_, record in missing],
            received_at,
            permit,
            final=True,
        )
        receipts = {index: receipt for (index, *_), receipt in zip(missing, sent, strict=True)}
        return [
            receipts[index] if index in receipts else _landed(event_id, found[event_id])
            for index, (event_id, _) in enumerate(events)
        ]

    async def _find(self, ids: Sequence[str], lost: Mapping[str, Held | None], seconds: float) -> dict[str, Landed]:
        tries = {event_id: held for event_id in ids if (held := lost.get(event_id)) is not None}
        if not tries:
            return {}
        places = dict.fromkeys(place for held in tries.values() for place in held.places)
        return await find_landed(self._settings, tries, places, min(held.since for held in tries.values()), seconds)


def _landed(event_id: str, landed: Landed) -> Receipt:
    return Receipt(
        id=event_id,
        topic=landed.topic,
        partition=landed.partition,
        offset=landed.offset,
        received_at=landed.appended_at,
    )
