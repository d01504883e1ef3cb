"""Which rows of the ledger a client may read: every query of events goes through these conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, func, or_, select, tuple_, union

from backbone.ledger.reading import read_rows
from backbone.ledger.tables import DELIVERIES, EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sqlalchemy import ColumnElement, Engine, Select

    from schemas.security.reading import ReadScope

    Conditions = list[ColumnElement[bool]]

PUBLISHER: ColumnElement[str] = EVENTS.c.source
"""The id of the client that published an event."""

FEW = 10_000
"""A client's deliveries that are sorted for a page. With more of them, events are read in order until it is full."""


def readable_events(scope: ReadScope, *, workspace_index: bool = True) -> Conditions:
    """Return the conditions for a query that finds its events by an id.

    Args:
        scope: what the client may read.
        workspace_index: whether indexes that begin with the workspace may be used. SQLite prefers one of them to a
            better one, and then reads the whole workspace.
    """
    workspace = EVENTS.c.workspace if workspace_index else EVENTS.c.workspace.concat("")
    conditions: Conditions = [workspace == scope.workspace]
    if scope.client is not None:
        may_read: ColumnElement[bool] = PUBLISHER.in_((scope.client,))
        if scope.endpoints:
            may_read = or_(may_read, _was_delivered(scope))
        conditions.append(may_read)
    return conditions


class Part(NamedTuple):
    """Conditions of some of the events that a client may read; ``by_id`` means that their ids lead to them."""

    conditions: Conditions
    by_id: bool = False


def readable_parts(engine: Engine, scope: ReadScope, *, apart: bool = False) -> list[Part]:
    """Return the parts that make up a list of events.

    No database would use the indexes of both parts for one condition.

    Args:
        engine: the ledger.
        scope: what the client may read.
        apart: whether no event may be in two parts, so that their counts can be added.

    Raises:
        Unavailable: the database cannot be read now.
    """
    in_workspace = EVENTS.c.workspace == scope.workspace
    if scope.client is None:
        return [Part([in_workspace])]
    parts = [Part([in_workspace, EVENTS.c.source == scope.client])]
    if number := _some_deliveries(engine, scope):
        if apart:
            parts.append(Part([*_delivered(scope), EVENTS.c.source != scope.client], by_id=True))
        elif number <= FEW:
            parts.append(Part(_delivered(scope), by_id=True))
        else:
            parts.append(Part([in_workspace, _was_delivered(scope)]))
    return parts


def ordered_page(
    columns: Sequence[ColumnElement[Any]],
    parts: Sequence[Conditions],
    order: Callable[[Any], Sequence[ColumnElement[Any]]],
    *,
    limit: int,
    offset: int = 0,
) -> Select[Any]:
    """Return the query for a page of the events of all parts.

    Args:
        columns: what to read of an event.
        parts: the conditions of each.
        order: names the columns to order by, of a table that has those of events.
        limit: at most so many events.
        offset: the events of the pages before.
    """
    if len(parts) == 1:
        return select(*columns).where(*parts[0]).order_by(*order(EVENTS.c)).limit(limit).offset(offset or None)
    table = EVENTS.c
    keys = [
        select(table.workspace, table.id, table.time, table.received_at)
        .where(*conditions)
        .order_by(*order(table))
        .limit(offset + limit)
        .subquery()
        for conditions in parts
    ]
    merged = union(*(select(each) for each in keys)).subquery()
    found = select(merged.c.workspace, merged.c.id).order_by(*order(merged.c)).limit(limit).offset(offset or None)
    return select(*columns).where(tuple_(table.workspace, table.id).in_(found)).order_by(*order(table))


def _some_deliveries(engine: Engine, scope: ReadScope) -> int:
    """Count the deliveries to the client, up to one more than ``FEW``."""
    if not scope.endpoints:
        return 0
    some = select(DELIVERIES.c.event).where(*_to_endpoints(scope)).limit(FEW + 1).subquery()
    number: int = read_rows(engine, select(func.count()).select_from(some))[0][0]
    return number


def _delivered(scope: ReadScope) -> Conditions:
    # The workspace is no condition of its own: SQLite would read all of it in order of time.
    events = select(DELIVERIES.c.workspace, DELIVERIES.c.event).where(*_to_endpoints(scope))
    return [tuple_(EVENTS.c.workspace, EVENTS.c.id).in_(events)]


def _was_delivered(scope: ReadScope) -> ColumnElement[bool]:
    table = DELIVERIES.c
    of_event = (table.workspace == EVENTS.c.workspace, table.event == EVENTS.c.id)
    # The index by event needs one search for all endpoints; the index by endpoint, one for each.
    return exists().where(*of_event, table.endpoint.concat("").in_(sorted(scope.endpoints)))


def _to_endpoints(scope: ReadScope) -> Conditions:
    return [DELIVERIES.c.workspace == scope.workspace, DELIVERIES.c.endpoint.in_(sorted(scope.endpoints))]
