from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

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


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_protocol_that_was_asked_for_is_kept(protocol: str) -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE, group_protocol=protocol), group="g")
    with pytest.raises(Unavailable):
        consumer._is_record(fatal())
    consumer.close()
