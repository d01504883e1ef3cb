"""Writes the ledger: batched and idempotent, so that what is indexed twice or out of order comes out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, case, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from backbone.ledger.balance_tables import COMPLETE, HOUR, MATCHED, ROUTED, ROUTING_FAULTS
from backbone.ledger.letter_tables import LETTERS
from backbone.ledger.letters import LetterWriter, lapse
from backbone.ledger.reading import refusal, refuses_row, unavailable
from backbone.ledger.receipts import ReceiptWriter
from backbone.ledger.redactions import RedactionWriter
from backbone.ledger.tables import (
    ATTEMPTS,
    CONTRACTS,
    DELIVERIES,
    EVENTS,
    EXECUTIONS,
    IDENTIFIERS,
    METADATA,
    REQUESTS,
)
from backbone.ledger.upgrade import VERSION_TABLE, upgrade
from schemas.model.delivery import Outcome
from schemas.model.standing import Reason, Standing, reason_of_status
from schemas.model.timestamps import LATEST

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, Executable, Table

    from backbone.ledger.rows import DeadDelivery, LedgerRows
    from schemas.model.delivery import Attempt, Delivery, GroupedDelivery

    Row = dict[str, Any]

_ENCODER = msgspec.json.Encoder()

_EXPIRED_AT_ONCE = 5_000
"""Rows of a table that ``expire`` deletes: few enough not to hold up indexing."""

_AGES = {
    EVENTS: "received_at",
    DELIVERIES: "changed_at",
    ATTEMPTS: "started_at",
    REQUESTS: "received_at",
    CONTRACTS: "routed_at",
    EXECUTIONS: "started_at",
    IDENTIFIERS: "received_at",
    LETTERS: "set_aside_at",
}
"""The column that says how old a row is."""

_FILLED_AT_ONCE = 5_000
"""Rows that one statement of ``fill_in`` changes."""

_ROUTING = ("subscriptions", "routed_at", "topic")
_STANDING = ("attempts", "outcome", "status", "error", "reason", "next_at", "changed_at")
"""Columns of a delivery that its routing and its latest attempt tell."""
_FINAL = (Outcome.DELIVERED.value, Outcome.ABORTED.value)
"""Outcomes that a dead letter does not change."""
_CALLED = ("execution", "started_at")


class LedgerWriter:
    """Upserts rows by key. Blocking, and usable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._receipts = ReceiptWriter(engine)
        self._letters = LetterWriter(engine)
        self._redactions = RedactionWriter(engine)
        insert = self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._insert_event = insert(EVENTS).on_conflict_do_nothing(index_elements=list(EVENTS.primary_key))

        routing = insert(DELIVERIES)
        self._insert_delivery = routing.on_conflict_do_update(
            index_elements=list(DELIVERIES.primary_key), set_={name: routing.excluded[name] for name in _ROUTING}
        )

        logged = insert(DELIVERIES)
        self._insert_logged = logged.on_conflict_do_update(
            index_elements=list(DELIVERIES.primary_key),
            set_={name: logged.excluded[name] for name in (*_ROUTING, "outcome", "standing")},
        )

        tried = insert(ATTEMPTS)
        # A worker that crashed before it committed makes the same attempt again: the later one is what happened.
        self._insert_attempt = tried.on_conflict_do_update(
            index_elements=list(ATTEMPTS.primary_key),
            set_={column.name: tried.excluded[column.name] for column in ATTEMPTS.c if not column.primary_key},
        )

        standing = insert(DELIVERIES)
        self._update_standing = standing.on_conflict_do_update(
            index_elements=list(DELIVERIES.primary_key),
            set_={name: standing.excluded[name] for name in _STANDING}
            | {
                "topic": standing.excluded.topic,
                "routed_at": func.coalesce(DELIVERIES.c.routed_at, standing.excluded.routed_at),
                # The dead letter may be here before the last attempt.
                "standing": _stands(DELIVERIES.c.dead_reason, standing.excluded.outcome),
            },
            where=standing.excluded.attempts >= DELIVERIES.c.attempts,
        )

        self._insert_identifier = insert(IDENTIFIERS).on_conflict_do_nothing(
            index_elements=list(IDENTIFIERS.primary_key)
        )
        self._insert_request = insert(REQUESTS).on_conflict_do_nothing(index_elements=list(REQUESTS.primary_key))
        self._insert_contract = insert(CONTRACTS).on_conflict_do_nothing(index_elements=list(CONTRACTS.primary_key))

        called = insert(EXECUTIONS)
        self._insert_execution = called.on_conflict_do_update(
            index_elements=list(EXECUTIONS.primary_key), set_={name: called.excluded[name] for name in _CALLED}
        )

        given_up = insert(DELIVERIES)
        self._update_dead = given_up.on_conflict_do_update(
            index_elements=list(DELIVERIES.primary_key),
            set_={name: given_up.excluded[name] for name in (*_ROUTING, "dead_reason")}
            | {
                "standing": _stands(given_up.excluded.dead_reason, DELIVERIES.c.outcome),
                "reason": func.coalesce(DELIVERIES.c.reason, given_up.excluded.reason),
            },
        )

    def create(self) -> None:
        """Create the tables, or bring those of an older version up to date; several processes may do so at once.

        Raises:
            Misconfigured: the ledger cannot be written, or a later version of Headrace has changed it.
            Unavailable: the database cannot be reached now, is locked or full.
        """
        upgrade(self._engine)

    def drop(self) -> None:
        """Drop the tables, to be created and filled from Kafka again."""
        METADATA.drop_all(self._engine)
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")

    def write(self, rows: LedgerRows) -> None:
        """Write a batch in one transaction; all of it or nothing.

        Raises:
            Unavailable: the database cannot take it now.
            CorruptRecord: it will never take one of the rows; what it says does not show them.
            Exception: likewise, for a value that cannot even be handed to it.
        """
        try:
            with self._engine.begin() as connection:
                self._redactions.begin(connection, rows)
                _upsert(connection, self._insert_event, [msgspec.structs.asdict(row) for row in rows.events])
                _upsert(connection, self._insert_delivery, [_routed(delivery) for delivery in rows.deliveries])
                _upsert(connection, self._insert_logged, [_logged(delivery) for delivery in rows.logged])
                _upsert(connection, self._insert_attempt, [_tried(attempt) for attempt in rows.attempts])
                _upsert(connection, self._update_standing, [_standing(attempt) for attempt in rows.attempts])
                _upsert(connection, self._update_dead, [_given_up(dead) for dead in rows.dead])
                _upsert(connection, self._insert_identifier, [msgspec.structs.asdict(row) for row in rows.identifiers])
                _upsert(connection, self._insert_request, [msgspec.structs.asdict(row) for row in rows.requests])
                contracts = [row for grouped in rows.contracts for row in _contracts(grouped)]
                _upsert(connection, self._insert_contract, contracts)
                called = [_called(attempt) for attempt in rows.attempts if attempt.execution is not None]
                _upsert(connection, self._insert_execution, called)
                self._letters.write(connection, rows.letters, rows.marks)
                self._receipts.write(connection, rows.receipts, rows.read)
                self._redactions.apply(connection, rows)
        except (DBAPIError, NoConnection) as error:
            if refuses_row(error):
                # Without its cause, which shows the row.
                raise refusal(error) from None
            raise unavailable(error, "the ledger cannot be written") from error

    def complete(self, until: int) -> None:
        """Note that the ledger has all that Kafka had at a time (microseconds since the epoch).

        Raises:
            Unavailable: the database cannot do it now.
        """
        row = self._insert(COMPLETE).values(name="ledger", until=until)
        later = row.on_conflict_do_update(
            index_elements=[COMPLETE.c.name],
            set_={"until": row.excluded.until},
            where=row.excluded.until > COMPLETE.c.until,
        )
        try:
            with self._engine.begin() as connection:
                connection.execute(later)
        except (DBAPIError, NoConnection) as error:
            raise unavailable(error, "the ledger cannot be written") from error

    def expire(self, before: int) -> int:
        """Delete some of what happened before a time (microseconds since the epoch); returns how many rows, 0: all.

        Raises:
            Unavailable: the database cannot do it now; what is deleted so far stays so.
        """
        balances = {
            MATCHED: ("hour", before // HOUR),
            ROUTED: ("routed_at", before),
            ROUTING_FAULTS: ("found_at", before),
        }
        try:
            expired = sum(self._expire(table, age, before) for table, age in _AGES.items())
            return expired + sum(self._expire(table, age, limit) for table, (age, limit) in balances.items())
        except (DBAPIError, NoConnection) as error:
            raise unavailable(error, "the ledger's retention cannot be applied") from error

    def lapse(self, before: int, now: int) -> int:
        """Mark some dead letters as expired that nobody has settled; returns how many they were.

        Args:
            before: when they were set aside, microseconds since the epoch.
            now: likewise.

        Raises:
            Unavailable: the database cannot do it now.
        """
        try:
            with self._engine.begin() as connection:
                return lapse(connection, before, now)
        except (DBAPIError, NoConnection) as error:
            raise unavailable(error, "expired dead letters cannot be marked") from error

    def fill_in(self) -> int:
        """Fill in ``topic`` and ``standing`` of some rows that earlier versions wrote; returns how many they were.

        Raises:
            Unavailable: the database cannot do it now.
        """
        table = DELIVERIES.c
        key = list(DELIVERIES.primary_key)
        some = select(*key).where(table.topic.is_(None)).limit(_FILLED_AT_ONCE)
        digits = "0123456789"
        topic = func.rtrim(func.rtrim(func.rtrim(func.rtrim(table.source_offset, digits), "/"), digits), "/")
        statement = update(DELIVERIES).where(tuple_(*key).in_(some))
        try:
            with self._engine.begin() as connection:
                return connection.execute(
                    statement.values(topic=topic, standing=_stands(table.dead_reason, table.outcome))
                ).rowcount
        except (DBAPIError, NoConnection) as error:
            raise unavailable(error, "older rows of the ledger cannot be completed") from error

    def _expire(self, table: Table, age: str, before: int) -> int:
        key = list(table.primary_key)
        some = select(*key).where(table.c[age] < before).limit(_EXPIRED_AT_ONCE)
        with self._engine.begin() as connection:
            return connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


def _stands(dead_reason: ColumnElement[str | None], outcome: ColumnElement[str | None]) -> ColumnElement[str]:
    # Not ``not_in``: a statement for many rows cannot have a list.
    not_final = and_(*(outcome != each for each in _FINAL))
    return case(
        (and_(dead_reason.is_not(None), or_(outcome.is_(None), not_final)), Outcome.DEAD.value),
        (outcome.is_(None), Standing.PENDING.value),
        else_=outcome,
    )


def _upsert(connection: Connection, statement: Executable, rows: list[Row]) -> None:
    if not rows:
        return
    # In the order of the keys, so that two indexers that share a few of them wait for each other in turn.
    rows.sort(key=lambda row: str(row.get("id") or row.get("event")))
    connection.execute(statement, [_storable(row) for row in rows])


def _storable(row: Row) -> Row:
    """The row without the NUL characters that PostgreSQL's text does not take."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
        for name, value in row.items()
    }


def _routed(delivery: Delivery) -> Row:
    return {
        "id": delivery.id,
        "run": delivery.run,
        "source_offset": str(delivery.source),
        "workspace": delivery.workspace,
        "event": delivery.event,
        "endpoint": delivery.endpoint,
        "subscriptions": ",".join(delivery.subscriptions),
        "routed_at": delivery.routed_at,
        "changed_at": delivery.routed_at,
        "topic": delivery.source.topic,
        "standing": Standing.PENDING.value,
    }


def _logged(delivery: Delivery) -> Row:
    return _routed(delivery) | {"outcome": Outcome.DELIVERED.value, "standing": Standing.DELIVERED.value}


def _tried(attempt: Attempt) -> Row:
    return {
        "id": attempt.id,
        "source_offset": str(attempt.source),
        "delivery": attempt.delivery,
        "run": attempt.run,
        "number": attempt.number,
        "workspace": attempt.workspace,
        "event": attempt.event,
        "endpoint": attempt.endpoint,
        "outcome": attempt.outcome.value,
        "started_at": attempt.started_at,
        "duration": attempt.duration,
        "status": attempt.status,
        "error": attempt.error,
        "response": attempt.response,
        "next_at": attempt.next_at,
        "reason": _reason(attempt),
        "request": _json(attempt.request),
        "response_head": _json(attempt.response_head),
    }


def _json(value: object) -> str | None:
    return None if value is None else _ENCODER.encode(value).decode()


def _standing(attempt: Attempt) -> Row:
    return {
        "id": attempt.delivery,
        "run": attempt.run,
        "source_offset": str(attempt.source),
        "workspace": attempt.workspace,
        "event": attempt.event,
        "endpoint": attempt.endpoint,
        "attempts": attempt.number,
        "outcome": attempt.outcome.value,
        "status": attempt.status,
        "error": attempt.error,
        "reason": _reason(attempt),
        "next_at": attempt.next_at,
        "topic": attempt.source.topic,
        "routed_at": attempt.routed_at,
        "standing": attempt.outcome.value,
        "changed_at": min(attempt.started_at + int(attempt.duration * 1_000_000), LATEST),
    }


def _reason(attempt: Attempt) -> str | None:
    """Why it failed; of a record of an earlier release, as its status tells."""
    if attempt.reason is not None or attempt.outcome is Outcome.DELIVERED or attempt.status is None:
        return attempt.reason
    return reason_of_status(attempt.status)


def _called(attempt: Attempt) -> Row:
    return {
        "id": attempt.id,
        "source_offset": str(attempt.source),
        "delivery": attempt.delivery,
        "execution": attempt.execution,
        "started_at": attempt.started_at,
    }


def _contracts(grouped: GroupedDelivery) -> list[Row]:
    return [
        {
            "delivery": grouped.delivery(contract).id,
            "workspace": grouped.workspace,
            "event": grouped.event,
            "contract": contract.subscription,
            "place": contract.order,
            "routed_at": grouped.routed_at,
        }
        for contract in grouped.contracts
    ]


def _given_up(dead: DeadDelivery) -> Row:
    row = _routed(dead.delivery) | {"dead_reason": dead.reason, "standing": Standing.DEAD.value}
    return row | {"reason": Reason.UNREADABLE.value if dead.poison else None}
