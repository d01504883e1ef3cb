from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, TopicPartition

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Message
from backbone.kafka.settings import KafkaSettings
from schemas.model.errors import Unavailable

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


def test_however_many_partitions_there_are_their_bounds_are_two_questions() -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE), group=None)
    client, questions = consumer._client, []

    def offsets_for_times(asked: list[TopicPartition], _timeout: float) -> list[TopicPartition]:
        questions.append({each.offset for each in asked})
        return [TopicPartition(each.topic, each.partition, each.partition - each.offset) for each in asked]

    consumer._client = SimpleNamespace(offsets_for_times=offsets_for_times)  # type: ignore[assignment]  # as above
    found = consumer.watermarks([("t", number) for number in range(500)])
    assert questions == [{OFFSET_BEGINNING}, {OFFSET_END}]
    assert found == {("t", number): (number - OFFSET_BEGINNING, number - OFFSET_END) for number in range(500)}
    client.close()


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_protocol_that_was_asked_for_is_kept(protocol: str) -> None:
    consumer = BatchConsumer(KafkaSettings(bootstrap_servers=NOWHERE, group_protocol=protocol), group="g")
    with pytest.raises(Unavailable):
        consumer._is_record(fatal())
    consumer.close()
