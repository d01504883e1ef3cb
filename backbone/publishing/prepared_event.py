"""One event that is encoded and has only to be written, where nothing has to be waited for before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record
from schemas.model.event import Receipt

if TYPE_CHECKING:
    from backbone.kafka.records import Ack


class PreparedEvent(msgspec.Struct, frozen=True, gc=False):
    """See ``Publisher.prepare``. ``received_at`` is in microseconds since the epoch."""

    id: str
    record: Record
    received_at: int

    def receipt(self, ack: Ack) -> Receipt:
        """The receipt of the event, once Kafka has acknowledged it."""
        return Receipt(
            id=self.id,
            topic=self.record.topic,
            partition=ack.partition,
            offset=ack.offset,
            received_at=self.received_at,
        )
