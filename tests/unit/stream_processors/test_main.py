"""How the processes of the stream processors start."""

from __future__ import annotations

import asyncio
import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from prometheus_client import CollectorRegistry

from backbone.catalog.view import CatalogView
from backbone.kafka.settings import KafkaSettings
from backbone.process import stop_limit
from backbone.process.settings import BackboneSettings
from processes import agents
from schemas.model.errors import Unavailable
from stream_processors import main
from stream_processors.main import Slots
from stream_processors.metrics import ProcessorMetrics
from stream_processors.settings import ProcessorSettings

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = agents.MetricsPort(None, "")


@pytest.mark.parametrize("slots", [Slots(router=0), Slots(ledger=0), Slots(router=0, ledger=0)])
async def test_they_wait_for_kafka_until_they_are_stopped(
    slots: Slots, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = 0

    async def away(_admin: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            os.kill(os.getpid(), signal.SIGTERM)
        raise Unavailable("nobody answers")

    # The real one would end the process of the tests ten seconds later.
    limit = Mock(stop_limit.StopLimit)
    monkeypatch.setattr(stop_limit, "StopLimit", lambda **_more: limit)
    monkeypatch.setattr(main, "ensure_internal_topics", away)
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    settings = ProcessorSettings(kafka=kafka, backbone=BackboneSettings(data_dir=tmp_path))
    await asyncio.wait_for(agents.serve_until_signal("router", settings, slots, NOWHERE), 30)
    assert asked > 1
    limit.begin.assert_called_once_with()


def test_routing_does_not_wait_for_the_ledgers_server(tmp_path: Path) -> None:
    backbone = BackboneSettings(data_dir=tmp_path, ledger_url="postgresql://127.0.0.1:1/nobody")
    settings = ProcessorSettings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"), backbone=backbone)
    catalog: Any = SimpleNamespace(view=CatalogView())
    agent = main._ledger(settings, "headrace-ledger-node-0", catalog, ProcessorMetrics(CollectorRegistry()))
    agent.close()
