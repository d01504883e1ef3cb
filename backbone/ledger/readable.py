"""Which rows of the ledger a client may read: every query of events goes through these conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, or_

from backbone.ledger.tables import DELIVERIES, EVENTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from schemas.reading import ReadScope

PUBLISHER: ColumnElement[str] = EVENTS.c.source
"""The id of the client that published an event."""


def readable_events(scope: ReadScope) -> list[ColumnElement[bool]]:
    """The conditions that a query of events has beside its own: published by the client, or delivered to it."""
    conditions: list[ColumnElement[bool]] = [EVENTS.c.workspace == scope.workspace]
    if scope.client is not None:
        may_read: ColumnElement[bool] = PUBLISHER.in_((scope.client,))
        if scope.endpoints:
            table = DELIVERIES.c
            of_event = exists().where(
                table.workspace == EVENTS.c.workspace,
                table.event == EVENTS.c.id,
                table.endpoint.in_(sorted(scope.endpoints)),
            )
            may_read = or_(may_read, of_event)
        conditions.append(may_read)
    return conditions
