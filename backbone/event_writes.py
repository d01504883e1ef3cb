"""Events written to Kafka, save those that an earlier try under the same claim has written already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.landed_events import find_landed
from schemas.event import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.claims import Held
    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from backbone.landed_events import Landed


class EventWrites:
    """Writes the records of events.

    Args:
        producer: of this process.
        settings: of the search for earlier tries.
    """

    def __init__(self, producer: Producer, settings: KafkaSettings) -> None:
        self._producer = producer
        self._settings = settings

    async def send(
        self, ids: Sequence[str], records: Sequence[Record], received_at: int, *, final: bool
    ) -> list[Receipt]:
        """Write all; ``final`` as in ``Producer.send``."""
        acks = await self._producer.send(records, final=final)
        return [
            Receipt(
                id=event_id, topic=record.topic, partition=ack.partition, offset=ack.offset, received_at=received_at
            )
            for event_id, record, ack in zip(ids, records, acks, strict=True)
        ]

    async def write(
        self,
        events: Sequence[tuple[str, Record]],
        received_at: int,
        *,
        lost: Mapping[str, Held | None],
        seconds: float,
    ) -> list[Receipt]:
        """Write those that are not there yet.

        Args:
            events: ids and records.
            received_at: of those that are written.
            lost: by id, the void claim that was taken over; its events are looked for.
            seconds: that this may take.

        Raises:
            NotWritten: it takes longer; nothing was written.
        """
        found = await self._find([event_id for event_id, _ in events], lost, seconds)
        missing = [(index, *event) for index, event in enumerate(events) if event[0] not in found]
        sent = await self.send(
            [event_id for _, event_id, _ in missing], [record for *_, record in missing], received_at, final=True
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
