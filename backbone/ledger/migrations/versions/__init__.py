"""One module a step, named after its number. A step only adds: older processes may still use the ledger."""
