"""Creates the tables of the first ledger.

Ledgers from before there were steps have these tables and no version. For them this step changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, Text

if TYPE_CHECKING:
    from typing import Any

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create what is not there yet."""
    _table(
        "attempts",
        Column("id", Text, primary_key=True),
        Column("source_offset", Text, primary_key=True),
        Column("delivery", Text, nullable=False),
        Column("run", Text, nullable=False),
        Column("number", Integer, nullable=False),
        Column("workspace", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("endpoint", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("started_at", BigInteger, nullable=False),
        Column("duration", Float, nullable=False),
        Column("status", Integer),
        Column("error", Text),
        Column("response", Text),
        Column("next_at", BigInteger),
    )
    _index("attempts_by_age", "attempts", "started_at")
    _index("attempts_of_event", "attempts", "workspace", "event")
    _table(
        "contracts",
        Column("delivery", Text, primary_key=True),
        Column("workspace", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("contract", Text, nullable=False),
        Column("place", Integer, nullable=False),
        Column("routed_at", BigInteger, nullable=False),
    )
    _index("contracts_by_age", "contracts", "routed_at")
    _index("contracts_of_event", "contracts", "workspace", "event")
    _table(
        "deliveries",
        Column("id", Text, primary_key=True),
        Column("run", Text, primary_key=True),
        Column("source_offset", Text, primary_key=True),
        Column("workspace", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("endpoint", Text, nullable=False),
        Column("subscriptions", Text, nullable=False, server_default=""),
        Column("routed_at", BigInteger),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("outcome", Text),
        Column("status", Integer),
        Column("error", Text),
        Column("next_at", BigInteger),
        Column("dead_reason", Text),
        Column("changed_at", BigInteger, nullable=False),
    )
    _index("deliveries_by_age", "deliveries", "changed_at")
    _index("deliveries_of_event", "deliveries", "workspace", "event")
    _table(
        "events",
        Column("workspace", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("source_offset", Text, nullable=False),
        Column("namespace", Text, nullable=False),
        Column("code", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("subject", Text),
        Column("time", BigInteger, nullable=False),
        Column("received_at", BigInteger, nullable=False),
        Column("channel", Text),
        Column("identifiers", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("producer_id", Text),
    )
    _index("events_by_age", "events", "received_at")
    _index("events_by_time", "events", "workspace", "received_at", "id")
    _index("events_by_type", "events", "topic", "received_at", "id")
    _table(
        "executions",
        Column("id", Text, primary_key=True),
        Column("source_offset", Text, primary_key=True),
        Column("delivery", Text, nullable=False),
        Column("execution", Text, nullable=False),
        Column("started_at", BigInteger, nullable=False),
    )
    _index("executions_by_age", "executions", "started_at")
    _index("executions_of_delivery", "executions", "delivery")
    _table(
        "requests",
        Column("workspace", Text, primary_key=True),
        Column("event", Text, primary_key=True),
        Column("request", Text, nullable=False),
        Column("retry_of", Text),
        Column("received_at", BigInteger, nullable=False),
    )
    _index("requests_by_age", "requests", "received_at")
    _index("requests_by_retry", "requests", "retry_of")


def _table(name: str, *columns: Column[Any]) -> None:
    op.create_table(name, *columns, if_not_exists=True)


def _index(name: str, table: str, *columns: str) -> None:
    op.create_index(name, table, list(columns), if_not_exists=True)
