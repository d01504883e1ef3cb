"""Where consumer groups begin."""

from __future__ import annotations

import contextlib

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings


def pass_over(bootstrap: str, group: str, *topics: str) -> None:
    """Have a group begin at the ends: other tests have left hundreds of thousands of records there.

    A group that has members stays where it is, having read them.
    """
    admin = Admin(KafkaSettings(bootstrap_servers=bootstrap))
    partitions = [(topic, number) for topic in topics for number in range(admin.partition_count_now(topic))]
    offsets = [TopicPartition(*place, offset) for place, offset in admin.end_offsets_now(partitions).items()]
    groups = AdminClient({"bootstrap.servers": bootstrap})
    for future in groups.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)]).values():
        with contextlib.suppress(KafkaException):
            future.result(30)
