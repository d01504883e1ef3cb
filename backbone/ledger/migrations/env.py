"""Runs the steps on the connection that ``backbone.ledger.upgrade`` passes; Alembic loads this file."""

from __future__ import annotations

from alembic import context

from backbone.ledger.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite cannot alter most things of a table: Alembic's batch mode copies it instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
