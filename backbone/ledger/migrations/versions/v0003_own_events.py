"""Finds the events that a client published and those delivered to its endpoints, without reading the others."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("events_by_client", "events", ["workspace", "source", "received_at", "id"])
    op.create_index("deliveries_by_endpoint", "deliveries", ["workspace", "endpoint", "event"])
