"""The topics that Headrace itself needs, and the shape of an event type's topic."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from backbone.kafka.admin import TopicSpec
from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES
from backbone.kafka.settings import DAY
from schemas.model import topics
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.event_type import EventType

log = logging.getLogger(__name__)

_LOG_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
_COMPACT = {"cleanup.policy": "compact"}
_HOUR_MS = 3_600_000
_CATALOG_KEPT = {"min.compaction.lag.ms": str(7 * DAY * 1_000)}
"""A forged record must not remove the good one from the log before anybody has seen it."""

_COMPACT_SOON = {"segment.ms": str(600_000), "min.cleanable.dirty.ratio": "0.1"}
"""Figures change every few seconds, and who starts reads all of the topic."""

_EVENT_BYTES = MAX_RECORD_BYTES + MAX_HEADER_BYTES
_DELIVERY_BYTES = _EVENT_BYTES + MAX_HEADER_BYTES
"""A delivery, and a dead letter of it, is the event's record with more headers: it must fit wherever the event did."""

_TIER_PARTITIONS = 2
_RUN_PARTITIONS = 4
"""The most replayers that can share the work."""
_IDEMPOTENCY_PARTITIONS = 4
_PROBE_PARTITIONS = 2
_PROBES_KEPT = 3_600


def internal_topics(settings: KafkaSettings) -> list[TopicSpec]:
    """Every topic that is not an event type's."""
    kept = _retention(settings.delivery_retention) | _LOG_APPEND_TIME
    kept_whole = kept | {"max.message.bytes": str(_DELIVERY_BYTES)}
    wide = settings.delivery_partitions
    window_ms = settings.idempotency_window * 1_000
    return [
        TopicSpec(topics.CATALOG, 1, _COMPACT | _LOG_APPEND_TIME | _CATALOG_KEPT),
        TopicSpec(topics.SCHEMAS, 1, _COMPACT),
        TopicSpec(topics.AUDIT, 1, _retention(settings.audit_retention) | _LOG_APPEND_TIME),
        TopicSpec(topics.WEBHOOK_DELIVERIES, wide, kept_whole),
        TopicSpec(topics.WEBHOOK_REPLAYS, wide, kept_whole),
        TopicSpec(topics.WEBSOCKET_DELIVERIES, wide, kept_whole),
        TopicSpec(topics.FILE_DELIVERIES, wide, kept_whole),
        *(TopicSpec(tier, _TIER_PARTITIONS, kept_whole) for tier in topics.RETRY_TIERS.values()),
        TopicSpec(topics.DEAD_LETTERS, _TIER_PARTITIONS, kept_whole),
        TopicSpec(topics.DEAD_LETTER_MARKS, _TIER_PARTITIONS, kept),
        TopicSpec(topics.RUNS, _RUN_PARTITIONS, _COMPACT | _LOG_APPEND_TIME),
        TopicSpec(topics.ATTEMPTS, wide, kept),
        TopicSpec(topics.ROUTING_RECEIPTS, _TIER_PARTITIONS, kept),
        TopicSpec(topics.ENDPOINT_STATE, 1, _COMPACT | _LOG_APPEND_TIME),
        TopicSpec(topics.CHANNEL_POSITIONS, 1, _COMPACT | _LOG_APPEND_TIME),
        TopicSpec(topics.OPERATIONS, 1, _COMPACT | _COMPACT_SOON | _LOG_APPEND_TIME),
        TopicSpec(topics.REDACTIONS, 1, _COMPACT | _LOG_APPEND_TIME),
        TopicSpec(topics.WRITE_PROBES, _PROBE_PARTITIONS, _retention(_PROBES_KEPT) | _LOG_APPEND_TIME),
        TopicSpec(
            topics.IDEMPOTENCY,
            _IDEMPOTENCY_PARTITIONS,
            {
                "cleanup.policy": "compact,delete",
                "retention.ms": str(window_ms),
                # Retention drops whole segments: short ones keep the window from overrunning by more than an hour.
                "segment.ms": str(min(window_ms, _HOUR_MS)),
                **_LOG_APPEND_TIME,
            },
        ),
    ]


def event_topic_spec(event_type: EventType, partitions: int, retention: int = 14 * DAY) -> TopicSpec:
    """The topic of an event type; a compacted one keeps each key's last event, others ``retention`` seconds."""
    kept = _COMPACT if event_type.compacted else _retention(retention)
    return TopicSpec(event_type.topic, partitions, kept | _LOG_APPEND_TIME | {"max.message.bytes": str(_EVENT_BYTES)})


async def ensure_internal_topics(admin: Admin) -> None:
    """Create what is missing of ``internal_topics``; every plane calls it when it starts."""
    await asyncio.to_thread(ensure_internal_topics_now, admin)


def ensure_internal_topics_now(admin: Admin) -> None:
    """``ensure_internal_topics`` for a plane without an event loop."""
    existing = admin.ensure_topics_now(internal_topics(admin.settings))
    if topics.CATALOG in existing:
        try:
            admin.configure_topic_now(topics.CATALOG, _CATALOG_KEPT)
        except Unavailable as error:
            # A user may not be allowed to; docs/security.md has it among what an administrator of Kafka sets.
            log.info("how long the catalog's records are kept cannot be set", extra={"error": str(error)})
    _warn_of_single_copies(admin)
    _warn_of_open_kafka(admin)


def _warn_of_open_kafka(admin: Admin) -> None:
    """Say so when whoever reaches Kafka can write every topic."""
    try:
        is_unrestricted = admin.is_unrestricted_now()
    except Unavailable as error:
        log.info("whether Kafka has an authorizer is not known", extra={"error": str(error)})
        return
    if is_unrestricted:
        log.warning(
            "Kafka lets this process do everything: it has no authorizer, or HEADRACE_KAFKA_OPTIONS names a superuser. "
            "Without an authorizer whoever reaches Kafka can read and write every topic. The catalog's records are "
            "signed, so nobody becomes administrator that way; events, deliveries and the log can be forged. See "
            "docs/security.md for the ACLs that planes need."
        )


def _warn_of_single_copies(admin: Admin) -> None:
    """Say so when "acknowledged by all in-sync replicas" can be one broker of several."""
    try:
        copies, brokers = admin.least_copies_now(topics.CATALOG)
    except Unavailable as error:
        # A user may not be allowed to ask; whoever cannot be warned can start all the same.
        log.info("how many copies Kafka keeps is not known", extra={"error": str(error)})
        return
    if copies == 1 and brokers > 1:
        log.warning(
            "Kafka acknowledges records that only one broker has: min.insync.replicas is 1. Set it to 2 on the brokers "
            "or topics (HEADRACE_KAFKA_MIN_INSYNC_REPLICAS for new ones); see docs/cluster.md.",
            extra={"brokers": brokers},
        )


def _retention(seconds: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(seconds * 1_000)}
