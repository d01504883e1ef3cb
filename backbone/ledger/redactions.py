"""Takes the payload of redacted events out of the ledger, whenever their rows come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from backbone.ledger.reading import read_rows
from backbone.ledger.tables import ATTEMPTS, DELIVERIES, EVENTS, EXECUTIONS, IDENTIFIERS, REDACTIONS, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from backbone.ledger.rows import LedgerRows
    from schemas.model.redaction import Redaction

_LOCK = 4_871_002_932
"""Key of PostgreSQL's advisory lock: rows are written while it is shared, and redacted while nobody else has it."""

_AT_ONCE = 1_000
"""Events that one statement looks up."""


class RedactionWriter:
    """Part of the ``LedgerWriter``: works inside the transaction of a batch.

    Args:
        engine: the ledger.
    """

    def __init__(self, engine: Engine) -> None:
        self._is_postgresql = engine.dialect.name == "postgresql"
        insert = postgresql.insert if self._is_postgresql else sqlite.insert
        self._insert = insert(REDACTIONS).on_conflict_do_nothing(index_elements=list(REDACTIONS.primary_key))

    def begin(self, connection: Connection, rows: LedgerRows) -> None:
        """Wait for redactions that others write, so that none of the rows is missed.

        SQLite has one writer at a time anyway.
        """
        if self._is_postgresql:
            shared = "" if rows.redactions else "_shared"
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{shared}({_LOCK})")

    def apply(self, connection: Connection, rows: LedgerRows) -> None:
        """Write the batch's redactions, and redact what it wrote of events that are redacted."""
        if rows.redactions:
            connection.execute(self._insert, [_row(each) for each in rows.redactions])
            _redact(connection, {(each.workspace, each.event) for each in rows.redactions})
        if connection.execute(select(REDACTIONS.c.event).limit(1)).first() is None:
            return
        written = {(row.workspace, row.id) for row in rows.events}
        written |= {(row.workspace, row.event) for row in rows.attempts}
        written |= {(row.workspace, row.event) for row in rows.requests}
        _redact(connection, _redacted(connection, written))


def redacted_at(engine: Engine, workspace: str, event: str) -> int | None:
    """When an event was redacted, in microseconds since the epoch; None if it was not.

    Raises:
        Unavailable: the database cannot be read now.
    """
    table = REDACTIONS.c
    wanted = select(table.redacted_at).where(table.workspace == workspace, table.event == event)
    rows = read_rows(engine, wanted)
    return int(rows[0].redacted_at) if rows else None


def redacted_among(engine: Engine, workspace: str, events: Collection[str]) -> set[str]:
    """Those of these events of a workspace that were redacted.

    Raises:
        Unavailable: the database cannot be read now.
    """
    table = REDACTIONS.c
    wanted = select(table.event).where(table.workspace == workspace, table.event.in_(events))
    return {row.event for row in read_rows(engine, wanted)}


def _row(redaction: Redaction) -> dict[str, object]:
    return {
        "workspace": redaction.workspace,
        "event": redaction.event,
        "redacted_at": redaction.redacted_at,
    }


def _redacted(connection: Connection, events: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these events that are redacted."""
    table, ids = REDACTIONS.c, sorted({event for _, event in events})
    wanted = set(events)
    found: set[tuple[str, str]] = set()
    for at in range(0, len(ids), _AT_ONCE):
        some = select(table.workspace, table.event).where(table.event.in_(ids[at : at + _AT_ONCE]))
        found |= {(row.workspace, row.event) for row in connection.execute(some)} & wanted
    return found


def _redact(connection: Connection, events: Iterable[tuple[str, str]]) -> None:
    for workspace, event in sorted(events):
        nothing = {"data": "null", "identifiers": "[]", "extensions": None, "subject": None}
        connection.execute(update(EVENTS).where(*_of(EVENTS, workspace, id=event)).values(nothing))
        kept = {"request": None, "response_head": None, "response": None}
        connection.execute(update(ATTEMPTS).where(*_of(ATTEMPTS, workspace, event=event)).values(kept))
        connection.execute(update(REQUESTS).where(*_of(REQUESTS, workspace, event=event)).values(request="{}"))
        connection.execute(delete(IDENTIFIERS).where(*_of(IDENTIFIERS, workspace, event=event)))
        deliveries = select(DELIVERIES.c.id).where(*_of(DELIVERIES, workspace, event=event))
        connection.execute(delete(EXECUTIONS).where(EXECUTIONS.c.delivery.in_(deliveries)))


def _of(table: Table, workspace: str, **event: str) -> list[ColumnElement[bool]]:
    return [table.c.workspace == workspace, *(table.c[name] == value for name, value in event.items())]
