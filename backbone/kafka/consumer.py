"""A consumer of batches, for one thread that owns it."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException
from confluent_kafka import Consumer as Client

from backbone.kafka.failures import failure, kafka_error
from backbone.kafka.group_watch import GroupWatch
from backbone.kafka.offsets import (
    bare,
    find_known_ends,
    find_offsets,
    find_partitions,
    partitions_in,
    positions,
    read_commits,
)
from backbone.kafka.stalls import StallWatch, readable
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from confluent_kafka import TopicPartition

    from backbone.kafka.records import Commit, ConsumedRecord, Message, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

BEGINNING = OFFSET_BEGINNING
"""As an offset: the first that the partition still has."""

_TIMEOUT = 10.0
"""Seconds for one request to Kafka."""

_LOOK_TIMEOUT = 1.0
"""Seconds for the question where partitions end, when nothing waits for the answer."""

_KIP_848 = {"group.protocol": "consumer"}
_CLASSIC = {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"}
"""Both move only the partitions that have to move."""


class BatchConsumer:
    """Reads batches of messages, with or without a consumer group; commits only what it is told to.

    Every method belongs to the thread that calls ``consume``: librdkafka's Python client hangs when two threads share a
    consumer. All raise ``Unavailable`` when Kafka does not answer. A partition without a committed offset is read from
    its beginning.

    Args:
        settings: how to reach Kafka.
        group: the consumer group; None to read assigned partitions without one.
        on_assigned: called inside ``consume`` with partitions that were added, before any of their records is fetched;
            may return offsets for those that shall start elsewhere than at their committed offset, and may call
            ``commit``, ``committed``, ``known_ends``, ``end_offsets`` and ``offsets_for_times``.
        on_revoked: called inside ``consume`` or ``close`` with partitions that are about to go to another member (or
            have gone, if this one was away for too long: a ``commit`` then fails).
        on_stall: called inside ``consume`` when librdkafka has lost sight of partitions that have records, or that the
            group gave to this member. The client is then replaced: partitions of a group are revoked and assigned
            again, others are read on where they were.
        overrides: further librdkafka properties.

    Attributes:
        ends: partition to the offset at which its end was last met: past commit markers and compacted tombstones, which
            no record shows.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str | None,
        on_assigned: Callable[[list[Partition]], Mapping[Partition, int] | None] | None = None,
        on_revoked: Callable[[list[Partition]], None] | None = None,
        on_stall: Callable[[], None] | None = None,
        **overrides: Any,
    ) -> None:
        self.ends: dict[Partition, int] = {}
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_stall = on_stall
        self._topics: list[str] = []
        self._has_group = group is not None
        self._group_watch = GroupWatch(settings, group) if group else None
        self._paused: set[Partition] = set()
        # Where reading began, or an end was met: past what the client's own position shows.
        self._reached: dict[Partition, int] = {}
        self._watch = StallWatch()
        # Without a group there is nothing to negotiate.
        self._may_fall_back = group is not None and settings.group_protocol == "auto"
        self._config = settings.client_config(
            **{
                "group.id": group or f"headrace-unassigned-{uuid.uuid4()}",
                **(_CLASSIC if group is None or settings.group_protocol == "classic" else _KIP_848),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                # A batch's worth, not librdkafka's 100,000 messages: a rewind drops what was fetched ahead.
                "queued.min.messages": 20_000,
                **overrides,
            }
        )
        self._client = Client(self._config)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Take part in the group for these topics (replacing earlier ones); none at all leaves every topic.

        A name that begins with ``^`` is a pattern, but the broker looks for new topics of a pattern only every 10 s or
        more: who must see them sooner names them.
        """
        self._topics = list(topics)
        if topics:
            self._client.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked)
        else:
            self._client.unsubscribe()

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read exactly these partitions from these offsets, without the group's say; replaces an earlier assignment."""
        for partition, offset in offsets.items():
            self._begin(partition, offset)
        self._client.assign(positions(offsets))

    def consume(self, count: int, timeout: float) -> list[ConsumedRecord]:
        """Up to ``count`` messages: what has arrived as soon as one has; none when ``timeout`` seconds are over.

        Errors are logged, and the client recovers from them by itself. Headers are read with ``records.headers_of``.

        Raises:
            Unavailable: an error that no further call gets over; build a new consumer.
        """
        try:
            # librdkafka would wait out the timeout for the whole count: the first alone is waited for.
            messages = self._client.consume(1, timeout)
            if messages and count > 1:
                messages += self._client.consume(count - 1, 0)
        except KafkaException as exception:
            raise failure(exception, "consume") from exception
        if len(messages) < count and self._watch.due():
            self._look()
        if self._group_watch and self._topics:
            unread = self._group_watch.unread(self, self._topics)
            if unread:
                self._renew(unread, "does not know of partitions that the group gave it")
        if not all(message.error() is None for message in messages):
            messages = [message for message in messages if self._is_record(message)]
        return cast("list[ConsumedRecord]", messages)

    def passed(self, records: Iterable[ConsumedRecord]) -> dict[Partition, int]:
        """The next offset of each partition, by records that ``consume`` just returned and ends that were met since.

        The ends are forgotten.
        """
        passed, self.ends = self.ends, {}
        for record in records:
            partition = (record.topic(), record.partition())
            # An end that was met in the same poll may lie further, past a commit marker.
            passed[partition] = max(passed.get(partition, 0), record.offset() + 1)
        return passed

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the next offset to read of each partition, and wait for the answer.

        Raises:
            Unavailable: not committed; also when the group has given a partition to another member.
        """
        if not offsets:
            return
        try:
            results = self._client.commit(offsets=positions(offsets), asynchronous=False)
        except KafkaException as exception:
            raise failure(exception, "commit offsets") from exception
        for result in results:
            if result.error:
                raise failure(result.error, f"commit offset of {result.topic}/{result.partition}")

    def committed(self, partitions: Iterable[Partition], timeout: float = _TIMEOUT) -> dict[Partition, int | None]:
        """The group's committed offsets; None where there is none."""
        commits = self.commits(partitions, timeout)
        return {partition: None if found is None else found.offset for partition, found in commits.items()}

    def commits(self, partitions: Iterable[Partition], timeout: float = _TIMEOUT) -> dict[Partition, Commit | None]:
        """The group's committed offsets with their metadata; None where there is none."""
        return read_commits(self._client, partitions, timeout)

    def seek(self, offsets: Mapping[Partition, int], timeout: float = _TIMEOUT) -> None:
        """Continue elsewhere; what was fetched of these partitions is dropped."""
        deadline = time.monotonic() + timeout
        for position in positions(offsets):
            self.ends.pop((position.topic, position.partition), None)
            self._begin((position.topic, position.partition), position.offset)
            while True:
                try:
                    self._client.seek(position)
                except KafkaException as exception:
                    # A partition that was assigned a moment ago cannot be sought before its first fetch has begun.
                    if kafka_error(exception).code() != KafkaError._STATE or time.monotonic() > deadline:  # noqa: SLF001  # librdkafka's name
                        raise failure(exception, f"seek {position.topic}/{position.partition}") from exception
                    time.sleep(0.01)
                else:
                    break

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these partitions, and stay their owner. One that comes back later is not paused."""
        paused = list(partitions)
        self._paused.update(paused)
        self._client.pause(bare(paused))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch paused partitions again."""
        resumed = list(partitions)
        self._paused.difference_update(resumed)
        self._client.resume(bare(resumed))

    def member_id(self) -> str | None:
        """The id of this member of the group; None or empty before it has joined."""
        return self._client.memberid()

    def assignment(self) -> list[Partition]:
        """The partitions that this consumer reads now."""
        return partitions_in(self._client.assignment())

    def position(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        """The offset after the last message that ``consume`` returned; None where it has returned none."""
        found = self._client.position(bare(partitions))
        return {(entry.topic, entry.partition): entry.offset if entry.offset >= 0 else None for entry in found}

    def group_metadata(self) -> Any:
        """What a transaction needs to commit offsets as this member in its present generation."""
        return self._client.consumer_group_metadata()

    def end_offsets(self, partitions: Iterable[Partition], timeout: float = _TIMEOUT) -> dict[Partition, int]:
        """The offset after the last record that can be read now, asked of the broker.

        For a read_committed consumer that is the last stable offset. The question waits behind a pending fetch
        (``fetch.wait.max.ms``); ``Admin.end_offsets`` does not.
        """
        return find_offsets(
            self._client, dict.fromkeys(partitions, OFFSET_END), "ask for the ends of partitions", timeout
        )

    def watermarks(
        self, partitions: Iterable[Partition], timeout: float = _TIMEOUT
    ) -> dict[Partition, tuple[int, int]]:
        """The first offset that the partition still has, and the end as in ``end_offsets``."""
        asked = dict.fromkeys(partitions, OFFSET_BEGINNING)
        firsts = find_offsets(self._client, asked, "ask for the beginnings of partitions", timeout)
        ends = self.end_offsets(asked, timeout)
        return {partition: (first, ends[partition]) for partition, first in firsts.items()}

    def offsets_for_times(
        self, times: Mapping[Partition, int], timeout: float = _TIMEOUT
    ) -> dict[Partition, int | None]:
        """The first offset with a timestamp at or after a time (milliseconds since the epoch), or None."""
        # Kafka refuses times before 1970, or takes them for logical offsets.
        since = {partition: max(0, at) for partition, at in times.items()}
        found = find_offsets(self._client, since, "look up offsets by time", timeout)
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def known_ends(self, partitions: Iterable[Partition], timeout: float = _TIMEOUT) -> dict[Partition, int]:
        """``end_offsets`` of those partitions that can answer: one without a leader is left out."""
        return find_known_ends(self._client, partitions, timeout)

    def partitions_of(self, topics: Iterable[str], timeout: float = _TIMEOUT) -> list[Partition]:
        """Every partition of these topics; a topic that does not exist has none.

        From then on the client knows partitions that were added, and new leaders. Not to be called inside
        ``on_assigned``: confluent_kafka would abort the process.
        """
        return find_partitions(self._client, topics, timeout)

    def close(self) -> None:
        """Leave the group (``on_revoked`` is called) and close."""
        if self._group_watch:
            self._group_watch.close()
        self._client.close()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name
            partition, end = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            self.ends[partition] = end
            self._reached[partition] = max(end, self._reached.get(partition, 0))
        elif error.code() == KafkaError._FATAL:  # noqa: SLF001  # as above
            if not self._may_fall_back:
                raise failure(error, "consume")
            self._fall_back(error)
        else:
            log.warning("kafka consumer: %s", error.str(), extra={"code": error.name(), "topic": message.topic()})
        return False

    def _fall_back(self, error: KafkaError) -> None:
        """Join with the classic protocol: the broker refused the newer one before anything was assigned."""
        log.info("kafka consumer: uses the classic group protocol", extra={"reason": error.str()})
        self._may_fall_back = False
        self._config = {name: value for name, value in self._config.items() if name not in _KIP_848} | _CLASSIC
        self._client.close()
        self._client = Client(self._config)
        self.subscribe(self._topics)

    def _look(self) -> None:
        """Replace the client if partitions have records that it does not get."""
        try:
            places = self._places([partition for partition in self.assignment() if partition not in self._paused])
            ends = self.known_ends(places, _LOOK_TIMEOUT) if places else {}
        except Unavailable:
            return  # Kafka is away, and silence is to be expected
        suspects = {partition: places[partition] for partition in self._watch.suspects(places, ends)}
        if not suspects:
            return
        answers = readable(self._config, suspects)
        stalled = [partition for partition, has_records in answers.items() if has_records]
        if stalled:
            self._renew(stalled, "gets nothing of partitions that have records")
        else:
            self._watch.cleared({partition: ends[partition] for partition in answers})

    def _renew(self, partitions: list[Partition], reason: str) -> None:
        names = ", ".join(f"{topic}/{number}" for topic, number in partitions)
        log.error("kafka consumer: %s; replaced", reason, extra={"partitions": names})
        if self._on_stall:
            self._on_stall()
        places, paused = self._places(self.assignment()), self._paused
        self._client.close()
        self._client = Client(self._config)
        self._watch, self._paused = StallWatch(), set()
        if self._group_watch:
            self._group_watch.replaced()
        if self._topics:
            self.subscribe(self._topics)
        else:
            self.assign(places)
            self.pause(paused & places.keys())

    def _places(self, partitions: list[Partition]) -> dict[Partition, int]:
        """The next offset to read of each partition."""
        unknown = [partition for partition in partitions if partition not in self._reached]
        if unknown and self._has_group:
            for partition, offset in self.committed(unknown, _LOOK_TIMEOUT).items():
                self._reached[partition] = BEGINNING if offset is None else offset
        read = self.position(partitions) if partitions else {}
        return {
            partition: reached if position is None else max(position, reached)
            for partition, position in read.items()
            for reached in (self._reached.get(partition, BEGINNING),)
        }

    def _begin(self, partition: Partition, offset: int) -> None:
        self._reached[partition] = offset
        self._watch.forget(partition)

    def _assigned(self, client: Client, added: list[TopicPartition]) -> None:
        self._may_fall_back = False
        partitions = partitions_in(added)
        for partition in partitions:
            # Met in the very poll that took the partition away; where its records will be read from lies before that.
            self.ends.pop(partition, None)
            self._reached.pop(partition, None)
            self._paused.discard(partition)
            self._watch.forget(partition)
        starts = (self._on_assigned(partitions) if self._on_assigned else None) or {}
        self._reached.update(starts)
        for entry in added:
            entry.offset = starts.get((entry.topic, entry.partition), entry.offset)
        client.incremental_assign(added)
        # The client remembers for ever that a partition was paused, also while another member had it.
        client.resume(added)

    def _revoked(self, client: Client, removed: list[TopicPartition]) -> None:
        partitions = partitions_in(removed)
        for partition in partitions:
            self.ends.pop(partition, None)
        if self._on_revoked:
            self._on_revoked(partitions)
        client.incremental_unassign(removed)
