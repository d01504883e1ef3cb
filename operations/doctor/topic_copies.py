"""Checks of the copies of topics: those that are missing, and how many an acknowledged record has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported for mypy
    AdminClient,
    ConfigResource,
    ResourceType,
)

from backbone.kafka.failures import kafka_error
from operations.doctor.findings import fault, warning
from operations.doctor.kafka import SECONDS
from operations.errors import NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from confluent_kafka.admin import ClusterMetadata  # type: ignore[attr-defined]  # not re-exported for mypy

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_ASKED_AT_ONCE = 500
_NAMED = 5
"""Topics that a sentence names."""


def replicas(site: Site) -> Iterator[Finding]:
    """Find partitions without a leader, and partitions of which copies are not in sync."""
    yield from of_metadata(_metadata(AdminClient(site.kafka.client_config())), site.kafka.bootstrap_servers)


def of_metadata(metadata: ClusterMetadata, servers: str) -> Iterator[Finding]:
    """The findings of what Kafka tells about its topics."""
    parts = [
        (name, number, part) for name, topic in metadata.topics.items() for number, part in topic.partitions.items()
    ]
    offline = [f"{name}-{number}" for name, number, part in parts if part.leader < 0]
    if offline:
        away = {broker for _, _, part in parts for broker in part.replicas} - metadata.brokers.keys()
        yield fault(
            "no-leader",
            f"{len(offline)} partitions have no leader, so nothing can be written or read there: {_named(offline)}.",
            f"Start {_brokers(away)} again.",
        )
    lagging = [f"{name}-{number}" for name, number, part in parts if 0 < len(part.isrs) < len(part.replicas)]
    if lagging:
        away = {broker for _, _, part in parts for broker in set(part.replicas) - set(part.isrs)}
        yield warning(
            "under-replicated",
            f"{len(lagging)} partitions have fewer copies in sync than they should: {_named(lagging)}.",
            f"Look after {_brokers(away)}: start what is stopped, and look at its log and disk. Watch with"
            f" kafka-topics.sh --bootstrap-server {servers} --describe --under-replicated-partitions",
        )


def copies(site: Site) -> Iterator[Finding]:
    """Find topics of a cluster whose records may be acknowledged by one broker alone."""
    client = AdminClient(site.kafka.client_config())
    metadata = _metadata(client)
    if len(metadata.brokers) < 2:  # noqa: PLR2004  # one broker keeps one copy
        return
    servers = site.kafka.bootstrap_servers
    single = [
        name for name, topic in metadata.topics.items() if all(len(p.replicas) == 1 for p in topic.partitions.values())
    ]
    if single:
        yield warning(
            "one-replica",
            f"{len(single)} topics are on one broker each, though there are {len(metadata.brokers)}:"
            f" {_named(single)}. If its disk is lost, so are they.",
            "Give them copies with kafka-reassign-partitions.sh, and new topics with"
            " HEADRACE_KAFKA_REPLICATION_FACTOR=3.",
        )
    least = _least_in_sync(client, sorted(metadata.topics.keys() - set(single)))
    alone = [name for name, count in least.items() if count == 1]
    if alone:
        yield warning(
            "min-insync-replicas",
            f"min.insync.replicas is 1 for {len(alone)} topics: an event that was answered 2xx may be on one broker"
            f" only: {_named(alone)}.",
            "Set it to 2, and HEADRACE_KAFKA_MIN_INSYNC_REPLICAS=2 for new topics: kafka-configs.sh --bootstrap-server"
            f" {servers} --alter --topic {alone[0]} --add-config min.insync.replicas=2",
        )


def _metadata(client: AdminClient) -> ClusterMetadata:
    try:
        return client.list_topics(timeout=SECONDS)
    except KafkaException as error:
        raise NotKnown(f"Kafka does not list its topics: {kafka_error(error).str()}.") from error


def _least_in_sync(client: AdminClient, names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _ASKED_AT_ONCE):
        wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names[start : start + _ASKED_AT_ONCE]]
        asked: dict[ConfigResource, Any] = client.describe_configs(wanted, request_timeout=SECONDS)
        for resource, answer in asked.items():
            try:
                config = answer.result(SECONDS + 1)
            except KafkaException as error:
                raise NotKnown(f"Kafka does not tell how topics are set: {kafka_error(error).str()}.") from error
            if "min.insync.replicas" in config:
                found[str(resource.name)] = int(config["min.insync.replicas"].value)
    return found


def _named(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _brokers(ids: Iterable[int]) -> str:
    known = sorted(ids)
    if not known:
        return "the brokers that are away"
    return f"broker{'s' if len(known) > 1 else ''} {', '.join(map(str, known))}"
