"""Ledgers of other versions: older ones are brought up to date, later ones and unwritable ones are refused in words."""

from __future__ import annotations

import re
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, text

import backbone.ledger.upgrade as upgrades
from backbone.ledger.queries import LedgerQueries
from backbone.ledger.tables import METADATA, open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model.errors import Misconfigured, Unavailable
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

FIRST = (Path(__file__).with_name("first_ledger.sql")).read_text(encoding="utf-8")

ADDITIVE = re.compile(
    r"CREATE (TABLE|INDEX) "
    r"|ALTER TABLE \w+ ADD COLUMN ((?!.*NOT NULL)|.* DEFAULT )"
    r"|(INSERT INTO|UPDATE) alembic_version "
    r"|(SELECT|PRAGMA|SET LOCAL|BEGIN)\b"
)
"""Statements that processes of an older version do not notice."""


def run_script(engine: Engine, script: str) -> None:
    with engine.begin() as connection:
        for statement in re.sub("^--.*$", "", script, flags=re.MULTILINE).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def version(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))


@pytest.fixture
def first(engine: Engine) -> Engine:
    """A ledger as the version before the first step left it."""
    run_script(engine, FIRST)
    return engine


def test_the_steps_lead_to_the_tables_that_the_code_uses(engine: Engine) -> None:
    LedgerWriter(engine).create()
    assert differences(engine) == []


def test_a_ledger_from_before_the_steps_is_brought_up_to_date_and_keeps_its_rows(first: Engine) -> None:
    LedgerWriter(first).create()
    assert differences(first) == []
    found = LedgerQueries(first).event(ReadScope(workspace="acme"), "e1")
    assert found is not None
    assert (found.producer_id, found.deliveries[0].tries[0].response) == ("theirs", "ok")


def test_steps_only_add_and_an_older_process_goes_on_writing(first: Engine) -> None:
    ran: list[str] = []
    event.listen(first, "before_cursor_execute", lambda *call: ran.append(" ".join(call[2].split())))
    LedgerWriter(first).create()
    assert any("alembic_version" in statement for statement in ran)
    assert [statement for statement in ran if not ADDITIVE.match(statement)] == []
    rows = re.findall(r"^INSERT INTO (\w+) (VALUES .*);$", FIRST, re.MULTILINE)
    columns = {
        name: re.findall(r"^\t(\w+) (?:TEXT|BIGINT|INTEGER|FLOAT)", table, re.MULTILINE)
        for name, table in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", FIRST, re.DOTALL)
    }
    run_script(
        first,
        "".join(
            f"INSERT INTO {table} ({', '.join(columns[table])}) {re.sub('e1|d1|a1', 'later', values)};"
            for table, values in rows
        ),
    )
    found = LedgerQueries(first).event(ReadScope(workspace="acme"), "later")
    assert found is not None
    assert found.deliveries[0].tries[0].response == "ok"


@pytest.mark.parametrize(
    ("statement", "additive"),
    [
        ("ALTER TABLE events ADD COLUMN extra TEXT", True),
        ("ALTER TABLE events ADD COLUMN extra TEXT DEFAULT '' NOT NULL", True),
        ("ALTER TABLE events ADD COLUMN extra TEXT NOT NULL", False),
        ("ALTER TABLE events DROP COLUMN source", False),
        ("DROP TABLE events", False),
        ("CREATE UNIQUE INDEX one ON events (id)", False),
        ("CREATE INDEX more ON events (id)", True),
    ],
)
def test_what_counts_as_adding(statement: str, additive: bool) -> None:  # noqa: FBT001  # a parameter
    assert bool(ADDITIVE.match(statement)) is additive


