"""Reads the balance: what the router matched for each endpoint and hour, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BigInteger, case, func, literal, or_, select, union_all
from sqlalchemy import cast as as_type

from backbone.ledger.balance_tables import COMPLETE, HOUR, INDEXED, MATCHED, ROUTED, ROUTING_FAULTS
from backbone.ledger.reading import read_rows
from backbone.ledger.tables import ATTEMPTS, DELIVERIES
from schemas.model.delivery import Outcome
from schemas.model.ids import LIVE

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine

    from schemas.security.reading import ReadScope

_COUNTS = ("matched", "delivered", "dead", "retrying", "in_flight", "held", "cancelled", "not_kept")
_MOST_CELLS = 200
"""Places that are named for a row that does not add up."""


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the deliveries that were matched for one endpoint in one hour.

    Replays and resends do not count. ``hour`` is its first microsecond since the epoch.

    Attributes:
        matched: by the router, as its receipts say.
        in_flight: routed and not tried yet.
        held: of an endpoint that its owner paused; not routed yet.
        not_kept: of event types that the ledger does not keep; what became of them is not known here.
        difference: matched, less all others. Not 0 in an hour that the ledger has whole: a delivery was lost or made
            twice.
        places: where a difference is.
    """

    workspace: str
    endpoint: str
    hour: int
    matched: int
    delivered: int
    dead: int
    retrying: int
    in_flight: int
    held: int
    cancelled: int
    not_kept: int
    difference: int
    places: tuple[BalancePlace, ...] = ()


class BalancePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets whose deliveries for one endpoint and hour do not add up.

    ``found`` is how many of the ``matched`` deliveries the ledger has. ``first_offset`` and ``next_offset`` are null
    where nothing was matched.
    """

    topic: str
    partition: int
    first_offset: int | None
    next_offset: int | None
    matched: int
    found: int


class BalanceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the balance.

    Attributes:
        since: microseconds since the epoch; the whole of its hour is counted.
        until: likewise; its hour is counted unless it is the hour's first microsecond.
        endpoint: only this endpoint's.
        unbalanced: only rows that do not add up; they have ``places``.
        limit: most rows.
        after: hour (microseconds) and endpoint of the last row of the page before.
    """

    since: int
    until: int
    endpoint: str | None = None
    unbalanced: bool = False
    limit: int
    after: tuple[int, str] | None = None


