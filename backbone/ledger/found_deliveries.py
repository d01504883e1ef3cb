"""Looks a delivery up by its id, to send it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import case, select

from backbone.ledger.reading import read_rows
from backbone.ledger.tables import DELIVERIES
from schemas.model.delivery import SourceOffset
from schemas.model.ids import LIVE

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from schemas.security.reading import ReadScope


class FoundDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint: where the event is, and the subscriptions that matched."""

    id: str
    event: str
    endpoint: str
    source: SourceOffset
    subscriptions: tuple[str, ...]


def find_delivery(engine: Engine, scope: ReadScope, delivery_id: str) -> FoundDelivery | None:
    """A delivery that the reader may see, as it was routed first; None if there is none.

    Raises:
        Unavailable: the database cannot be reached.
    """
    table = DELIVERIES.c
    found = select(table.event, table.endpoint, table.source_offset, table.subscriptions).where(
        table.id == delivery_id, table.workspace == scope.workspace
    )
    # A run repeats what was routed; an event that was accepted twice has two offsets.
    for row in read_rows(engine, found.order_by(case((table.run == LIVE, 0), else_=1), table.routed_at)):
        if scope.reads_endpoint(row.endpoint):
            return FoundDelivery(
                id=delivery_id,
                event=row.event,
                endpoint=row.endpoint,
                source=SourceOffset.parse(row.source_offset),
                subscriptions=tuple(part for part in row.subscriptions.split(",") if part),
            )
    return None
