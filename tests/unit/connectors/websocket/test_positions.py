"""Reading ``channel-positions`` from a Kafka that stops answering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.settings import KafkaSettings
from connectors.websocket import positions
from schemas import topics
from schemas.errors import Unavailable

if TYPE_CHECKING:
    from backbone.kafka.records import Partition

PARTITION = (topics.CHANNEL_POSITIONS, 0)


class Silent:
    """A consumer that knows where the end is and never gets there."""

    ends: dict[Partition, int] = {}  # noqa: RUF012  # stays empty

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def partitions_of(self, _: list[str]) -> list[Partition]:
        return [PARTITION]

    def end_offsets(self, _: list[Partition]) -> dict[Partition, int]:
        return {PARTITION: 5}

    def assign(self, _: dict[Partition, int]) -> None:
        pass

    def consume(self, *_: Any) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def test_a_kafka_that_falls_silent_is_told_so_that_the_node_can_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "BatchConsumer", Silent)
    monkeypatch.setattr(positions, "_PATIENCE", 0.0)
    with pytest.raises(Unavailable):
        positions.load_positions(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
