"""Adds the attributes of CloudEvents as they were sent, and finds events by the id of their producer."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index."""
    for name in ("type", "ce_source", "time_text", "dataschema", "datacontenttype", "extensions"):
        op.add_column("events", Column(name, Text))
    op.create_index("events_by_producer_id", "events", ["producer_id"], postgresql_using="hash")