class RoutingFault(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets that no receipt accounts for (``gap``), or two do (``overlap``)."""

    kind: str
    first_offset: int
    next_offset: int


class RoutedPartition(msgspec.Struct, frozen=True, kw_only=True):
    """The offsets of one partition that receipts account for; ``skipped`` were passed over without an event."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    events: int
    skipped: int
    routed_at: int
    faults: tuple[RoutingFault, ...] = ()


class Balance:
    """Blocking, and usable from any thread. All methods raise ``Unavailable`` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def complete_until(self) -> int | None:
        """When Kafka last had nothing that the ledger did not have, microseconds since the epoch; None: never yet."""
        rows = read_rows(self._engine, select(COMPLETE.c.until).where(COMPLETE.c.name == "ledger"))
        return rows[0].until if rows else None

    def indexed(self) -> dict[tuple[str, int], int]:
        """How far the ledger has read each partition: the next offset."""
        return {(row.topic, row.partition): row.next_offset for row in read_rows(self._engine, select(INDEXED))}

    def rows(self, scope: ReadScope, query: BalanceQuery) -> list[BalanceRow]:
        """A page of the balance of each endpoint and hour, the latest hour first.

        Args:
            scope: what the reader may see.
            query: which of it.
        """
        first, last = query.since // HOUR, -(-query.until // HOUR)
        after = query.after
        if after is not None:
            last = min(last, after[0] // HOUR + 1)
        matched = select(
            MATCHED.c.workspace,
            MATCHED.c.endpoint,
            MATCHED.c.hour,
            MATCHED.c.matched,
            *(_zero(name) for name in _COUNTS[1:5]),
            MATCHED.c.held.label("held"),
            _zero("cancelled"),
            MATCHED.c.not_kept.label("not_kept"),
        ).where(MATCHED.c.hour >= first, MATCHED.c.hour < last, *_readable(MATCHED, scope, query.endpoint))
        table = DELIVERIES.c
        found = select(
            table.workspace,
            table.endpoint,
            _hour().label("hour"),
            _zero("matched"),
            *(_one(name, condition) for name, condition in _standings()),
            _zero("not_kept"),
        ).where(
            table.run == LIVE,
            table.routed_at >= first * HOUR,
            table.routed_at < last * HOUR,
            *_readable(DELIVERIES, scope, query.endpoint),
        )
        both = union_all(matched, found).subquery()
        sums = [func.sum(both.c[name]).label(name) for name in _COUNTS]
        difference = func.sum(both.c.matched) - sum(func.sum(both.c[name]) for name in _COUNTS[1:])
        page = (
            select(both.c.workspace, both.c.endpoint, both.c.hour, *sums, difference.label("difference"))
            .group_by(both.c.workspace, both.c.endpoint, both.c.hour)
            .order_by(both.c.hour.desc(), both.c.endpoint)
            .limit(query.limit)
        )
        if query.unbalanced:
            page = page.having(difference != 0)
        if after is not None:
            hour, name = after[0] // HOUR, after[1]
            page = page.where(or_(both.c.hour < hour, both.c.endpoint > name))
        return [self._row(row, places=query.unbalanced) for row in read_rows(self._engine, page)]

    def routed(self, workspace: str, *, limit: int, after: tuple[str, int] | None = None) -> list[RoutedPartition]:
        """The partitions that the router has routed, in the order of their names, with what is wrong.

        Args:
            workspace: whose event types.
            limit: most partitions.
            after: topic and partition of the last one of the page before.
        """
        table, wrong = ROUTED.c, ROUTING_FAULTS.c
        page = select(ROUTED).where(table.workspace == workspace).order_by(table.topic, table.partition).limit(limit)
        if after is not None:
            topic, number = after
            page = page.where(or_(table.topic > topic, (table.topic == topic) & (table.partition > number)))
        rows = read_rows(self._engine, page)
        faults: dict[tuple[str, int], list[RoutingFault]] = {}
        known = select(ROUTING_FAULTS).where(
            wrong.workspace == workspace, wrong.topic.in_(sorted({row.topic for row in rows}))
        )
        for row in read_rows(self._engine, known.order_by(wrong.first_offset)):
            fault = RoutingFault(kind=row.kind, first_offset=row.first_offset, next_offset=row.next_offset)
            faults.setdefault((row.topic, row.partition), []).append(fault)
        return [
            RoutedPartition(
                topic=row.topic,
                partition=row.partition,
                first_offset=row.first_offset,
                next_offset=row.next_offset,
                events=row.events,
                skipped=row.skipped,
                routed_at=row.routed_at,
                faults=tuple(faults.get((row.topic, row.partition), ())),
            )
            for row in rows
        ]

    def fault_count(self) -> int:
        """How many faults the receipts of all workspaces have."""
        number: int = read_rows(self._engine, select(func.count()).select_from(ROUTING_FAULTS))[0][0]
        return number

    def waiting(self, workspace: str, *, since: int, until: int) -> int:
        """How many live deliveries that were routed in this time (microseconds since the epoch) were never tried."""
        table = DELIVERIES.c
        conditions = (
            table.workspace == workspace,
            table.routed_at >= since,
            table.routed_at < until,
            table.run == LIVE,
        )
        wanted = select(func.count()).where(*conditions, table.outcome.is_(None), table.dead_reason.is_(None))
        number: int = read_rows(self._engine, wanted)[0][0]
        return number

    def tried(self, *, since: int) -> bool:
        """Whether any attempt was begun since then (microseconds since the epoch)."""
        return bool(read_rows(self._engine, select(ATTEMPTS.c.id).where(ATTEMPTS.c.started_at >= since).limit(1)))

    def _row(self, row: Any, *, places: bool) -> BalanceRow:
        counts = {name: int(getattr(row, name)) for name in (*_COUNTS, "difference")}
        found = self._places(row.workspace, row.endpoint, row.hour) if places else ()
        return BalanceRow(workspace=row.workspace, endpoint=row.endpoint, hour=row.hour * HOUR, places=found, **counts)

    def _places(self, workspace: str, endpoint: str, hour: int) -> tuple[BalancePlace, ...]:
        table = DELIVERIES.c
        # ``<topic>/<partition>/`` of ``<topic>/<partition>/<offset>``; a topic's name has no slash.
        place = func.rtrim(table.source_offset, "0123456789").label("place")
        counted = (
            select(place, func.count().label("found"))
            .where(
                table.workspace == workspace,
                table.endpoint == endpoint,
                table.run == LIVE,
                table.routed_at >= hour * HOUR,
                table.routed_at < (hour + 1) * HOUR,
            )
            .group_by(place)
            .limit(_MOST_CELLS)
        )
        found = {row.place: row.found for row in read_rows(self._engine, counted)}
        known = MATCHED.c
        cells = select(MATCHED).where(known.workspace == workspace, known.endpoint == endpoint, known.hour == hour)
        places = []
        for cell in read_rows(self._engine, cells.order_by(known.topic, known.partition).limit(_MOST_CELLS)):
            expected = cell.matched - cell.held - cell.not_kept
            number = found.pop(f"{cell.topic}/{cell.partition}/", 0)
            if expected != number:
                places.append(
                    BalancePlace(
                        topic=cell.topic,
                        partition=cell.partition,
                        first_offset=cell.first_offset,
                        next_offset=cell.next_offset,
                        matched=expected,
                        found=number,
                    )
                )
        for name, number in sorted(found.items()):
            topic, partition, _ = name.rsplit("/", 2)
            places.append(
                BalancePlace(
                    topic=topic, partition=int(partition), first_offset=None, next_offset=None, matched=0, found=number
                )
            )
        return tuple(places)


def _readable(table: Any, scope: ReadScope, endpoint: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [table.c.workspace == scope.workspace]
    if scope.client is not None:
        conditions.append(table.c.endpoint.in_(sorted(scope.endpoints)))
    if endpoint is not None:
        conditions.append(table.c.endpoint == endpoint)
    return conditions


def _hour() -> ColumnElement[int]:
    return as_type(DELIVERIES.c.routed_at, BigInteger) // HOUR


def _zero(name: str) -> ColumnElement[int]:
    return literal(0, BigInteger).label(name)


def _one(name: str, condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    return _zero(name) if condition is None else case((condition, 1), else_=0).label(name)


def _standings() -> list[tuple[str, ColumnElement[bool] | None]]:
    """Return the conditions of the columns from ``delivered`` to ``cancelled``: each row meets one."""
    outcome = func.coalesce(DELIVERIES.c.outcome, "")
    # The dead letter and the last attempt come from two topics: either may be here first.
    was_given_up = DELIVERIES.c.dead_reason.is_not(None) & (outcome != Outcome.DELIVERED.value)
    return [
        ("delivered", outcome == Outcome.DELIVERED.value),
        ("dead", or_(was_given_up, outcome.in_([Outcome.DEAD.value, Outcome.ABORTED.value]))),
        ("retrying", ~was_given_up & (outcome == Outcome.RETRYING.value)),
        ("in_flight", ~was_given_up & (outcome == "")),
        ("held", None),
        ("cancelled", ~was_given_up & (outcome == Outcome.CANCELLED.value)),
    ]