def test_one_process_runs_the_steps_and_the_others_wait(
    ledger_url: str, first: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    command_upgrade, runs = upgrades.command.upgrade, []

    def slow(*args: Any) -> None:
        runs.append(args)
        entered.set()
        assert go_on.wait(60)
        command_upgrade(*args)

    monkeypatch.setattr(upgrades.command, "upgrade", slow)
    engines = [open_ledger(ledger_url) for _ in range(3)]
    threads = [threading.Thread(target=LedgerWriter(each).create) for each in engines]
    threads[0].start()
    assert entered.wait(60)
    # Other processes do not share the lock of this one.
    monkeypatch.setattr(upgrades, "_ONE_AT_A_TIME", threading.Lock())
    for thread in threads[1:]:
        thread.start()
    threads[1].join(0.3)
    assert threads[1].is_alive()
    assert len(runs) == 1
    go_on.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for each in engines:
        each.dispose()
    assert differences(first) == []


def test_a_step_that_fails_changes_nothing(first: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_upgrade = upgrades.command.upgrade

    def fail(*args: Any) -> None:
        command_upgrade(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(upgrades.command, "upgrade", fail)
        with pytest.raises(KeyboardInterrupt):
            LedgerWriter(first).create()
    with first.connect() as connection:
        assert not first.dialect.has_table(connection, "alembic_version")
    LedgerWriter(first).create()
    assert differences(first) == []


def test_a_later_ledger_is_refused_with_what_to_do(engine: Engine) -> None:
    LedgerWriter(engine).create()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match=r"version 9999, from a later Headrace.*Start the later Headrace, or set"):
        LedgerWriter(engine).create()


def _directory(path: Path) -> str:
    path.mkdir()
    return f"sqlite:///{path}"


def _no_database(path: Path) -> str:
    path.write_text("This is no database, and not a short one either. " * 100)
    return f"sqlite:///{path}"


def _below_a_file(path: Path) -> str:
    path.touch()
    return f"sqlite:///{path}/ledger.sqlite3"


def _read_only(path: Path) -> str:
    open_and_make(f"sqlite:///{path}")
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def _read_only_first(path: Path) -> str:
    sqlite3.connect(path).executescript(FIRST).close()
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def open_and_make(url: str) -> None:
    engine = open_ledger(url)
    try:
        LedgerWriter(engine).create()
    finally:
        engine.dispose()


@pytest.mark.parametrize("make", [_directory, _no_database, _below_a_file, _read_only, _read_only_first])
def test_a_file_that_cannot_be_written_is_refused_with_what_to_do(make: Callable[[Path], str], tmp_path: Path) -> None:
    url = make(tmp_path / "it")
    with pytest.raises(Misconfigured, match=rf"ledger's .*{tmp_path}.* cannot be .*set HEADRACE_LEDGER_URL"):
        open_and_make(url)


def test_a_postgresql_user_without_rights_is_told_what_is_missing(postgresql_server: Any) -> None:
    admin = create_engine(postgresql_server)
    with admin.begin() as connection:
        for statement in ("CREATE USER may_not", "CREATE SCHEMA closed", "GRANT USAGE ON SCHEMA closed TO may_not"):
            connection.exec_driver_sql(statement)
    url = postgresql_server.set(username="may_not").update_query_dict({"options": "-csearch_path=closed"})
    with pytest.raises(Misconfigured, match=r"permission denied for schema closed.*Grant .* CREATE"):
        open_and_make(url.render_as_string())
    with admin.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA closed")
        connection.exec_driver_sql("DROP USER may_not")
    admin.dispose()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "ledger.sqlite3"
    holder = sqlite3.connect(path)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")
    yield f"sqlite:///{path}"
    holder.close()


def test_a_locked_ledger_is_waited_for_and_said_to_be_locked(locked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "_LOCK_WAIT", 0.1)
    with pytest.raises(Unavailable, match="locked"):
        open_and_make(locked)


def test_a_current_ledger_that_is_locked_opens_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    open_and_make(url)
    holder = sqlite3.connect(tmp_path / "ledger.sqlite3")
    holder.execute("BEGIN IMMEDIATE")
    open_and_make(url)
    holder.close()
