"""Adds the delivery log: lists of deliveries in order of time, identifiers by prefix, requests as they were sent."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text, text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LISTED = ("routed_at", "id", "status", "reason")


def upgrade() -> None:
    """Add the columns, the tables and the indexes."""
    for name in ("topic", "standing", "reason"):
        op.add_column("deliveries", Column(name, Text))
    for name in ("reason", "request", "response_head"):
        op.add_column("attempts", Column(name, Text))
    op.create_index("deliveries_by_time", "deliveries", ["workspace", "routed_at", "id"])
    op.create_index("deliveries_by_endpoint_time", "deliveries", ["workspace", "endpoint", "routed_at", "id"])
    op.create_index("deliveries_by_type", "deliveries", ["topic", "routed_at", "id"])
    undelivered = "standing <> 'delivered'"
    _partial("deliveries_undelivered", undelivered, "workspace", "standing", *_LISTED)
    _partial("deliveries_undelivered_by_endpoint", undelivered, "workspace", "endpoint", "standing", *_LISTED)
    _partial("deliveries_of_run", "run <> 'live'", "run", "routed_at", "id")
    op.create_table(
        "identifiers",
        Column("workspace", Text, primary_key=True),
        Column("event", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("value", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
        Column("received_at", BigInteger, nullable=False),
    )
    op.create_index("identifiers_by_value", "identifiers", ["workspace", "value", "event"])
    op.create_index("identifiers_by_age", "identifiers", ["received_at"])
    op.create_table(
        "redactions",
        Column("workspace", Text, primary_key=True),
        Column("event", Text, primary_key=True),
        Column("redacted_at", BigInteger, nullable=False),
    )


def _partial(name: str, condition: str, *columns: str) -> None:
    where = text(condition)
    op.create_index(name, "deliveries", list(columns), sqlite_where=where, postgresql_where=where)
