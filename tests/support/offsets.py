"""Where consumer groups begin."""

from __future__ import annotations

import time

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings

_SECONDS = 120
_TRY_SECONDS = 3


def pass_over(bootstrap: str, group: str, *topics: str) -> None:
    """Have a group begin at the ends: other tests have left hundreds of thousands of records there.

    A group that has members stays where it is, having read them.
    """
    admin = Admin(KafkaSettings(bootstrap_servers=bootstrap))
    partitions = [(topic, number) for topic in topics for number in range(admin.partition_count_now(topic))]
    offsets = [TopicPartition(*place, offset) for place, offset in admin.end_offsets_now(partitions).items()]
    request = [ConsumerGroupTopicPartitions(group, offsets)]
    groups = AdminClient({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + _SECONDS
    while True:
        (answer,) = groups.alter_consumer_group_offsets(request, request_timeout=_TRY_SECONDS).values()
        try:
            refused = {each.error.code() for each in answer.result().topic_partitions if each.error}
        except KafkaException as error:
            # At the first group the broker makes the topic of their offsets. The client looks for the group's
            # coordinator three times within a fraction of a second, and then only waits.
            refused = {error.args[0].code()}
        if refused <= {KafkaError.UNKNOWN_MEMBER_ID}:
            return
        assert time.monotonic() < deadline, f"the group {group} could not be moved: {refused}"
        time.sleep(0.05)
