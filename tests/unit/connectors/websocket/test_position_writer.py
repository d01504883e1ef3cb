"""Writing channel positions to a Kafka that does not take them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from backbone.kafka.settings import KafkaSettings
from connectors.websocket import position_writer
from connectors.websocket.channel import Channel, Mark
from connectors.websocket.history import Retention
from connectors.websocket.hub import Hub
from connectors.websocket.metrics import RealtimeMetrics
from connectors.websocket.position_writer import PositionWriter
from schemas.model.errors import Unavailable


class Refusing:
    """A producer that fails with what the test says."""

    error: Exception

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        raise self.error

    def close(self) -> None:
        pass


@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("nobody thought of this")])
async def test_marks_that_were_not_written_are_written_with_the_next(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(Refusing, "error", error, raising=False)
    monkeypatch.setattr(position_writer, "TransactionalProducer", Refusing)
    metrics = RealtimeMetrics(CollectorRegistry())
    hub = Hub(lambda _: b"{}", Retention(10, 1_000), metrics)
    channel = Channel(b"acme/news", 0, Mark(3, 7))
    hub._epochs = {0: "epoch"}
    hub._changed[channel] = None
    writer = PositionWriter(KafkaSettings(bootstrap_servers="127.0.0.1:1"), hub, interval=1, metrics=metrics)
    cast("Any", writer)._loop = asyncio.get_running_loop()

    await asyncio.to_thread(writer._write)
    await asyncio.sleep(0)

    assert hub.snapshot().marks == {channel: Mark(3, 7)}
