"""What each plane needs of Kafka, for an installation that gives each plane a user of its own.

``docs/security.md`` shows this table, and ``tests/e2e/test_plane_acls.py`` runs the planes with exactly these rights.
"""

from __future__ import annotations

from operations.kafka_users.access import EVENTS, OUR_GROUPS, Acl
from schemas.model import topics


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
        *_topic(EVENTS, "read", "write", "create", "alter", "alter_configs", "describe_configs", prefixed=True),
        *_topic(topics.AUDIT, "read", "write"),
        *_topic(topics.IDEMPOTENCY, "read", "write"),
        *_topic(topics.ENDPOINT_STATE, "read"),
        *_topic(topics.RUNS, "read", "write"),
        *_topic(topics.OPERATIONS, "read", "write"),
        # Operators give these more partitions.
        *_topic(topics.WEBHOOK_DELIVERIES, "read", "alter"),
        *_topic(topics.WEBHOOK_REPLAYS, "write", "alter"),
        *_topic(topics.FILE_DELIVERIES, "alter"),
        *_topic(topics.ATTEMPTS, "write", "alter"),
        *_topic(topics.REDACTIONS, "write"),
        *_topic(topics.DEAD_LETTERS, "read", "write"),
        # Who reads a topic that grows, and how far; operators reset the offsets of groups.
        Acl("group", "*", "read"),
        _transactions("headrace-catalog", prefixed=False),
    ),
    "router": (
        *_EVERY,
        *_READINESS,
        *_topic(EVENTS, "read", prefixed=True),
        *_topic("deliveries.", "write", prefixed=True),
        *_topic(topics.DEAD_LETTERS, "write"),
        *_topic(topics.ROUTING_RECEIPTS, "write"),
        *_topic(topics.ENDPOINT_STATE, "read"),
        Acl("group", f"{OUR_GROUPS}router", "read"),
        _transactions("headrace-router-"),
    ),
    "ledger": (
        *_EVERY,
        *_READINESS,
        *_topic(EVENTS, "read", prefixed=True),
        *_topic("deliveries.", "read", prefixed=True),
        *_topic(topics.ATTEMPTS, "read"),
        *_topic(topics.DEAD_LETTERS, "read", "write"),
        *_topic(topics.DEAD_LETTER_MARKS, "read"),
        *_topic(topics.ROUTING_RECEIPTS, "read"),
        *_topic(topics.REDACTIONS, "read"),
        Acl("group", f"{OUR_GROUPS}ledger", "read"),
        _transactions("headrace-ledger-"),
    ),
    "replayer": (
        *_EVERY,
        *_READINESS,
        *_topic(EVENTS, "read", prefixed=True),
        *_topic(topics.WEBHOOK_DELIVERIES, "read"),
        *_topic(topics.WEBHOOK_REPLAYS, "write"),
        *_topic(topics.DEAD_LETTERS, "read"),
        *_topic(topics.DEAD_LETTER_MARKS, "read", "write"),
        *_topic(topics.ENDPOINT_STATE, "read"),
        *_topic(topics.ROUTING_RECEIPTS, "read", "write"),
        *_topic(topics.RUNS, "read", "write"),
        # How far the routers are, before what a pause kept back is sent.
        Acl("group", f"{OUR_GROUPS}router", "describe"),
        Acl("group", f"{OUR_GROUPS}runs", "read"),
        _transactions("headrace-replay-"),
    ),
    "monitor": (
        *_EVERY,
        *_READINESS,
        # How long topics are kept, and what consumer groups have read, teams' groups too.
        *_topic("*", "describe_configs"),
        Acl("group", "*", "describe"),
        *_topic(topics.OPERATIONS, "read", "write"),
    ),
    "webhook": (
        *_EVERY,
        *_READINESS,
        *_topic(topics.WEBHOOK_DELIVERIES, "read", "write", prefixed=True),
        *_topic(topics.ATTEMPTS, "write"),
        *_topic(topics.DEAD_LETTERS, "write"),
        *_topic(topics.ENDPOINT_STATE, "read", "write"),
        # The answer of an endpoint can be published as an event, and so are operational events, once each.
        *_topic(EVENTS, "write", prefixed=True),
        *_topic(topics.IDEMPOTENCY, "read", "write"),
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
"""By process; ``headrace processors`` needs the rights of router and ledger.

Of transactional ids and groups with a suffix, the prefix. ``read`` and ``write`` include ``describe``.
"""
