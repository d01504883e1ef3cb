"""The ledger is a view: without it events are accepted, and what it would answer is 503."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from ingest_api import ledger_waits
from operations.ports import free_port
from schemas.errors import Unavailable
from tests.running_gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.ledger.writer import LedgerWriter

STRUCTURED = {"content-type": "application/cloudevents+json"}


def test_the_gateway_starts_and_publishes_while_the_database_is_down(kafka_bootstrap: str, tmp_path: Path) -> None:
    nowhere = f"postgresql://user@127.0.0.1:{free_port()}/ledger"
    with running_gateway(kafka_bootstrap, tmp_path, HEADRACE_LEDGER_URL=nowhere) as gateway:
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


async def test_the_tables_are_made_once_there_is_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_waits, "_RETRY_SECONDS", 0)
    answers = iter([Unavailable("not yet")] * 4 + [None])

    class Ledger:
        def create(self) -> None:
            if (error := next(answers)) is not None:
                raise error

    ledger = cast("LedgerWriter", Ledger())
    with pytest.raises(Unavailable):
        await ledger_waits.opened(ledger, patient=False)
    making = await ledger_waits.opened(ledger, patient=True)
    assert making is not None
    await asyncio.wait_for(making, 15)
    assert list(answers) == []


async def test_a_database_that_does_not_answer_is_not_waited_for() -> None:
    answering = threading.Event()
    try:
        with pytest.raises(Unavailable, match="ledger"):
            await asyncio.wait_for(ledger_waits.answered(answering.wait, seconds=0.01), 15)
    finally:
        answering.set()
    assert await ledger_waits.answered(answering.wait, seconds=15)
