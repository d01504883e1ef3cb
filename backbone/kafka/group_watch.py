"""Notices partitions that a group has given to a member which does not know of it.

With the protocol of KIP-848 the broker sends an assignment once per change. If that response is lost, librdkafka
repeats the same heartbeat, the broker answers that nothing has changed, and nobody reads those partitions, without an
error. The broker's description of the group shows them.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import TimeoutError as NoAnswer
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from backbone.kafka.failures import kafka_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from confluent_kafka.admin import ConsumerGroupDescription  # type: ignore[attr-defined]  # not re-exported for mypy

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

ASK_EVERY = 15.0
"""Seconds between two questions."""

_LONGEST_INTERVAL = 600.0

_LOOKS = 3
"""Answers in a row that name a partition which this member does not read, before it counts as unread."""

_TIMEOUT = 5.0
"""Seconds that the broker has for an answer."""

_REFUSED = {
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001  # librdkafka's name
}


class GroupWatch:
    """Compares the broker's description of one member with what that member reads.

    Questions are asked in the background; no method but ``close`` waits for Kafka.

    Args:
        settings: how to reach Kafka.
        group: the consumer group.
        clock: seconds that only grow.
    """

    def __init__(self, settings: KafkaSettings, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._group = group
        self._clock = clock
        self._interval = ASK_EVERY
        self._asked_at = clock()
        self._admin: AdminClient | None = None
        self._answer: Future[ConsumerGroupDescription] | None = None
        self._looks: dict[Partition, int] = {}
        self._refused = False

    def unread(self, member: Callable[[], str | None], reads: Callable[[], Collection[Partition]]) -> list[Partition]:
        """Ask if it is time, look if there is an answer; return the partitions that were unread look after look.

        Args:
            member: gives the id of this member.
            reads: gives the partitions that the member reads now.
        """
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer, None
            return self._look(answer, member, reads)
        if self._answer is None and not self._refused and self._clock() - self._asked_at >= self._interval:
            self._ask()
        return []

    def replaced(self) -> None:
        """Begin again for a new client. The next verdict takes longer, until a look finds everything read."""
        self._looks.clear()
        self._interval = min(2 * self._interval, _LONGEST_INTERVAL)
        self._asked_at = self._clock()

    def close(self) -> None:
        """Wait for the answer to an open question, at most some seconds: librdkafka cannot drop a client before."""
        if self._answer is not None:
            try:
                self._answer.exception(2 * _TIMEOUT)
            except NoAnswer:
                log.warning("kafka consumer: no answer about the group %s", self._group)
        self._answer = self._admin = None

    def _ask(self) -> None:
        self._asked_at = self._clock()
        if self._admin is None:
            self._admin = AdminClient(self._settings.client_config())
        asked = self._admin.describe_consumer_groups([self._group], request_timeout=_TIMEOUT)
        self._answer = asked[self._group]

    def _look(
        self,
        answer: Future[ConsumerGroupDescription],
        member: Callable[[], str | None],
        reads: Callable[[], Collection[Partition]],
    ) -> list[Partition]:
        error = answer.exception()
        if error is not None:
            self._looks.clear()
            if isinstance(error, KafkaException) and kafka_error(error).code() in _REFUSED:
                self._refused = True
                log.info(
                    "kafka consumer: Kafka does not describe the group %s; lost assignments go unnoticed",
                    self._group,
                    extra={"reason": kafka_error(error).str()},
                )
            return []
        own = member()
        given = {
            (entry.topic, entry.partition)
            for each in answer.result().members
            if each.member_id == own
            for entry in each.assignment.topic_partitions
        }
        unread = given.difference(reads())
        self._looks = {partition: self._looks.get(partition, 0) + 1 for partition in unread}
        if given and not unread:
            self._interval = ASK_EVERY
        return sorted(partition for partition, looks in self._looks.items() if looks >= _LOOKS)
