"""The delivery log: pages of deliveries by outcome, type, endpoint, time, id, reason and identifier, and single ones.

Lists are ordered by when a delivery was routed and by its key, which never change, and a cursor names a place in that
order: pages neither skip nor repeat a delivery whose outcome changes meanwhile.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, and_, func, literal, literal_column, select, tuple_, union_all

from backbone.ledger.delivery_rows import LedgerAttempt, LedgerDelivery, attempt_of, delivery_of
from backbone.ledger.lookups import events_called
from backbone.ledger.reading import read_page, read_rows
from backbone.ledger.tables import ATTEMPTS, DELIVERIES, EVENTS, IDENTIFIERS, LONGEST_IDENTIFIER
from schemas.model.cursors import read_cursor, write_cursor
from schemas.model.ids import LIVE
from schemas.model.standing import Reason, Standing
from schemas.model.topics import type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine, Row, Select

    from schemas.security.reading import ReadScope

    Conditions = list[ColumnElement[bool]]
    Key = tuple[Any, ...]

MOST_DELIVERIES = 500
"""Deliveries on one page."""

OTHER_RUNS = "other"
"""As ``DeliveryQuery.run``: all runs but the live one."""

_LIST = "deliveries"
_PARTS = 100
"""Endpoints, say, whose first deliveries one statement looks up: SQLite takes 500."""

FEW = 500
"""Events with an identifier whose deliveries are sorted for a page; with more, deliveries are looked at in order."""

LOOKED_AT = 20_000
"""Deliveries that one page looks at, then."""

_KEY = (DELIVERIES.c.routed_at, DELIVERIES.c.id, DELIVERIES.c.run, DELIVERIES.c.source_offset)
_NAMES = tuple(column.name for column in _KEY)

_BEFORE_SURROGATES, _AFTER_SURROGATES = "\ud7ff", "\ue000"
"""Between them are no characters."""

_UNDELIVERED: ColumnElement[bool] = DELIVERIES.c.standing != literal_column("'delivered'")
"""As the partial indexes have it: neither database concludes it from a value that comes as a parameter."""


class DeliveryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries: all of the conditions given.

    Attributes:
        standings: one of these; empty allows any.
        topics: of their event types; None allows any.
        endpoint: its id.
        since, until: ``since`` ≤ routed time < ``until``, in microseconds since the epoch.
        any_id: the delivery's id, the gateway's id of its event, or the producer's.
        source: the producer's CloudEvents source; ``any_id`` is then the producer's.
        statuses: the latest HTTP status is within these bounds, both included.
        reasons: one of these; empty allows any.
        identifier: what a value of the event's identifiers or extensions begins with.
        identifier_name: the name of that identifier; None allows any.
        run: ``live``, ``OTHER_RUNS`` or the id of a run; None allows any.
    """

    standings: tuple[Standing, ...] = ()
    topics: tuple[str, ...] | None = None
    endpoint: str | None = None
    since: int | None = None
    until: int | None = None
    any_id: str | None = None
    source: str | None = None
    statuses: tuple[int, int] | None = None
    reasons: tuple[Reason, ...] = ()
    identifier: str | None = None
    identifier_name: str | None = None
    run: str | None = None


class LoggedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery, and its event's type and producer's id as far as the ledger or the topic's name tell them."""

    delivery: LedgerDelivery
    namespace: str | None
    code: str | None
    producer_id: str | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries without their attempts, and the cursor of the next page if there is one."""

    deliveries: tuple[LoggedDelivery, ...]
    cursor: str | None


class _Named(NamedTuple):
    """The condition that an event has an identifier; ``few`` events have it, and lead to their deliveries."""

    condition: ColumnElement[bool]
    few: bool


class DeliveryLog:
    """Blocking, and usable from any thread; every method raises ``Unavailable`` when the database cannot be read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        scope: ReadScope,
        query: DeliveryQuery,
        *,
        limit: int = 50,
        cursor: str | None = None,
        oldest_first: bool = False,
    ) -> DeliveryPage:
        """A page of at most ``limit`` deliveries that the reader may see.

        A page may have fewer although others follow: where many events have the identifier that is asked for, one page
        looks at ``LOOKED_AT`` deliveries.

        Raises:
            InvalidRequest: the cursor is not one of this list.
        """
        filters = _filters(query)
        if cursor is not None:
            filters.append(_follows(read_cursor(_LIST, cursor, tuple[int, str, str, str]), oldest_first=oldest_first))
        named = None if query.identifier is None else self._named(scope, query)
        last = None
        if named is not None and not named.few and query.any_id is None:
            last = self._last_looked_at(scope, filters, oldest_first=oldest_first)
            if last is not None:
                filters.append(_follows(last, oldest_first=not oldest_first) | _one_of([last]))
        parts = [[*part, *filters] for part in self._parts(scope, query, named)]
        keys: list[Key] = []
        for at in range(0, len(parts), _PARTS - 1):
            some = [*parts[at : at + _PARTS - 1], *([[_one_of(keys)]] if keys else [])]
            keys = self._keys(_first(some, limit + 1, oldest_first=oldest_first))
        following = keys[limit - 1] if len(keys) > limit else last
        return self._shown(keys[:limit], following, oldest_first=oldest_first)

    def delivery(self, scope: ReadScope, delivery_id: str) -> list[LoggedDelivery]:
        """A delivery in each of its runs, with its attempts, the first run first; empty if the reader may not see it.

        Args:
            scope: what the reader may see.
            delivery_id: the id, which receivers know as ``webhook-id``.
        """
        rows = self._rows(_listed().where(DELIVERIES.c.id == delivery_id, _in_workspace(scope)).order_by(*_KEY))
        rows = [row for row in rows if scope.reads_endpoint(row.endpoint)]
        attempts: dict[tuple[str, str], list[LedgerAttempt]] = {}
        if rows:
            tries = ATTEMPTS.c
            made = select(ATTEMPTS).where(
                tries.workspace == scope.workspace,
                tries.event.in_({row.event for row in rows}),
                tries.delivery.concat("") == delivery_id,
            )
            for row in self._rows(made.order_by(tries.started_at, tries.number)):
                attempts.setdefault((row.run, row.source_offset), []).append(attempt_of(row))
        return [_logged(row, attempts.get((row.run, row.source_offset), ())) for row in rows]

    def _parts(self, scope: ReadScope, query: DeliveryQuery, named: _Named | None) -> list[Conditions]:
        """Conditions of parts that make up the list, each of which an index leads to in the list's order.

        No database would use an index in its order for several endpoints or standings at once.
        """
        table = DELIVERIES.c
        endpoints = _endpoints(scope, query)
        of_endpoints: Conditions = [] if endpoints is None else [table.endpoint.concat("").in_(endpoints)]
        of_topics: Conditions = [] if query.topics is None else [table.topic.concat("").in_(query.topics)]
        workspace = table.workspace == scope.workspace
        looked_up: Conditions = [] if named is None else [named.condition]
        found = self._by_id(scope, query)
        if found is None and named is not None and named.few:
            found = [workspace]
        if found is not None:
            return [[*found, *looked_up, *of_endpoints, *of_topics, *_of_standings(query)]]
        undelivered = bool(query.standings) and Standing.DELIVERED not in query.standings
        if undelivered:
            each_standing = [[table.standing == each.value, _UNDELIVERED] for each in query.standings]
        else:
            each_standing = [_of_standings(query)]
        if endpoints is not None:
            each_place: list[Conditions] = [[workspace, table.endpoint == each, *of_topics] for each in endpoints]
        elif query.topics is not None:
            each_place = [[_in_workspace(scope), table.topic == each] for each in query.topics]
        else:
            each_place = [[workspace, *of_topics]]
        return [[*place, *standing, *looked_up] for place, standing in product(each_place, each_standing)]

    def _by_id(self, scope: ReadScope, query: DeliveryQuery) -> Conditions | None:
        table, any_id = DELIVERIES.c, query.any_id
        if any_id is None:
            return None
        if query.source is None:
            by_own_id = [table.id == any_id, _in_workspace(scope)]
            by_event = [table.workspace == scope.workspace, table.event == any_id]
            for conditions in (by_own_id, by_event):
                if self._rows(select(table.id).where(*conditions).limit(1)):
                    return conditions
        found = events_called(self._engine, scope, any_id, query.source)
        return [table.workspace == scope.workspace, table.event.in_([each.event_id for each in found])]

    def _named(self, scope: ReadScope, query: DeliveryQuery) -> _Named:
        """The condition that a delivery's event has such an identifier."""
        conditions = _by_identifier(scope, query)
        events = select(IDENTIFIERS.c.event).where(*conditions)
        some = events.limit(FEW + 1).subquery()
        if self._rows(select(func.count()).select_from(some))[0][0] <= FEW:
            return _Named(DELIVERIES.c.event.in_(events), few=True)
        # With an offset PostgreSQL looks at one delivery after the other: it would join all of them.
        of_delivery = select(literal(1)).where(IDENTIFIERS.c.event == DELIVERIES.c.event, *conditions).offset(0)
        return _Named(of_delivery.correlate(DELIVERIES).exists(), few=False)

    def _last_looked_at(self, scope: ReadScope, filters: Conditions, *, oldest_first: bool) -> Key | None:
        """The place where a page ends that would look at too many deliveries; None if there are fewer."""
        in_order = _first([[DELIVERIES.c.workspace == scope.workspace, *filters]], 1, oldest_first=oldest_first)
        return next(iter(self._keys(in_order.offset(LOOKED_AT - 1))), None)

    def _shown(self, keys: Sequence[Key], following: Key | None, *, oldest_first: bool) -> DeliveryPage:
        """The page of these deliveries; the next one begins after ``following``."""
        if not keys:
            return DeliveryPage((), None if following is None else write_cursor(_LIST, following))
        shown = _listed().where(_one_of(keys)).order_by(*_ordered(DELIVERIES.c, oldest_first=oldest_first))
        rows, complete = read_page(self._engine, shown)
        if not complete:
            following = tuple(getattr(rows[-1], name) for name in _NAMES)
        return DeliveryPage(tuple(map(_logged, rows)), None if following is None else write_cursor(_LIST, following))

    def _keys(self, statement: Select[Any]) -> list[Key]:
        return [tuple(row) for row in self._rows(statement)]

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return read_rows(self._engine, statement)


