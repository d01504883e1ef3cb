"""Counts deliveries by hour, event type and endpoint, from the ledger's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import case, exists, func, select

from backbone.ledger.reading import read_rows
from backbone.ledger.tables import DELIVERIES, EVENTS
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.ids import LIVE
from schemas.model.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine, Row

    from schemas.security.reading import ReadScope

HOUR = 3_600_000_000
"""Microseconds."""

LONGEST_SPAN = 7 * 24 * HOUR

MOST_COUNTS = 10_000
"""In one answer."""


class CountQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries to count.

    Attributes:
        since, until: ``since`` ≤ routed time < ``until``, in microseconds; at most ``LONGEST_SPAN``.
        endpoint: its id; None counts all that may be seen.
        topics: of the event types; None counts all.
        published: count those of the events that the reader published, whatever their endpoint, and name none.
    """

    since: int
    until: int
    endpoint: str | None = None
    topics: tuple[str, ...] | None = None
    published: bool = False


class DeliveryCount(msgspec.Struct, kw_only=True):
    """The deliveries of one hour, event type and endpoint, live or of other runs.

    Attributes:
        hour: its beginning, microseconds since the epoch.
        endpoint: its id; None where it is another client's.
        live: False for replays and other runs.
        attempts: made for these deliveries so far.
        outcomes: how many stand where.
    """

    hour: int
    topic: str
    endpoint: str | None
    live: bool
    attempts: int = 0
    outcomes: dict[Standing, int] = {}

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


class DeliveryCounts:
    """Blocking, and usable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counts(self, scope: ReadScope, query: CountQuery) -> list[DeliveryCount]:
        """Counts, the latest hour first, of the deliveries that the reader may count.

        Raises:
            InvalidRequest: the span is too long, or has too many endpoints and types for one answer.
            Unavailable: the database cannot be read.
        """
        if not 0 <= query.until - query.since <= LONGEST_SPAN:
            message = f"must be later than since, and by at most {LONGEST_SPAN // (24 * HOUR)} days"
            raise InvalidRequest("The span cannot be counted.", [Problem(path="until", message=message)])
        table = DELIVERIES.c
        hour = (table.routed_at - table.routed_at % HOUR).label("hour")
        live = case((table.run == LIVE, 1), else_=0).label("live")
        group = [hour, table.topic, live] if query.published else [hour, table.topic, live, table.endpoint]
        counted = (
            select(*group, table.standing, func.count().label("number"), func.sum(table.attempts).label("attempts"))
            .where(*_conditions(scope, query))
            .group_by(*group, table.standing)
            .limit(MOST_COUNTS * len(Standing) + 1)
        )
        found = _collected(read_rows(self._engine, counted), named=not query.published)
        if len(found) > MOST_COUNTS:
            message = f"has more than {MOST_COUNTS:,} endpoints, types and hours: ask for less, or for one endpoint"
            raise InvalidRequest("The span cannot be counted.", [Problem(path="until", message=message)])
        return sorted(found, key=lambda each: (-each.hour, each.topic, each.endpoint or "", not each.live))


def _conditions(scope: ReadScope, query: CountQuery) -> list[ColumnElement[bool]]:
    table = DELIVERIES.c
    conditions = [
        table.workspace == scope.workspace,
        table.routed_at >= query.since,
        table.routed_at < query.until,
        table.standing.is_not(None),
    ]
    if query.topics is not None:
        conditions.append(table.topic.concat("").in_(query.topics))
    if query.endpoint is not None:
        conditions.append(table.endpoint == query.endpoint)
    if query.published:
        own = (EVENTS.c.workspace == table.workspace, EVENTS.c.id == table.event, EVENTS.c.source == scope.client)
        conditions.append(exists().where(*own).correlate(DELIVERIES))
    elif scope.client is not None:
        conditions.append(table.endpoint.concat("").in_(sorted(scope.endpoints)))
    return conditions


def _collected(rows: Sequence[Row[Any]], *, named: bool) -> list[DeliveryCount]:
    counts: dict[tuple[Any, ...], DeliveryCount] = {}
    for row in rows:
        endpoint = row.endpoint if named else None
        key = (row.hour, row.topic, row.live, endpoint)
        count = counts.get(key)
        if count is None:
            count = counts[key] = DeliveryCount(
                hour=row.hour, topic=row.topic, endpoint=endpoint, live=bool(row.live), outcomes={}
            )
        count.attempts += int(row.attempts)
        count.outcomes[Standing(row.standing)] = row.number
    return list(counts.values())
