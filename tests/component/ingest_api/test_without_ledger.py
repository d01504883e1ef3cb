"""The ledger is a view: without it events are accepted, and what it would answer is 503."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import pytest

from ingest_api import ledger_executor
from schemas.model.errors import Unavailable
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.ledger.writer import LedgerWriter
    from tests.support.running_gateway import RunningGateway

STRUCTURED = {"content-type": "application/cloudevents+json"}


@pytest.fixture(scope="module")
def database() -> Iterator[socket.socket]:
    """Where a database server should be: nobody listens yet."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved


@pytest.fixture(scope="module")
def gateway(
    kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory, database: socket.socket
) -> Iterator[RunningGateway]:
    nowhere = f"postgresql://user@127.0.0.1:{database.getsockname()[1]}/ledger"
    directory = tmp_path_factory.mktemp("without-ledger")
    with running_gateway(kafka_bootstrap, directory, HEADRACE_LEDGER_URL=nowhere) as running:
        yield running


def test_the_gateway_starts_and_publishes_while_the_database_is_down(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    _, key = gateway.create_client(workspace, "producer")
    with gateway.client(key) as http:
        http.post("/headrace/v1/registrations", json={"code": "Open", "open": True}).raise_for_status()
        event = {"specversion": "1.0", "type": "Open"}
        assert http.post("/headrace/v1/events", json=event, headers=STRUCTURED).status_code == 201
        for path in ("/headrace/v1/events", "/headrace/v1/events/any"):
            answer = http.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"].isdigit()


def test_a_database_that_hangs_holds_up_nothing_but_what_asks_it(
    gateway: RunningGateway, database: socket.socket
) -> None:
    with gateway.client() as admin, ThreadPoolExecutor(32) as threads:
        body = {"name": str(uuid4()), "realm": "eventhos", "scopes": ["event:select"]}
        client = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()["id"]
        secret = admin.post(f"/headrace/v1/clients/{client}/keys").raise_for_status().json()["key"]
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        token = admin.post("/auth/token", data=fields).raise_for_status().json()["content"]["jwt_token"]
        eventhos = {"Authorization": f"Bearer {token}"}

        # It takes connections, and says nothing.
        with database:
            database.listen()
            asked = [
                threads.submit(admin.get, path, headers=headers)
                for path, headers in (
                    ("/headrace/v1/events", {}),
                    ("/event/received", eventhos),
                    ("/event/received/any", eventhos),
                    ("/event/received/execution-detail/any", eventhos),
                )
                for _ in range(8)
            ]
            made = admin.post("/headrace/v1/event-types", json={"code": str(uuid4()), "open": True})
            assert made.status_code == 201, made.text
            assert [each.result().status_code for each in asked] == [503] * 8 + [500] * 24


async def test_the_tables_are_made_once_there_is_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_executor, "_RETRY_SECONDS", 0)
    answers = iter([Unavailable("not yet")] * 4 + [None])

    class Ledger:
        def create(self) -> None:
            if (error := next(answers)) is not None:
                raise error

    ledger = cast("LedgerWriter", Ledger())
    with pytest.raises(Unavailable):
        await ledger_executor.opened(ledger, patient=False)
    making = await ledger_executor.opened(ledger, patient=True)
    assert making is not None
    await asyncio.wait_for(making, 15)
    assert list(answers) == []


async def test_a_database_that_does_not_answer_is_not_waited_for() -> None:
    answering = threading.Event()
    try:
        with pytest.raises(Unavailable, match="ledger"):
            await asyncio.wait_for(ledger_executor.answered(answering.wait, seconds=0.01), 15)
    finally:
        answering.set()
    assert await ledger_executor.answered(answering.wait, seconds=15)


async def test_questions_are_answered_on_threads_of_the_ledgers_own() -> None:
    threads = ledger_executor.LedgerThreads()

    def failing() -> None:
        raise ZeroDivisionError

    for _ in range(20):
        name = await ledger_executor.answered(lambda: threading.current_thread().name, seconds=15, threads=threads)
        assert name.startswith("ledger-")
    with pytest.raises(ZeroDivisionError):
        await ledger_executor.answered(failing, seconds=15, threads=threads)


async def test_an_answer_is_not_kept() -> None:
    threads = ledger_executor.LedgerThreads()
    kept = weakref.ref(await ledger_executor.answered(threading.Event, seconds=15, threads=threads))
    async with asyncio.timeout(15):
        while kept() is not None:  # noqa: ASYNC110  # a thread that tells nobody has it
            await asyncio.sleep(0.001)


def test_a_process_ends_while_the_database_hangs() -> None:
    program = """
import asyncio, threading
from ingest_api.ledger_executor import LedgerThreads, answered
from schemas.model.errors import Unavailable

async def main():
    try:
        await answered(threading.Event().wait, seconds=0.01, threads=LedgerThreads())
    except Unavailable:
        print("not answered")

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60, check=True)
    assert ended.stdout == b"not answered\n"
