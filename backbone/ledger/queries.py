"""Reads the ledger: events with their deliveries and attempts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BigInteger, Row, func, literal, or_, select, tuple_

from backbone.ledger.delivery_rows import LedgerAttempt, LedgerDelivery, attempt_of, delivery_of
from backbone.ledger.lookups import NamedEvent, events_called
from backbone.ledger.readable import PUBLISHER, ordered_page, readable_events, readable_parts
from backbone.ledger.reading import read_page, read_rows
from backbone.ledger.redactions import redacted_among, redacted_at
from backbone.ledger.tables import ATTEMPTS, DELIVERIES, EVENTS
from schemas.model import timestamps
from schemas.model.cursors import read_cursor, write_cursor
from schemas.model.delivery import SourceOffset
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.event import ExtensionValue, Identifier
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Engine, Select

    from schemas.security.reading import ReadScope

MOST_EVENTS = 500
"""Events on one page."""

PENDING = "pending"
"""Counts the deliveries that were not tried yet, among the outcomes of those that were."""

_LIST = "events"
_EXTENSIONS = msgspec.json.Decoder(dict[str, ExtensionValue])
_IDENTIFIERS = msgspec.json.Decoder(list[Identifier])


class LedgerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event; ``data`` is the JSON that subscribers get.

    ``id`` is the gateway's, ``clientid`` the client that published; ``type``, ``source``, ``time_text`` and the other
    attributes of CloudEvents are as sent.

    Attributes:
        deliveries: those that the reader may see with their tries; filled in for a single event only.
        redacted_at: when its payload was taken out, microseconds since the epoch; likewise.
        outcomes: how many deliveries came to what, also of those that the reader may not see; likewise.
    """

    id: str
    workspace: str
    namespace: str
    code: str
    clientid: str
    type: str
    source: str
    subject: str | None
    time: int
    time_text: str
    received_at: int
    channel: str | None
    identifiers: tuple[Identifier, ...]
    dataschema: str | None
    datacontenttype: str | None
    extensions: dict[str, ExtensionValue]
    data: msgspec.Raw
    producer_id: str | None
    offset: SourceOffset
    outcomes: dict[str, int] = {}
    deliveries: tuple[LedgerDelivery, ...] = ()
    redacted_at: int | None = None


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: all of the conditions given.

    Attributes:
        ids: the gateway's; None allows any.
        since, until: ``since`` ≤ received time < ``until``, in microseconds since the epoch.
    """

    ids: tuple[str, ...] | None = None
    namespace: str | None = None
    type: str | None = None
    source: str | None = None
    clientid: str | None = None
    subject: str | None = None
    since: int | None = None
    until: int | None = None


class EventPage(msgspec.Struct, frozen=True):
    """Events, the latest first, and the cursor of the next page if there is one."""

    events: tuple[LedgerEvent, ...]
    cursor: str | None


class LedgerQueries:
    """Blocking, and usable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def event(self, scope: ReadScope, event_id: str) -> LedgerEvent | None:
        """An event with its deliveries and their tries; None when the reader may not see it, or it is not here (yet).

        Who published an event learns how many of its deliveries came to what; of those to others' endpoints no more.

        Raises:
            Unavailable: the database cannot be reached.
        """
        wanted = select(EVENTS, PUBLISHER.label("publisher")).where(EVENTS.c.id == event_id, *readable_events(scope))
        found = self._rows(wanted)
        if not found:
            return None
        every = self.deliveries(scope.workspace, event_id)
        shown = tuple(each for each in every if scope.reads_endpoint(each.endpoint))
        counted = every if scope.owns(found[0].publisher) else shown
        outcomes = Counter(PENDING if each.outcome is None else each.outcome.value for each in counted)
        redacted = redacted_at(self._engine, scope.workspace, event_id)
        return msgspec.structs.replace(
            _event(found[0]), deliveries=shown, outcomes=dict(outcomes), redacted_at=redacted
        )

    def readable(self, scope: ReadScope, event_ids: Collection[str]) -> set[str]:
        """Those of the ids whose events the reader may see.

        Raises:
            Unavailable: the database cannot be reached.
        """
        wanted = select(EVENTS.c.id).where(EVENTS.c.id.in_(event_ids), *readable_events(scope))
        return {row.id for row in self._rows(wanted)}

    def redacted(self, scope: ReadScope, event_ids: Collection[str]) -> set[str]:
        """See ``redacted_among``."""
        return redacted_among(self._engine, scope.workspace, event_ids)

    def called(self, scope: ReadScope, any_id: str, source: str | None) -> list[NamedEvent]:
        """See ``events_called``."""
        return events_called(self._engine, scope, any_id, source)

    def deliveries(self, workspace: str, event_id: str) -> tuple[LedgerDelivery, ...]:
        """The deliveries of an event and their tries, in the order they were routed.

        Raises:
            Unavailable: the database cannot be reached.
        """
        table, tries = DELIVERIES.c, ATTEMPTS.c
        attempts: dict[tuple[str, str, str], list[LedgerAttempt]] = {}
        of_event = select(ATTEMPTS).where(tries.workspace == workspace, tries.event == event_id)
        for row in self._rows(of_event.order_by(tries.started_at, tries.number)):
            attempts.setdefault((row.delivery, row.run, row.source_offset), []).append(attempt_of(row))
        found = select(DELIVERIES).where(table.workspace == workspace, table.event == event_id)
        return tuple(
            delivery_of(row, attempts.get((row.id, row.run, row.source_offset), ()))
            for row in self._rows(found.order_by(table.routed_at, table.id, table.run))
        )

    def events(self, scope: ReadScope, query: EventQuery, *, limit: int = 50, cursor: str | None = None) -> EventPage:
        """A page of at most ``limit`` events that the reader may see, of fewer if they are large.

        ``cursor`` is the previous page's.

        Raises:
            InvalidRequest: the cursor is not one of ours, the limit is out of range, or no event can be like that.
            Unavailable: the database cannot be reached.
        """
        if not 1 <= limit <= MOST_EVENTS:
            raise InvalidRequest(
                f"limit must be from 1 to {MOST_EVENTS}", [Problem(path="limit", message="out of range")]
            )
        after: list[ColumnElement[bool]] = []
        if cursor is not None:
            received_at, event_id = read_cursor(_LIST, cursor, tuple[int, str])
            # Compared as one, so that the index leads to where the page begins, however far back that is.
            place = tuple_(literal(received_at, BigInteger), literal(event_id))
            after.append(tuple_(EVENTS.c.received_at, EVENTS.c.id) < place)
        parts = [
            [*part.conditions, *_conditions(scope.workspace, query, by_id=part.by_id), *after]
            for part in readable_parts(self._engine, scope)
        ]
        page = ordered_page(
            list(EVENTS.c), parts, lambda table: (table.received_at.desc(), table.id.desc()), limit=limit + 1
        )
        rows, complete = read_page(self._engine, page)
        events = tuple(map(_event, rows[:limit]))
        return EventPage(
            events,
            None if complete and len(rows) <= limit else write_cursor(_LIST, (events[-1].received_at, events[-1].id)),
        )

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return read_rows(self._engine, statement)


