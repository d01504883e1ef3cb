"""Databases for the ledger: SQLite always, PostgreSQL where a server or its programs are at hand."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from operations.bench.postgresql import installed, postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Engine


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/ledger.sqlite3"
        return
    server: URL = request.getfixturevalue("postgresql_server")
    schema = f"ledger_{uuid.uuid4().hex}"
    admin = create_engine(server)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield server.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with admin.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    engine = open_ledger(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> LedgerWriter:
    writer = LedgerWriter(engine)
    writer.create()
    return writer


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """The server that HEADRACE_TEST_POSTGRESQL_URL names, else one started from the installed programs."""
    given = os.environ.get("HEADRACE_TEST_POSTGRESQL_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = installed()
    if programs is None:
        pytest.skip("no PostgreSQL: neither HEADRACE_TEST_POSTGRESQL_URL nor the programs initdb and postgres")
    with postgresql(programs) as url:
        yield url
