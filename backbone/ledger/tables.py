"""The ledger's tables, and how to open the database they are in.

A change here needs a step in ``migrations/versions``. Times are microseconds since the epoch. No table refers to
another: their rows come from different topics, in any order.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Engine, Float, Index, Integer, MetaData, Table, Text, event, text
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import URL

_BUSY_TIMEOUT = 10_000
"""Milliseconds that an SQLite connection waits for another process's write."""

_JOURNAL_RETRY = 0.01
"""Seconds between tries to switch a new file's journal."""

LONGEST_NAME, LONGEST_IDENTIFIER = 100, 200
"""Characters of an identifier's name, and of its value, by which events are found."""

_LISTED = ("routed_at", "id", "status", "reason")
"""Columns of an index for lists that leave out what was delivered, so that they are read from the index alone."""

_BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""A text in the order of its bytes, as SQLite's are: all that begin with a prefix stand together."""

_UNDELIVERED = "standing <> 'delivered'"


def _partial(condition: str) -> dict[str, Any]:
    return {f"{dialect}_where": text(condition) for dialect in ("sqlite", "postgresql")}


METADATA = MetaData()

EVENTS = Table(
    "events",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("source_offset", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text),
    Column("time", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("channel", Text),
    Column("identifiers", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("producer_id", Text),
    Column("type", Text),
    Column("ce_source", Text),
    Column("time_text", Text),
    Column("dataschema", Text),
    Column("datacontenttype", Text),
    Column("extensions", Text),
    Index("events_by_time", "workspace", "received_at", "id"),
    Index("events_by_client", "workspace", "source", "received_at", "id"),
    Index("events_by_type", "topic", "received_at", "id"),
    Index("events_by_age", "received_at"),
    # A hash has no limit in length, as PostgreSQL's other indexes have; producers' ids have none either.
    Index("events_by_producer_id", "producer_id", postgresql_using="hash"),
)
"""``source_offset`` is ``<topic>/<partition>/<offset>``; ``identifiers`` JSON; ``data`` JSON as subscribers get it.

``id`` is the gateway's, and ``source`` the client that published: its name is older than CloudEvents sources.
``type``, ``ce_source`` and ``time_text`` are null where they say what ``code``, ``source`` and ``time`` say.
``extensions`` is a JSON object.
"""

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("source_offset", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("subscriptions", Text, nullable=False, server_default=""),
    Column("routed_at", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("outcome", Text),
    Column("status", Integer),
    Column("error", Text),
    Column("next_at", BigInteger),
    Column("dead_reason", Text),
    Column("changed_at", BigInteger, nullable=False),
    Column("topic", Text),
    Column("standing", Text),
    Column("reason", Text),
    Index("deliveries_of_event", "workspace", "event"),
    Index("deliveries_by_endpoint", "workspace", "endpoint", "event"),
    Index("deliveries_by_age", "changed_at"),
    Index("deliveries_by_time", "workspace", "routed_at", "id"),
    Index("deliveries_by_endpoint_time", "workspace", "endpoint", "routed_at", "id"),
    Index("deliveries_by_type", "topic", "routed_at", "id"),
    Index("deliveries_undelivered", "workspace", "standing", *_LISTED, **_partial(_UNDELIVERED)),
    Index(
        "deliveries_undelivered_by_endpoint", "workspace", "endpoint", "standing", *_LISTED, **_partial(_UNDELIVERED)
    ),
    Index("deliveries_undelivered_by_type", "topic", "standing", *_LISTED, **_partial(_UNDELIVERED)),
    Index("deliveries_of_run", "run", "routed_at", "id", **_partial("run <> 'live'")),
)
"""Where each delivery stands: ``outcome`` and what follows it are the latest attempt's; null while there is none.

``topic`` is that of the event; ``standing`` a ``schemas.model.standing.Standing``. Both are null in rows of earlier
versions until ``LedgerWriter.fill_in`` has come by. The log is ordered by ``routed_at`` and the key.
"""

IDENTIFIERS = Table(
    "identifiers",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", _BYTEWISE, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Index("identifiers_by_value", "workspace", "value", "event"),
    Index("identifiers_by_age", "received_at"),
)
"""The identifiers of events and their CloudEvents extensions; ``value`` is cut to ``LONGEST_IDENTIFIER``."""

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("source_offset", Text, primary_key=True),
    Column("delivery", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("response", Text),
    Column("next_at", BigInteger),
    Column("reason", Text),
    Column("request", Text),
    Column("response_head", Text),
    Index("attempts_of_event", "workspace", "event"),
    Index("attempts_by_age", "started_at"),
)
"""``request`` is a ``schemas.model.kept_request.KeptRequest`` as JSON, ``response_head`` a JSON object of headers."""


REQUESTS = Table(
    "requests",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("retry_of", Text),
    Column("received_at", BigInteger, nullable=False),
    Index("requests_by_retry", "retry_of"),
    Index("requests_by_age", "received_at"),
)
"""The requests that events came with, of families that show them; ``retry_of`` is the delivery that was sent again."""

CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("delivery", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("contract", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("routed_at", BigInteger, nullable=False),
    Index("contracts_of_event", "workspace", "event"),
    Index("contracts_by_age", "routed_at"),
)
"""Which deliveries are contracts: of which ordered subscription, and its order (``place``)."""

EXECUTIONS = Table(
    "executions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("source_offset", Text, primary_key=True),
    Column("delivery", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Index("executions_of_delivery", "delivery"),
    Index("executions_by_age", "started_at"),
)
"""What attempts sent and were answered, sealed; ``id`` is the attempt's."""

REDACTIONS = Table(
    "redactions",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("redacted_at", BigInteger, nullable=False),
)
"""Events whose payload was taken out of the ledger."""


def open_ledger(url: str) -> Engine:
    """An engine for the ledger at a SQLAlchemy URL: SQLite, or PostgreSQL through psycopg.

    Made after a process is forked; thread-safe; ``dispose()`` closes it.

    Raises:
        Misconfigured: the URL names another database, the driver is not installed, or SQLite's directory cannot be
            made.
    """
    parsed = _with_driver(url)
    try:
        # Errors are logged: they are not to show what people send in events.
        engine = sqlalchemy_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    except (ImportError, NoSuchModuleError) as error:
        raise Misconfigured(f"HEADRACE_LEDGER_URL: its driver is not installed: {error}") from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            _make_directory(Path(parsed.database).parent)
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"The ledger's directory {path} cannot be made: {error.strerror}. Let this user write there, or set"
            " HEADRACE_LEDGER_URL."
        ) from error


def _with_driver(url: str) -> URL:
    # The short name that many providers hand out, which SQLAlchemy does not know.
    if url.startswith("postgres://"):
        url = url.replace("postgres://", "postgresql://", 1)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise Misconfigured(f"HEADRACE_LEDGER_URL is no SQLAlchemy URL: {error}") from error
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Misconfigured(f"HEADRACE_LEDGER_URL: {parsed.get_backend_name()} is neither sqlite nor postgresql")
    return parsed


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT}")
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    """Let readers and the one writer not block each other; Kafka has what a power cut takes.

    Two connections that change a new file's journal at once each hold a lock that the other waits for. SQLite refuses
    one of them without waiting for the busy timeout, so that this function waits instead.

    Raises:
        sqlite3.OperationalError: the file cannot be written, or stays locked for the busy timeout.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT / 1_000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_JOURNAL_RETRY)
        else:
            return
