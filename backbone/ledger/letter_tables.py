"""The ledger's table of dead letters: what was set aside, and what became of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from backbone.ledger.tables import METADATA

LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("workspace", Text),
    Column("kind", Text),
    Column("topic", Text),
    Column("source_offset", Text),
    Column("reason", Text),
    Column("endpoint", Text),
    Column("delivery", Text),
    Column("event", Text),
    Column("run", Text),
    Column("status", Integer),
    Column("set_aside_at", BigInteger, nullable=False),
    Column("mark", Text),
    Column("marked_run", Text),
    Column("marked_by", Text),
    Column("marked_at", BigInteger),
    Index("dead_letters_by_time", "workspace", "set_aside_at", "partition", "offset"),
    Index("dead_letters_by_endpoint", "workspace", "endpoint", "set_aside_at", "partition", "offset"),
    Index("dead_letters_by_age", "set_aside_at"),
)
"""``workspace`` is null while only the mark is here, and empty for poison of no workspace.

``topic`` is the event's; ``endpoint``, ``delivery``, ``event`` and ``run`` are null for poison. ``mark`` is null while
nothing was decided; else ``redriven``, ``discarded`` or ``expired``. Times are microseconds since the epoch.
"""
