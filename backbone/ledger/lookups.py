"""Finds events by any id that somebody may have: the gateway's, a delivery's, or the producer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select, tuple_

from backbone.ledger.readable import readable_events
from backbone.ledger.reading import read_rows
from backbone.ledger.tables import DELIVERIES, EVENTS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from schemas.security.reading import ReadScope

MOST_FOUND = 50
"""Events that one id of a producer may find."""


class NamedEvent(NamedTuple):
    """The gateway's id of an event, its CloudEvents source, and the client that published it."""

    event_id: str
    source: str
    clientid: str


def events_called(engine: Engine, scope: ReadScope, any_id: str, source: str | None = None) -> list[NamedEvent]:
    """The events that an id stands for and the reader may see, the latest first.

    The gateway's id of an event comes before the id of a delivery, and that before the id that producers gave: several
    sources may have used one. With a ``source`` the id is the producer's.

    Raises:
        Unavailable: the database cannot be reached.
    """
    table = EVENTS.c
    of_source = func.coalesce(table.ce_source, table.source)
    wanted = select(table.id, of_source, table.source)
    by_id = [table.id == any_id, *readable_events(scope)]
    elsewhere = readable_events(scope, workspace_index=False)
    by_own_id = [table.producer_id == any_id, *elsewhere]
    if source is not None:
        # An event without an id of its producer has the gateway's in its place.
        alternatives = [[*by_own_id, of_source == source], [*by_id, of_source == source]]
    else:
        deliveries = DELIVERIES.c
        delivered = select(deliveries.workspace, deliveries.event).where(deliveries.id == any_id)
        alternatives = [by_id, [tuple_(table.workspace, table.id).in_(delivered), *elsewhere], by_own_id]
    for conditions in alternatives:
        rows = read_rows(engine, wanted.where(*conditions).order_by(table.received_at.desc()).limit(MOST_FOUND))
        if rows:
            return [NamedEvent._make(row) for row in rows]
    return []
