"""How the gateway waits for a Kafka that starts after it."""

from __future__ import annotations

import time
from unittest.mock import AsyncMock, Mock

import pytest

from ingest_api import state
from ingest_api.patience import Patience
from ingest_api.settings import IngestSettings
from schemas.errors import NotAcknowledged, Unavailable


async def test_what_kafka_cannot_do_yet_is_tried_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_RETRY_SECONDS", 0)
    answers = iter([Unavailable("not yet"), Unavailable("not yet"), None])

    async def attempt() -> None:
        if (error := next(answers)) is not None:
            raise error

    await state._until(time.monotonic() + 60, attempt)
    assert list(answers) == []


async def test_what_kafka_cannot_do_in_time_is_an_error() -> None:
    async def attempt() -> None:
        raise Unavailable("not at all")

    with pytest.raises(Unavailable, match="not at all"):
        await state._until(time.monotonic() - 1, attempt)


@pytest.mark.parametrize(
    ("stalled", "idle", "acknowledges", "ready"),
    [(0.0, 1.0, True, True), (3.5, 0.0, True, False), (0.0, 60.0, True, True), (0.0, 60.0, False, False)],
)
async def test_a_worker_is_ready_while_kafka_acknowledges_what_is_written(
    *, stalled: float, idle: float, acknowledges: bool, ready: bool
) -> None:
    gateway = state.Gateway(IngestSettings())
    gateway._patience = Patience(5)
    error = None if acknowledges else NotAcknowledged("inside")
    gateway.catalog = Mock(caught_up=AsyncMock())
    gateway.producer = Mock(stalled=stalled, idle=idle)
    gateway.idempotency = Mock(probe=AsyncMock(side_effect=error))
    reason = await gateway.unready()
    assert (reason is None) is ready
    assert "inside" not in (reason or "")
