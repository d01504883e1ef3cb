"""The ledger's tables, and how to open the database they are in.

A change here needs a step in ``migrations/versions``. Times are microseconds since the epoch. No table refers to
another: their rows come from different topics, in any order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Engine, Float, Index, Integer, MetaData, Table, Text, event
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from schemas.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import URL

_BUSY_TIMEOUT = 10_000
"""Milliseconds that an SQLite connection waits for another process's write."""

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
    Index("deliveries_of_event", "workspace", "event"),
    Index("deliveries_by_endpoint", "workspace", "endpoint", "event"),
    Index("deliveries_by_age", "changed_at"),
)
"""Where each delivery stands: ``outcome`` and what follows it are the latest attempt's; null while there is none."""

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
    Index("attempts_of_event", "workspace", "event"),
    Index("attempts_by_age", "started_at"),
)


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
    # Readers and the one writer do not block each other; what a power cut takes is indexed again from Kafka.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
