"""Notices partitions that a group has given to a member which does not know of it.

With the protocol of KIP-848 the broker sends an assignment once per change. If that response is lost, librdkafka
repeats the same heartbeat, the broker answers that nothing has changed, and nobody reads those partitions, without an
error. Their committed offsets stand still behind their ends. Those of a slow member do too, so the broker has to
confirm by its description of the group whose they are.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from backbone.kafka.group_description import GroupQuestion
from backbone.kafka.stalls import StallWatch
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

LOOK_EVERY = 15.0
"""Seconds between two looks. A partition is unread for three looks before the broker is asked whose it is."""

_LONGEST_INTERVAL = 600.0

_TIMEOUT = 1.0
"""Seconds for each question of a look."""


class Member(Protocol):
    """What the watch asks of the consumer that it watches."""

    def member_id(self) -> str | None:
        """Its id in the group."""

    def assignment(self) -> list[Partition]:
        """What it reads."""

    def partitions_of(self, topics: Iterable[str], timeout: float) -> list[Partition]:
        """Every partition of the topics."""

    def committed(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int | None]:
        """The group's committed offsets."""

    def known_ends(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int]:
        """Where partitions end."""


class GroupWatch:
    """Looks at the partitions of the group that this member does not read.

    Args:
        settings: how to reach Kafka.
        group: the consumer group.
        clock: seconds that only grow.
    """

    def __init__(self, settings: KafkaSettings, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._group = group
        self._clock = clock
        self._interval = LOOK_EVERY
        self._looked_at = clock()
        self._stalls = StallWatch(clock)
        self._suspects: list[Partition] = []
        self._question: GroupQuestion | None = None

    def unread(self, member: Member, topics: Iterable[str]) -> list[Partition]:
        """Take a look if it is time; return partitions that the broker gave to this member and that it does not read.

        Args:
            member: the consumer, between two of its polls.
            topics: that it subscribes to.
        """
        if self._question is not None:
            return self._hear(self._question, member)
        if self._clock() - self._looked_at < self._interval:
            return []
        self._looked_at = self._clock()
        with suppress(Unavailable):  # while Kafka is away, standing still is to be expected
            self._look(member, topics)
        return []

    def replaced(self) -> None:
        """Begin again for a new client."""
        self.close()
        self._stalls, self._looked_at = StallWatch(self._clock), self._clock()

    def close(self) -> None:
        """Drop an open question."""
        if self._question is not None:
            self._question.drop()
            self._question = None

    def _look(self, member: Member, topics: Iterable[str]) -> None:
        own = set(member.assignment())
        others = [partition for partition in member.partitions_of(topics, _TIMEOUT) if partition not in own]
        committed = member.committed(others, _TIMEOUT) if others else {}
        ends = member.known_ends(others, _TIMEOUT) if others else {}
        places = {partition: offset or 0 for partition, offset in committed.items()}
        self._suspects = self._stalls.suspects(places, ends)
        if not self._suspects:
            self._interval = LOOK_EVERY
            return
        try:
            self._question = GroupQuestion(self._settings, self._group)
        except OSError as error:
            log.warning("kafka consumer: the group %s cannot be asked about", self._group, extra={"error": str(error)})

    def _hear(self, question: GroupQuestion, member: Member) -> list[Partition]:
        if not question.is_over():
            return []
        self._question = None
        # Asked again and again about a member that is slow, the broker would say the same.
        self._interval = min(2 * self._interval, _LONGEST_INTERVAL)
        own = set(member.assignment())
        given = question.partitions_of(member.member_id())
        return [partition for partition in self._suspects if partition in given and partition not in own]
