"""What each plane needs of Kafka, for an installation that gives each plane a user of its own.

``docs/security.md`` shows this table, and ``tests/e2e/test_plane_acls.py`` runs the planes with exactly these rights.
"""

from __future__ import annotations

from operations.access import EVENTS, OUR_GROUPS, Acl
from schemas import topics


def _topic(name: str, *operations: str, prefixed: bool = False) -> tuple[Acl, ...]:
    return tuple(Acl("topic", name, operation, prefixed) for operation in operations)


def _transactions(name: str, *, prefixed: bool = True) -> Acl:
    return Acl("transactional_id", name, "write", prefixed)


_EVERY = (
    # Whether Kafka lets it do more than it should.
    Acl("cluster", "kafka-cluster", "describe"),
    # Whether all topics are there.
    Acl("topic", "*", "describe"),
    *_topic(topics.CATALOG, "read", "describe_configs"),
    *_topic(topics.SCHEMAS, "read"),
    # Consumers that read without a group ask for the coordinator of one all the same.
    Acl("group", f"{OUR_GROUPS}unassigned-", "describe", prefixed=True),
    Acl("group", f"{OUR_GROUPS}probe-", "describe", prefixed=True),
)

_READINESS = _topic(topics.WRITE_PROBES, "write")
"""Whether Kafka acknowledges what is written, where that is not seen from the work itself."""

PLANE_ACLS: dict[str, tuple[Acl, ...]] = {
    "ingest": (
        *_EVERY,
        # It starts first and makes the internal topics.
        Acl("cluster", "kafka-cluster", "create"),
        *_topic(topics.CATALOG, "write", "alter_configs"),
        *_topic(topics.SCHEMAS, "write"),
        *_topic(EVENTS, "read", "write", "create", "alter", "describe_configs", prefixed=True),
        *_topic(topics.IDEMPOTENCY, "read", "write"),
        *_topic(topics.ENDPOINT_STATE, "read"),
        *_topic(topics.ATTEMPTS, "write"),
        *_topic(topics.DEAD_LETTERS, "write"),
        _transactions("headrace-catalog", prefixed=False),
    ),
    "processors": (
        *_EVERY,
        *_READINESS,
        *_topic(EVENTS, "read", prefixed=True),
        *_topic("deliveries.", "read", "write", prefixed=True),
        *_topic(topics.ATTEMPTS, "read"),
        *_topic(topics.DEAD_LETTERS, "read", "write"),
        *_topic(topics.ROUTING_RECEIPTS, "write"),
        *_topic(topics.ENDPOINT_STATE, "read"),
        Acl("group", f"{OUR_GROUPS}router", "read"),
        Acl("group", f"{OUR_GROUPS}ledger", "read"),
        _transactions("headrace-router-"),
        _transactions("headrace-ledger-"),
    ),
    "webhook": (
        *_EVERY,
        *_READINESS,
        *_topic(topics.WEBHOOK_DELIVERIES, "read", "write", prefixed=True),
        *_topic(topics.ATTEMPTS, "write"),
        *_topic(topics.DEAD_LETTERS, "write"),
        *_topic(topics.ENDPOINT_STATE, "read", "write"),
        # The answer of an endpoint can be published as an event.
        *_topic(EVENTS, "write", prefixed=True),
        Acl("group", f"{OUR_GROUPS}webhook", "read", prefixed=True),
        _transactions("headrace-hopper-"),
    ),
    "websocket": (
        *_EVERY,
        *_READINESS,
        *_topic(topics.WEBSOCKET_DELIVERIES, "read"),
        *_topic(topics.CHANNEL_POSITIONS, "read", "write"),
        *_topic(topics.ENDPOINT_STATE, "read", "write"),
        Acl("group", f"{OUR_GROUPS}realtime-positions", "read"),
        _transactions("headrace-realtime-positions", prefixed=False),
    ),
    "file": (
        *_EVERY,
        *_READINESS,
        *_topic(topics.FILE_DELIVERIES, "read"),
        *_topic(topics.ATTEMPTS, "write"),
        *_topic(topics.DEAD_LETTERS, "write"),
        Acl("group", f"{OUR_GROUPS}file", "read"),
        _transactions("headrace-files-"),
    ),
}
"""By plane. Of transactional ids and groups with a suffix, the prefix. ``read`` and ``write`` include ``describe``."""
