"""Databases for the ledger: SQLite always, PostgreSQL where a server or its programs are at hand."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine

_READY_WITHIN = 120.0
"""Seconds."""


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
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL: neither HEADRACE_TEST_POSTGRESQL_URL nor the programs initdb and postgres")
    # Not pytest's own directories: the path of a socket has room for about a hundred characters.
    directory = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    user = _unprivileged(directory)
    try:
        yield from _serve(programs, directory, user)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _serve(programs: Path, directory: Path, user: str | None) -> Iterator[URL]:
    data = directory / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "headrace", "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        capture_output=True,
        user=user,
        cwd=directory,
    )
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(directory)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, user=user, cwd=directory
        )
    url = make_url(f"postgresql+psycopg://headrace@/postgres?host={directory}")
    try:
        _wait_until_ready(url, server, directory / "log")
        yield url
    finally:
        # Not SIGTERM: at that it waits for whoever is still connected.
        server.send_signal(signal.SIGINT)
        server.wait(_READY_WITHIN)


def _wait_until_ready(url: URL, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    engine = create_engine(url)
    while True:
        try:
            engine.connect().close()
        except OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.05)
        else:
            engine.dispose()
            return


def _programs() -> Path | None:
    found = shutil.which("postgres")
    candidates = [Path(found).parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in candidates if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _unprivileged(directory: Path) -> str | None:
    """PostgreSQL refuses to run as root: whom to run it as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(directory, user.pw_uid, user.pw_gid)
        return name
    pytest.skip("PostgreSQL does not run as root, and there is no other user")
