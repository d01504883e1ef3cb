"""A PostgreSQL of its own, from the programs that are installed on this machine; gone when it is no longer needed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from operations.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL

_READY_WITHIN = 120.0
"""Seconds."""


@contextlib.contextmanager
def postgresql(programs: Path, options: Sequence[str] = ()) -> Iterator[URL]:
    """Run a server for the length of a with block.

    Args:
        programs: the directory with ``initdb`` and ``postgres``.
        options: further ones of the server, as ``name=value``.

    Raises:
        CannotStart: it does not start, or only root is there to run it.
    """
    # Its own short directory: the path of a socket has room for about a hundred characters.
    directory = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    try:
        yield from _serve(programs, directory, _unprivileged(directory), ["listen_addresses=", "fsync=off", *options])
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def installed() -> Path | None:
    """The directory of the server's programs; None when they are not installed."""
    found = shutil.which("postgres")
    candidates = [Path(found).parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in candidates if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _serve(programs: Path, directory: Path, user: str | None, options: Sequence[str]) -> Iterator[URL]:
    data = directory / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "headrace", "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        capture_output=True,
        user=user,
        cwd=directory,
    )
    given = [part for option in options for part in ("-c", option)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *given, "-k", str(directory)],
            stdout=log,
            stderr=log,
            user=user,
            cwd=directory,
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
        except OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL did not start:\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            engine.dispose()
            return


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
    raise CannotStart("PostgreSQL does not run as root, and there is no other user.")
