from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, TopicPartition

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Message
from backbone.kafka.settings import KafkaSettings
from schemas.errors import Unavailable

NOWHERE = "127.0.0.1:1"


def fatal() -> Message:
    return Message(error=KafkaError(KafkaError._FATAL, "API version not supported"))


def test_a_broker_without_the_new_group_protocol_is_joined_with_the_classic_one() -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE), group="g")
    consumer.subscribe(["t"])
    first = consumer._client
    assert not consumer._is_record(fatal())
    assert consumer._client is not first
    with pytest.raises(Unavailable, match="API version"):
        consumer._is_record(fatal())
    consumer.close()


def test_an_end_that_was_met_before_a_partition_went_says_nothing_once_it_is_back() -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE), group="g")
    partition = TopicPartition("t", 0, 100)
    client = SimpleNamespace(incremental_assign=list, incremental_unassign=list, resume=list)
    consumer._assigned(client, [partition])  # type: ignore[arg-type]  # as much of it as is called
    consumer._revoked(client, [partition])  # type: ignore[arg-type]
    consumer._is_record(Message(error=KafkaError(KafkaError._PARTITION_EOF), topic="t", partition=0, offset=200))
    consumer._assigned(client, [partition])  # type: ignore[arg-type]
    assert consumer.ends == {}
    consumer.close()


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_protocol_that_was_asked_for_is_kept(protocol: str) -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE, group_protocol=protocol), group="g")
    with pytest.raises(Unavailable):
        consumer._is_record(fatal())
    consumer.close()
