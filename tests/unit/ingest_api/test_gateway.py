"""When the gateway says that it is ready."""

from __future__ import annotations

from unittest.mock import AsyncMock, Mock

import pytest

from backbone.slices import Slices
from ingest_api.gateway import Gateway
from ingest_api.metrics import Metrics
from ingest_api.settings import IngestSettings
from schemas.model.errors import NotAcknowledged


@pytest.mark.parametrize(
    ("stalled", "idle", "acknowledges", "ready"),
    [(0.0, 1.0, True, True), (3.5, 0.0, True, False), (0.0, 60.0, True, True), (0.0, 60.0, False, False)],
)
async def test_a_worker_is_ready_while_kafka_acknowledges_what_is_written(
    *, stalled: float, idle: float, acknowledges: bool, ready: bool
) -> None:
    error = None if acknowledges else NotAcknowledged("inside")
    clients = Mock(
        catalog=Mock(caught_up=AsyncMock()),
        producer=Mock(stalled=stalled, idle=idle),
        idempotency=Mock(probe=AsyncMock(side_effect=error)),
    )
    gateway = Gateway(IngestSettings(), clients, Metrics(), Slices())
    reason = await gateway.unready()
    assert (reason is None) is ready
    assert "inside" not in (reason or "")
