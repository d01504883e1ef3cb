"""Topics: create what is missing, ask what there is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported for mypy
    AclOperation,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from backbone.kafka.connection_errors import ConnectionErrors
from backbone.kafka.failures import LONGEST_PAUSE, PAUSE, failure, is_passing, kafka_error
from schemas.model.errors import Conflict, Misconfigured, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from confluent_kafka.admin import TopicMetadata  # type: ignore[attr-defined]  # not re-exported for mypy

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.errors import HeadraceError

_TIMEOUT = 10.0
"""Seconds for one request to Kafka."""


class TopicSpec(msgspec.Struct, frozen=True):
    """A topic that shall exist: its name, partition count and Kafka topic configuration."""

    topic: str
    partitions: int
    config: dict[str, str] = {}


class Admin:
    """Creates and inspects topics. Every ``async`` method has a blocking twin that ends in ``_now``, for threads.

    All raise ``Unavailable`` when Kafka does not answer within ``timeout`` seconds.

    Raises:
        Misconfigured: the installation's ``options`` are not what librdkafka knows.
    """

    def __init__(self, settings: KafkaSettings, *, timeout: float = _TIMEOUT) -> None:
        self.settings = settings
        self._timeout = timeout
        self._errors = ConnectionErrors()
        try:
            self._client = AdminClient(settings.client_config(error_cb=self._errors))
        except KafkaException as exception:
            raise Misconfigured(f"HEADRACE_KAFKA_OPTIONS: {kafka_error(exception).str()}") from exception

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> frozenset[str]:
        """Create those that are missing, and return when all can be written to. Existing ones stay as they are.

        Returns:
            The names of those that existed.

        Raises:
            Conflict: Kafka does not take a name, for example beside one that differs from it only in ``.`` and ``_``.
        """
        return await asyncio.to_thread(self.ensure_topics_now, specs)

    def ensure_topics_now(self, specs: Sequence[TopicSpec]) -> frozenset[str]:
        """``ensure_topics`` for a thread."""
        existing = self.partition_counts_now()
        found = frozenset(spec.topic for spec in specs if spec.topic in existing)
        missing = [spec for spec in specs if spec.topic not in existing]
        if not missing:
            return found
        replicas = self.settings.replication_factor
        copies = self.settings.min_insync_replicas
        common = {"min.insync.replicas": str(copies)} if copies else {}
        new = [NewTopic(spec.topic, spec.partitions, replicas, config=common | spec.config) for spec in missing]
        for topic, future in self._client.create_topics(new, request_timeout=self._timeout).items():
            self._wait(future, f"create topic {topic}", tolerated=KafkaError.TOPIC_ALREADY_EXISTS)
        # One that somebody else created meanwhile may have fewer partitions than were wanted.
        self._wait_for_leaders({spec.topic: 1 for spec in missing})
        return found

    async def is_compacted(self, topic: str) -> bool:
        """Whether a topic keeps the last record of each key, and so takes no record without one."""
        asked = self._client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, topic)], request_timeout=self._timeout
        )
        (answer,) = asked.values()
        doing = f"ask how {topic} is kept"
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(answer), self._timeout + 1)
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer") from error
        return "compact" in str(found["cleanup.policy"].value)

    def least_copies_now(self, topic: str) -> tuple[int, int]:
        """How many copies an acknowledged record of a topic has at least, and how many brokers there are."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        doing = f"ask how {topic} is kept"
        try:
            brokers = self._client.list_topics(topic, timeout=self._timeout).brokers
            (answer,) = self._client.describe_configs([resource], request_timeout=self._timeout).values()
            found = answer.result(self._timeout + 1)
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer") from error
        if "min.insync.replicas" not in found:
            raise Unavailable(f"{doing}: this Kafka does not say")
        return int(found["min.insync.replicas"].value), len(brokers)

    def is_unrestricted_now(self) -> bool:
        """Whether this client may even act as a broker: Kafka has no authorizer, or the client is a superuser.

        Raises:
            Unavailable: Kafka does not answer.
        """
        doing = "ask what is allowed"
        try:
            asked = self._client.describe_cluster(include_authorized_operations=True, request_timeout=self._timeout)
            allowed = asked.result(self._timeout + 1).authorized_operations
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer") from error
        return AclOperation.CLUSTER_ACTION in (allowed or ())

    def configure_topic_now(self, topic: str, config: Mapping[str, str]) -> None:
        """Set properties of a topic that differ; the others stay.

        Raises:
            Unavailable: Kafka does not answer, or does not allow it.
        """
        resource = ConfigResource(ResourceType.TOPIC, topic)
        doing = f"configure {topic}"
        try:
            (answer,) = self._client.describe_configs([resource], request_timeout=self._timeout).values()
            found = answer.result(self._timeout + 1)
            wanted = {name: value for name, value in config.items() if name in found and found[name].value != value}
            if not wanted:
                return
            for name, value in wanted.items():
                entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                resource.add_incremental_config(entry)
            (done,) = self._client.incremental_alter_configs([resource], request_timeout=self._timeout).values()
            done.result(self._timeout + 1)
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer") from error

    async def configure_topic(self, topic: str, config: Mapping[str, str]) -> None:
        """``configure_topic_now`` for the event loop."""
        await asyncio.to_thread(self.configure_topic_now, topic, config)

    def topic_config_now(self, topic: str) -> dict[str, str]:
        """The configuration of a topic, with what it has from the broker.

        Raises:
            Unavailable: Kafka does not answer, or does not allow it.
        """
        doing = f"ask how {topic} is kept"
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            (answer,) = self._client.describe_configs([resource], request_timeout=self._timeout).values()
            return {name: str(entry.value) for name, entry in answer.result(self._timeout + 1).items()}
        except KafkaException as exception:
            raise failure(exception, doing) from exception
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer") from error

    async def partition_count(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            NotFound: there is no such topic.
        """
        return await asyncio.to_thread(self.partition_count_now, topic)

    def partition_count_now(self, topic: str) -> int:
        """``partition_count`` for a thread."""
        found = self.partition_counts_now(topic).get(topic, 0)
        if not found:
            raise NotFound(f"there is no topic {topic}")
        return found

    def partition_counts_now(self, topic: str | None = None) -> dict[str, int]:
        """Every topic's partition count, or only ``topic``'s; a topic that does not exist is not in it."""
        self._forget_errors()
        try:
            metadata = self._client.list_topics(topic, timeout=self._timeout)
        except KafkaException as exception:
            raise self._failure(exception, "list topics") from exception
        return {name: len(found.partitions) for name, found in metadata.topics.items() if found.error is None}

    def topic_id_now(self, topic: str) -> str:
        """The id that Kafka gave a topic when it was created: another one after it was deleted and made again.

        Raises:
            NotFound: there is no such topic.
        """
        asked = self._client.describe_topics(TopicCollection([topic]), request_timeout=self._timeout)
        try:
            return str(asked[topic].result(self._timeout + 1).topic_id)
        except KafkaException as exception:
            if kafka_error(exception).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise NotFound(f"there is no topic {topic}") from exception
            raise failure(exception, f"describe topic {topic}") from exception
        except TimeoutError as error:
            raise Unavailable(f"describe topic {topic}: no answer") from error

    async def topics(self, prefix: str = "") -> dict[str, int]:
        """Partition counts of the topics whose name begins with ``prefix``."""
        counts = await asyncio.to_thread(self.partition_counts_now)
        return {topic: count for topic, count in counts.items() if topic.startswith(prefix)}

    async def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The last stable offset of each partition: where a read_committed reader that is caught up stands."""
        wanted, deadline, pause = tuple(partitions), time.monotonic() + self._timeout, PAUSE
        while True:
            futures = self._ask_ends(wanted)
            try:
                # Not ``wait_for``: it would leave a gathering that is cancelled with it to complain to the log.
                async with asyncio.timeout(self._timeout + 1):
                    found = await asyncio.gather(*(asyncio.wrap_future(future) for future in futures.values()))
            except (KafkaException, TimeoutError) as error:
                if not is_passing(error) or time.monotonic() > deadline:
                    raise _no_end(error) from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return dict(zip(futures, (end.offset for end in found), strict=True))

    def end_offsets_now(self, partitions: Iterable[Partition], *, written: bool = False) -> dict[Partition, int]:
        """``end_offsets`` for a thread; if ``written``, the end of all records, also those of open transactions."""
        wanted, deadline, pause = tuple(partitions), time.monotonic() + self._timeout, PAUSE
        level = IsolationLevel.READ_UNCOMMITTED if written else IsolationLevel.READ_COMMITTED
        while True:
            futures = self._ask_ends(wanted, level)
            try:
                return {partition: future.result(self._timeout + 1).offset for partition, future in futures.items()}
            except (KafkaException, TimeoutError) as error:
                if not is_passing(error) or time.monotonic() > deadline:
                    raise _no_end(error) from error
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _ask_ends(
        self, partitions: Iterable[Partition], level: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> dict[Partition, Future[Any]]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(*partition): latest for partition in partitions}
        if not wanted:
            return {}
        answers = self._client.list_offsets(wanted, isolation_level=level, request_timeout=self._timeout)
        return {(entry.topic, entry.partition): future for entry, future in answers.items()}

    async def broker_count(self) -> int:
        """How many brokers the cluster has."""
        self._forget_errors()
        try:
            metadata = await asyncio.to_thread(self._client.list_topics, timeout=self._timeout)
        except KafkaException as exception:
            raise self._failure(exception, "list brokers") from exception
        return len(metadata.brokers)

    async def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions, and return when all can be written to.

        Records stay where they are, so keys move unless the producer takes care.
        """
        new = [NewPartitions(topic, partitions)]
        for future in self._client.create_partitions(new, request_timeout=self._timeout).values():
            await asyncio.to_thread(self._wait, future, f"grow topic {topic}")
        await asyncio.to_thread(self._wait_for_leaders, {topic: partitions})

    def _forget_errors(self) -> None:
        """Drop what the client has said until now, so that a failure is explained with what comes."""
        self._client.poll(0)
        self._errors.forget()

    def _failure(self, exception: KafkaException, doing: str) -> HeadraceError:
        """What to raise, with the reason if no broker was reached."""
        self._client.poll(0)
        why = self._errors.explain()
        return Unavailable(f"{doing}: {why}") if why else failure(exception, doing)

    def _wait(self, future: Future[None], doing: str, *, tolerated: int | None = None) -> None:
        try:
            future.result(self._timeout + 1)
        except KafkaException as exception:
            error = kafka_error(exception)
            if error.code() == KafkaError.TOPIC_EXCEPTION:
                raise Conflict(f"{doing}: {error.str()}") from exception
            if error.code() != tolerated:
                raise failure(error, doing) from exception
        except TimeoutError as late:
            raise Unavailable(f"{doing}: no answer") from late

    def _wait_for_leaders(self, partitions: Mapping[str, int]) -> None:
        """What was just created or grown is listed a moment later, and can be written to another one later.

        ``partitions`` says of each topic how many there are at least.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                found = self._client.list_topics(timeout=self._timeout).topics
            except KafkaException as exception:
                raise self._failure(exception, "list topics") from exception
            left = [topic for topic, count in partitions.items() if not _is_led(found.get(topic), count)]
            if not left:
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"no leader yet for {', '.join(sorted(left))}")
            time.sleep(PAUSE)


def _is_led(topic: TopicMetadata | None, partitions: int) -> bool:
    found = [] if topic is None else list(topic.partitions.values())
    return len(found) >= partitions and all(part.leader >= 0 for part in found)


def _no_end(error: Exception) -> Exception:
    doing = "ask for the end of partitions"
    return failure(error, doing) if isinstance(error, KafkaException) else Unavailable(f"{doing}: no answer")
