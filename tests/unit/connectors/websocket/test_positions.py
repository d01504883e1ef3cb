"""Reading ``channel-positions`` from a Kafka that stops answering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka import read_to_end
from backbone.kafka.records import Message
from backbone.kafka.settings import KafkaSettings
from connectors.websocket import positions
from connectors.websocket.channel import Channel, Mark
from schemas.model import topics
from schemas.model.errors import Unavailable

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
    monkeypatch.setattr(read_to_end, "BatchConsumer", Silent)
    monkeypatch.setattr(read_to_end, "_SILENCE", 0.0)
    with pytest.raises(Unavailable):
        positions.load_positions(KafkaSettings(bootstrap_servers="127.0.0.1:1"))


def test_a_key_that_no_channel_has_keeps_no_other_from_being_written() -> None:
    known, odd = Channel(b"acme/news", 0), Channel(b"x" * 3_000_000, 0)
    records = positions.position_records({0: "epoch"}, {0: 7}, {known: Mark(1, 5), odd: Mark(1, 6)})
    assert [record.key for record in records] == [b"channel/0/acme/news", b"partition/0"]


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b'{"more": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"])
@pytest.mark.parametrize("key", [None, b"\xff", b"partition/0", b"partition/x", b"channel/0/acme/news"])
def test_a_position_that_cannot_be_read_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    starts: dict[int, Any] = {}
    values: dict[tuple[int, bytes], Any] = {}
    positions._read(Message(topic=topics.CHANNEL_POSITIONS, key=key, value=value), starts, values)
    assert (starts, values) == ({}, {})
