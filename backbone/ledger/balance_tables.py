"""The tables behind the balance: what the router matched, which offsets it routed, and how far the ledger has read.

Times are microseconds since the epoch, hours are whole hours since the epoch (UTC).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from backbone.ledger.tables import METADATA

HOUR = 3_600_000_000
"""Microseconds."""

INDEXED = Table(
    "indexed",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""How far the ledger has read the topics of deliveries, attempts and receipts. Written with the rows it read.

A routing receipt adds to counts, so it must be added once: one before ``next_offset`` has been.
"""

COMPLETE = Table(
    "complete",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
)
"""One row, ``ledger``: all that Kafka had at ``until`` is in the ledger."""

MATCHED = Table(
    "matched",
    METADATA,
    Column("workspace", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("matched", BigInteger, nullable=False),
    Column("not_kept", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Index("matched_by_age", "hour"),
)
"""Deliveries that the router matched, by the hour of routing.

``not_kept``: those of event types that the ledger does not keep; they have no rows in ``deliveries``. ``held``: those
of endpoints that their owners paused; they are routed by a run once the endpoint is resumed. ``matched`` has both.
"""

ROUTED = Table(
    "routed",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("created_at", BigInteger),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("routed_at", BigInteger, nullable=False),
    Index("routed_of_workspace", "workspace", "topic"),
)
"""The offsets that receipts account for.

``created_at`` is the event type's, null for a type that was deleted: the topic of a new type begins at offset 0 again.
"""

ROUTING_FAULTS = Table(
    "routing_faults",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("first_offset", BigInteger, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Index("routing_faults_of_workspace", "workspace", "topic"),
)
"""Where receipts do not tile: ``kind`` is ``gap`` (offsets that none accounts for) or ``overlap`` (twice)."""
