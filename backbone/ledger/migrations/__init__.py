"""The steps from an older ledger to this one, run by Alembic; ``versions`` has one module a step."""
