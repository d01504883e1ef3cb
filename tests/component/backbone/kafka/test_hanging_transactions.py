"""A transaction whose markers were lost, as when a broker that is just starting aborts one whose time has passed."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.transaction import TransactionalProducer
from operations.supervisor.ports import free_port
from schemas.model.errors import Unavailable
from tests.support.records import records_of
from tests.support.stoppable_broker import stoppable_broker

if TYPE_CHECKING:
    from pathlib import Path

PARTITIONS = [("t", 0), ("t", 1)]
_IS_CONTROL = 0x20
_UNTIL_ATTRIBUTES = 21
_AROUND_LENGTH = 12


def test_the_next_producer_of_the_id_ends_a_transaction_that_hangs(tmp_path: Path) -> None:
    port = free_port()
    with stoppable_broker(tmp_path, port) as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap)
        Admin(settings).ensure_topics_now([TopicSpec("t", 2), TopicSpec("other", 1)])
        consumer = BatchConsumer(settings, group="g")
        consumer.subscribe(["t"])
        while len(consumer.assignment()) < len(PARTITIONS):
            consumer.consume(1, 0.1)
        producer = TransactionalProducer(settings, "x")
        producer.start()
        producer.begin()
        for topic, partition in PARTITIONS:
            producer.produce(Record(topic, b"lost", partition=partition))
        producer.send_offsets({("t", 0): 0}, consumer)
        producer.commit()
        # A second one begins once the markers of the first are written: at its start, a broker writes those it owes.
        producer.begin()
        producer.produce(Record("other", b""))
        producer.commit()
        producer.close()
        consumer.close()
    _lose_markers(next(tmp_path.rglob("t-0")).parent)

    with stoppable_broker(tmp_path, port) as broker:
        admin, consumer = Admin(settings), BatchConsumer(settings, group="g")
        assert admin.end_offsets_now(PARTITIONS) == {("t", 0): 0, ("t", 1): 0}
        with pytest.raises(Unavailable):
            consumer.committed(PARTITIONS, 1)

        producer = TransactionalProducer(settings, "x", writes_to=["t"])
        producer.start()
        # An abort is answered before its markers are written.
        while min(admin.end_offsets_now(PARTITIONS).values()) == 0:
            time.sleep(0.05)
        assert records_of(broker.bootstrap, "t") == []

        producer.end_hanging({("t", 0): 0}, consumer)
        assert consumer.committed(PARTITIONS, 10) == {("t", 0): None, ("t", 1): None}
        producer.close()
        consumer.close()


def _lose_markers(data: Path) -> None:
    """Cut each log before its first commit or abort marker, as if the broker had died before it wrote them."""
    for log in data.rglob("*.log"):
        content, position = log.read_bytes(), 0
        while position + _UNTIL_ATTRIBUTES < len(content):
            (length,) = struct.unpack_from(">i", content, position + 8)
            (attributes,) = struct.unpack_from(">h", content, position + _UNTIL_ATTRIBUTES)
            if attributes & _IS_CONTROL and log.parent.name.startswith(("t-", "__consumer_offsets")):
                log.write_bytes(content[:position])
                for view in (
                    *log.parent.glob("*.index"),
                    *log.parent.glob("*.timeindex"),
                    *log.parent.glob("*.snapshot"),
                ):
                    view.unlink()
                break
            position += _AROUND_LENGTH + length
    (data / ".kafka_cleanshutdown").unlink()
