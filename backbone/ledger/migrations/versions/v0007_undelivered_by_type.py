"""Lists what was not delivered of one event type without looking at that of the others."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    where = text("standing <> 'delivered'")
    op.create_index(
        "deliveries_undelivered_by_type",
        "deliveries",
        ["topic", "standing", "routed_at", "id", "status", "reason"],
        sqlite_where=where,
        postgresql_where=where,
    )
