"""Adds dead letters, and what became of each."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PLACE = ("set_aside_at", "partition", "offset")


def upgrade() -> None:
    """Add the table and its indexes."""
    texts = ("workspace", "kind", "topic", "source_offset", "reason", "endpoint", "delivery", "event", "run")
    op.create_table(
        "dead_letters",
        Column("partition", Integer, primary_key=True),
        Column("offset", BigInteger, primary_key=True),
        *(Column(name, Text) for name in texts),
        Column("status", Integer),
        Column("set_aside_at", BigInteger, nullable=False),
        *(Column(name, Text) for name in ("mark", "marked_run", "marked_by")),
        Column("marked_at", BigInteger),
    )
    op.create_index("dead_letters_by_time", "dead_letters", ["workspace", *_PLACE])
    op.create_index("dead_letters_by_endpoint", "dead_letters", ["workspace", "endpoint", *_PLACE])
    op.create_index("dead_letters_by_age", "dead_letters", ["set_aside_at"])
