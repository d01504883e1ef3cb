"""Brings a ledger to this version's tables: one process runs the steps under a lock, and the others wait for it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from backbone.ledger.reading import unavailable
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

VERSION_TABLE = "alembic_version"
"""Has one row: the number of the last step that the ledger has had."""

_LOCK = 4_871_002_931
"""Key of PostgreSQL's advisory lock."""

_LOCK_WAIT = 60
"""Seconds that a process waits for the one that runs the steps."""

_TABLE_WAIT = 10
"""Seconds that a step waits for a table; everybody else who wants the table waits behind it."""

_STEPS = Path(__file__).with_name("migrations")

_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the running step in a global of the process."""

_REFUSALS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
}
"""SQLite's errors that do not pass. A lock, a full disk and a failing one may."""

_MAY_NOT = "42501"
"""PostgreSQL's code for a missing privilege."""


def upgrade(engine: Engine) -> None:
    """Run the steps that the ledger has not had. A ledger that has had all is not locked.

    Raises:
        Misconfigured: the ledger cannot be written, or a later version of Headrace has changed it.
        Unavailable: the database cannot be reached now, is locked or full.
    """
    config = _config()
    steps = ScriptDirectory.from_config(config)
    with _named(engine):
        if _is_current(engine, steps):
            return
        with _ONE_AT_A_TIME, engine.connect() as connection:
            _lock(connection)
            _check_known(connection, steps)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()


def check_usable(engine: Engine) -> None:
    """Find out whether this version can write the ledger, and change nothing.

    Raises:
        Misconfigured: the ledger cannot be written, or a later version of Headrace has changed it.
        Unavailable: the database cannot be reached now, is locked or full.
    """
    steps = ScriptDirectory.from_config(_config())
    with _named(engine), engine.connect() as connection:
        _check_known(connection, steps)
        if engine.dialect.name == "sqlite":
            _check_writable(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    return config


def _is_current(engine: Engine, steps: ScriptDirectory) -> bool:
    with engine.connect() as connection:
        if _check_known(connection, steps) != steps.get_current_head():
            return False
        if engine.dialect.name == "sqlite":
            _check_writable(connection)
    return True


def _check_known(connection: Connection, steps: ScriptDirectory) -> str | None:
    """Return the number of the ledger's last step; None before the first."""
    version = _version(connection)
    known = [step.revision for step in steps.walk_revisions()]
    if version is not None and version not in known:
        raise Misconfigured(
            f"The ledger has version {version}, from a later Headrace; this one knows {known[0]} and earlier. Start the"
            " later Headrace, or set HEADRACE_LEDGER_URL to a new database and HEADRACE_PROCESSORS_LEDGER_GROUP to a"
            " new name: the ledger is then filled from Kafka again."
        )
    return version


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()
    return found


def _check_writable(connection: Connection) -> None:
    """Fail if the file cannot be written; a file that another process is writing to can."""
    cursor = connection.connection.cursor()
    wait = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        cursor.execute("BEGIN IMMEDIATE")
        try:
            # Of a file that is open only for reading, SQLite does not refuse the transaction but the first write.
            cursor.execute("PRAGMA user_version=0")
        finally:
            cursor.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in _REFUSALS:
            raise _unwritable(connection.engine, error) from error
    finally:
        cursor.execute(f"PRAGMA busy_timeout={wait}")
        cursor.close()


def _lock(connection: Connection) -> None:
    """Begin the transaction of the steps; its end gives the lock back."""
    if connection.dialect.name == "sqlite":
        # Python's driver would begin a transaction only before the first row is written, after the tables are made.
        connection.execution_options(isolation_level="AUTOCOMMIT")
        wait = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_LOCK_WAIT * 1_000}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={wait}")
    else:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_TABLE_WAIT}s'")


@contextlib.contextmanager
def _named(engine: Engine) -> Iterator[None]:
    """Raise the database's errors as ours."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in _REFUSALS or getattr(error.orig, "sqlstate", None) == _MAY_NOT:
            raise _unwritable(engine, error.orig) from error
        raise unavailable(error, "the ledger cannot be opened") from error


def _unwritable(engine: Engine, error: BaseException | None) -> Misconfigured:
    if engine.dialect.name == "sqlite":
        what = f"The ledger's file {engine.url.database} cannot be written: {error}. Let this user write the file and"
        return Misconfigured(f"{what} its directory, or set HEADRACE_LEDGER_URL.")
    what = f"The ledger's tables cannot be made: {str(error).partition(chr(10))[0]}."
    return Misconfigured(f"{what} Grant the database's user CREATE on its schema, or set HEADRACE_LEDGER_URL.")