def _first(parts: Sequence[Conditions], limit: int, *, oldest_first: bool) -> Select[Any]:
    """The query for the keys of the first deliveries of all parts together."""

    def first(part: Conditions) -> Select[Any]:
        ordered = _ordered(DELIVERIES.c, oldest_first=oldest_first)
        return select(*_KEY).where(*part).order_by(*ordered).limit(limit)

    if len(parts) == 1:
        return first(parts[0])
    merged = union_all(*(select(first(part).subquery()) for part in parts)).subquery()
    return select(merged).order_by(*_ordered(merged.c, oldest_first=oldest_first)).limit(limit)


def _ordered(columns: Any, *, oldest_first: bool) -> list[ColumnElement[Any]]:
    return [columns[name].asc() if oldest_first else columns[name].desc() for name in _NAMES]


def _follows(key: Key, *, oldest_first: bool) -> ColumnElement[bool]:
    place = tuple_(literal(key[0], BigInteger), *(literal(each) for each in key[1:]))
    return tuple_(*_KEY) > place if oldest_first else tuple_(*_KEY) < place


def _endpoints(scope: ReadScope, query: DeliveryQuery) -> list[str] | None:
    """The endpoints that the list is of; None for all of the workspace."""
    if query.endpoint is not None:
        return [query.endpoint] if scope.reads_endpoint(query.endpoint) else []
    return None if scope.client is None else sorted(scope.endpoints)


def _in_workspace(scope: ReadScope) -> ColumnElement[bool]:
    """Where another index leads to the deliveries; SQLite would prefer one that begins with the workspace."""
    return DELIVERIES.c.workspace.concat("") == scope.workspace


def _of_standings(query: DeliveryQuery) -> Conditions:
    return [DELIVERIES.c.standing.concat("").in_([each.value for each in query.standings])] if query.standings else []


def _by_identifier(scope: ReadScope, query: DeliveryQuery) -> Conditions:
    names, prefix = IDENTIFIERS.c, (query.identifier or "")[:LONGEST_IDENTIFIER]
    conditions = [names.workspace == scope.workspace, names.value >= prefix]
    if (end := _after_prefix(prefix)) is not None:
        conditions.append(names.value < end)
    if query.identifier_name is not None:
        conditions.append(names.name.concat("") == query.identifier_name)
    return conditions


def _filters(query: DeliveryQuery) -> Conditions:
    """The conditions that no part of the list is made by."""
    table = DELIVERIES.c
    # Rows of attempts whose routing is not indexed yet have no place in the order.
    conditions: Conditions = [table.routed_at.is_not(None)]
    if query.since is not None:
        conditions.append(table.routed_at >= query.since)
    if query.until is not None:
        conditions.append(table.routed_at < query.until)
    if query.statuses is not None:
        conditions.append(table.status.between(*query.statuses))
    if query.reasons:
        conditions.append(table.reason.in_([each.value for each in query.reasons]))
    if query.run is not None:
        conditions.append(table.run != LIVE if query.run == OTHER_RUNS else table.run == query.run)
    return conditions


def _one_of(keys: Sequence[Key]) -> ColumnElement[bool]:
    table = DELIVERIES.c
    whole = tuple_(table.id, table.run, table.source_offset).in_([key[1:] for key in keys])
    # SQLite does not use an index for several columns at once.
    return and_(table.id.in_({key[1] for key in keys}), whole)


def _listed() -> Select[Any]:
    of_event = and_(EVENTS.c.workspace == DELIVERIES.c.workspace, EVENTS.c.id == DELIVERIES.c.event)
    columns = (DELIVERIES, EVENTS.c.namespace, EVENTS.c.code, EVENTS.c.producer_id)
    return select(*columns).select_from(DELIVERIES.outerjoin(EVENTS, of_event))


def _logged(row: Row[Any], tries: Sequence[LedgerAttempt] = ()) -> LoggedDelivery:
    delivery = delivery_of(row, tries)
    namespace, code = type_of(delivery.source.topic)
    return LoggedDelivery(
        delivery=delivery,
        namespace=row.namespace or namespace,
        code=row.code or code,
        producer_id=row.producer_id,
    )


def _after_prefix(prefix: str) -> str | None:
    """The least text that comes after all that begin with a prefix; None when there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    last = stem[-1]
    return stem[:-1] + (_AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1))