def _conditions(workspace: str, query: EventQuery, *, by_id: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.ids is not None:
        conditions.append(EVENTS.c.id.in_(query.ids))
    elif query.namespace is not None and query.type is not None and not by_id:
        codes = {query.type, query.type.removeprefix(f"{query.namespace}/")}
        # There is an index on it. It would keep SQLite from finding the events by their ids.
        conditions.append(EVENTS.c.topic.in_(event_topic(workspace, query.namespace, code) for code in codes))
    if query.type is not None:
        conditions.append(or_(EVENTS.c.code == query.type, EVENTS.c.type == query.type))
    if query.source is not None:
        conditions.append(func.coalesce(EVENTS.c.ce_source, EVENTS.c.source) == query.source)
    if query.clientid is not None:
        conditions.append(EVENTS.c.source == query.clientid)
    for name in ("namespace", "subject"):
        wanted = getattr(query, name)
        if wanted is not None:
            conditions.append(EVENTS.c[name] == wanted)
    if query.since is not None:
        conditions.append(EVENTS.c.received_at >= query.since)
    if query.until is not None:
        conditions.append(EVENTS.c.received_at < query.until)
    return conditions


def _event(row: Row[Any]) -> LedgerEvent:
    return LedgerEvent(
        id=row.id,
        workspace=row.workspace,
        namespace=row.namespace,
        code=row.code,
        clientid=row.source,
        type=row.type or row.code,
        source=row.ce_source or row.source,
        subject=row.subject,
        time=row.time,
        time_text=row.time_text or timestamps.to_text(row.time),
        received_at=row.received_at,
        channel=row.channel,
        identifiers=tuple(_IDENTIFIERS.decode(row.identifiers)),
        dataschema=row.dataschema,
        datacontenttype=row.datacontenttype,
        extensions={} if row.extensions is None else _EXTENSIONS.decode(row.extensions),
        data=msgspec.Raw(row.data.encode()),
        producer_id=row.producer_id,
        offset=SourceOffset.parse(row.source_offset),
    )
